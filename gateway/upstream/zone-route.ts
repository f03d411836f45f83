import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { EndpointLink, type LinkOptions, type LinkOwner } from './endpoint-link.ts';
import { type Endpoint, type EndpointPolicy, EndpointSet, type EndpointState } from './endpoint-set.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { PendingRequest, ZoneOutcome, ZoneResult } from './zone-request.ts';

const attemptsMax = 3;
const retryAfterUnavailableMs = 1_000;
const retryAfterFullMs = 200;

export interface RouteHost {
  readonly budget: RetryBudget;
  readonly nowMs: () => number;
  finish(pending: PendingRequest, outcome: ZoneOutcome, result: ZoneResult): void;
  /** Something was queued at this link: flush it soon. */
  queued(link: EndpointLink): void;
  endpointChanged(zoneId: string, address: string, healthy: boolean, why: string): void;
}

/** One zone: its endpoints, and where each of its requests goes next. */
export class ZoneRoute implements LinkOwner {
  readonly zoneId: string;
  #host: RouteHost;
  #linkOptions: LinkOptions;
  #set: EndpointSet;
  #links = new Map<string, EndpointLink>();
  /** Links of removed endpoints that still wait for answers. */
  #retired = new Set<EndpointLink>();
  #closed = false;

  constructor(zoneId: string, host: RouteHost, policy: EndpointPolicy, linkOptions: LinkOptions) {
    this.zoneId = zoneId;
    this.#host = host;
    this.#linkOptions = linkOptions;
    this.#set = new EndpointSet(policy);
  }

  get states(): readonly EndpointState[] {
    return this.#set.states;
  }

  get available(): boolean {
    return this.#set.available;
  }

  get inFlight(): number {
    let count = 0;
    for (const link of this.#links.values()) count += link.state.inFlight;
    for (const link of this.#retired) count += link.state.inFlight;
    return count;
  }

  setEndpoints(endpoints: readonly Endpoint[]): void {
    const { added, removed } = this.#set.update(endpoints);
    for (const state of added) {
      this.#links.set(state.address, new EndpointLink(this.zoneId, state, this.#set, this, this.#linkOptions));
    }
    for (const state of removed) {
      const link = this.#links.get(state.address);
      if (link === undefined) continue;
      this.#links.delete(state.address);
      this.#retired.add(link);
      link.retire();
    }
  }

  /** Queues the request at the best endpoint, or ends it. */
  route(pending: PendingRequest, why = 'no endpoint'): void {
    const choice = this.#set.choose(pending.tried);
    if (choice === 'full') this.#fail(pending, ErrorCode.ERROR_OVERLOADED, 'all endpoints are busy', retryAfterFullMs);
    else if (choice === 'none') this.#unavailable(pending, why);
    else {
      const link = this.#links.get(choice.address);
      if (link === undefined) throw new Error(`zone ${this.zoneId} has no link to ${choice.address}`);
      link.enqueue(pending);
      this.#host.queued(link);
    }
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
    for (const link of this.#retired) link.close();
  }

  answered(pending: PendingRequest, link: EndpointLink, response: UpstreamResponse): void {
    if (response.error?.code === ErrorCode.ERROR_ZONE_UNAVAILABLE && !response.success) {
      this.refused(pending, link, response.error.message);
      return;
    }
    this.#set.succeeded(link.state, this.#host.nowMs());
    this.#host.finish(pending, { kind: 'answered', response }, response.success ? 'ok' : 'error');
  }

  unwritten(pending: PendingRequest, link: EndpointLink, why: string): void {
    this.#elsewhere(pending, link, why);
  }

  refused(pending: PendingRequest, link: EndpointLink, why: string): void {
    this.#set.failed(link.state, this.#host.nowMs());
    if (this.#host.budget.spend()) this.#elsewhere(pending, link, why);
    else this.#unavailable(pending, why);
  }

  unknown(pending: PendingRequest, link: EndpointLink, why: string): void {
    this.#set.failed(link.state, this.#host.nowMs());
    const message = `zone ${this.zoneId} went away: ${why}; the outcome is unknown`;
    const code = ErrorCode.ERROR_ZONE_TIMEOUT;
    this.#host.finish(pending, { kind: 'failed', code, message, retryAfterMs: 0, reached: true }, 'timeout');
  }

  broken(pending: PendingRequest, link: EndpointLink, why: string): void {
    this.#set.succeeded(link.state, this.#host.nowMs());
    const message = `zone ${this.zoneId} failed: ${why}`;
    const code = ErrorCode.ERROR_ZONE_FAILED;
    this.#host.finish(pending, { kind: 'failed', code, message, retryAfterMs: 0, reached: true }, 'error');
  }

  /** A request's deadline came while this route had it. */
  expired(pending: PendingRequest): void {
    const abandoned = pending.holder?.abandon(pending);
    if (abandoned?.reached === true) this.#timedOut(pending, abandoned.address);
    else this.#unavailable(pending, 'it did not take the request in time');
  }

  healthChanged(link: EndpointLink, healthy: boolean, why: string): void {
    this.#host.endpointChanged(this.zoneId, link.state.address, healthy, why);
  }

  drained(link: EndpointLink): void {
    this.#retired.delete(link);
  }

  #timedOut(pending: PendingRequest, address: string): void {
    const state = this.#links.get(address)?.state;
    if (state !== undefined) this.#set.failed(state, this.#host.nowMs());
    const message = `zone ${this.zoneId} did not answer in time; the outcome is unknown`;
    const code = ErrorCode.ERROR_ZONE_TIMEOUT;
    this.#host.finish(pending, { kind: 'failed', code, message, retryAfterMs: 0, reached: true }, 'timeout');
  }

  #elsewhere(pending: PendingRequest, link: EndpointLink, why: string): void {
    pending.tried = [...pending.tried, link.state.address];
    if (this.#closed || pending.tried.length >= attemptsMax) this.#unavailable(pending, why);
    else this.route(pending, why);
  }

  #unavailable(pending: PendingRequest, why: string): void {
    const message = `zone ${this.zoneId} is unavailable: ${why}`;
    this.#fail(pending, ErrorCode.ERROR_ZONE_UNAVAILABLE, message, retryAfterUnavailableMs);
  }

  #fail(pending: PendingRequest, code: number, message: string, retryAfterMs: number): void {
    this.#host.finish(pending, { kind: 'failed', code, message, retryAfterMs, reached: false }, 'unavailable');
  }
}
