import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { EndpointLink, LinkMember } from './endpoint-link.ts';
import {
  type Endpoint,
  type EndpointHealth,
  type EndpointPolicy,
  EndpointSet,
  type EndpointState,
} from './endpoint-set.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { PendingRequest, RequestOwner, ZoneOutcome, ZoneResult } from './zone-request.ts';

const attemptsMax = 3;
const retryAfterUnavailableMs = 1_000;
const retryAfterFullMs = 200;

export interface RouteHost {
  readonly budget: RetryBudget;
  readonly nowMs: () => number;
  finish(pending: PendingRequest, outcome: ZoneOutcome, result: ZoneResult): void;
  /** The connection to an address, which other zones may share. */
  link(address: string): EndpointLink;
  /** Something was queued at this link: flush it soon. */
  queued(link: EndpointLink): void;
  endpointChanged(zoneId: string, address: string, healthy: boolean, why: string): void;
}

/** One zone: its endpoints, and where each of its requests goes next. */
export class ZoneRoute implements RequestOwner, LinkMember {
  readonly zoneId: string;
  #host: RouteHost;
  #set: EndpointSet;
  #links = new Map<EndpointState, EndpointLink>();
  #inFlight = 0;
  #closed = false;

  constructor(zoneId: string, host: RouteHost, policy: EndpointPolicy) {
    this.zoneId = zoneId;
    this.#host = host;
    this.#set = new EndpointSet(policy);
  }

  get states(): readonly EndpointState[] {
    return this.#set.states;
  }

  get available(): boolean {
    return this.#set.available;
  }

  /** Requests queued or unanswered, those at removed endpoints too. */
  get inFlight(): number {
    return this.#inFlight;
  }

  setEndpoints(endpoints: readonly Endpoint[]): void {
    const { added, removed } = this.#set.update(endpoints);
    for (const state of added) {
      const link = this.#host.link(state.address);
      this.#links.set(state, link);
      link.attach(state, this);
    }
    for (const state of removed) {
      const link = this.#links.get(state);
      this.#links.delete(state);
      link?.detach(state);
    }
  }

  /** Queues the request at the best endpoint, or ends it. */
  route(pending: PendingRequest, why = 'no endpoint'): void {
    const choice = this.#set.choose(pending.tried);
    if (choice === 'full') this.#fail(pending, ErrorCode.ERROR_OVERLOADED, 'all endpoints are busy', retryAfterFullMs);
    else if (choice === 'none') this.#unavailable(pending, why);
    else {
      const link = this.#links.get(choice);
      if (link === undefined) throw new Error(`zone ${this.zoneId} has no link to ${choice.address}`);
      pending.owner = this;
      pending.state = choice;
      choice.inFlight += 1;
      this.#inFlight += 1;
      link.enqueue(pending);
      this.#host.queued(link);
    }
  }

  /** Takes no more; the router closes the links. */
  close(): void {
    this.#closed = true;
  }

  answered(pending: PendingRequest, response: UpstreamResponse): void {
    if (response.error?.code === ErrorCode.ERROR_ZONE_UNAVAILABLE && !response.success) {
      this.refused(pending, response.error.message);
      return;
    }
    this.#succeeded(pending);
    this.#host.finish(pending, { kind: 'answered', response }, response.success ? 'ok' : 'error');
  }

  unwritten(pending: PendingRequest, why: string): void {
    this.#elsewhere(pending, this.#take(pending), why);
  }

  refused(pending: PendingRequest, why: string): void {
    const state = this.#failed(pending);
    if (this.#host.budget.spend()) this.#elsewhere(pending, state, why);
    else this.#unavailable(pending, why);
  }

  unknown(pending: PendingRequest, why: string): void {
    this.#failed(pending);
    const message = `zone ${this.zoneId} went away: ${why}; the outcome is unknown`;
    this.#end(pending, ErrorCode.ERROR_ZONE_TIMEOUT, message, 'timeout');
  }

  broken(pending: PendingRequest, why: string): void {
    this.#succeeded(pending);
    this.#end(pending, ErrorCode.ERROR_ZONE_FAILED, `zone ${this.zoneId} failed: ${why}`, 'error');
  }

  /** A request's deadline came while this route had it. */
  expired(pending: PendingRequest): void {
    if (pending.holder?.abandon(pending).reached === true) {
      this.#failed(pending);
      const message = `zone ${this.zoneId} did not answer in time; the outcome is unknown`;
      this.#end(pending, ErrorCode.ERROR_ZONE_TIMEOUT, message, 'timeout');
    } else {
      this.#take(pending);
      this.#unavailable(pending, 'it did not take the request in time');
    }
  }

  healthChanged(state: EndpointState, health: EndpointHealth, why: string): void {
    const before = state.health;
    this.#set.checked(state, health, this.#host.nowMs());
    if (before !== health && health !== 'unknown') {
      this.#host.endpointChanged(this.zoneId, state.address, health === 'healthy', why);
    }
  }

  /** The request has left its endpoint. */
  #take(pending: PendingRequest): EndpointState | null {
    const state = pending.state;
    pending.state = null;
    if (state === null) return null;
    state.inFlight -= 1;
    this.#inFlight -= 1;
    return state;
  }

  #succeeded(pending: PendingRequest): void {
    const state = this.#take(pending);
    if (state !== null) this.#set.succeeded(state, this.#host.nowMs());
  }

  #failed(pending: PendingRequest): EndpointState | null {
    const state = this.#take(pending);
    if (state !== null) this.#set.failed(state, this.#host.nowMs());
    return state;
  }

  #elsewhere(pending: PendingRequest, from: EndpointState | null, why: string): void {
    if (from !== null) pending.tried = [...pending.tried, from.address];
    if (this.#closed || pending.tried.length >= attemptsMax) this.#unavailable(pending, why);
    else this.route(pending, why);
  }

  /** The zone had it, and its answer will not come. */
  #end(pending: PendingRequest, code: number, message: string, result: ZoneResult): void {
    this.#host.finish(pending, { kind: 'failed', code, message, retryAfterMs: 0, reached: true }, result);
  }

  #unavailable(pending: PendingRequest, why: string): void {
    const message = `zone ${this.zoneId} is unavailable: ${why}`;
    this.#fail(pending, ErrorCode.ERROR_ZONE_UNAVAILABLE, message, retryAfterUnavailableMs);
  }

  #fail(pending: PendingRequest, code: number, message: string, retryAfterMs: number): void {
    this.#host.finish(pending, { kind: 'failed', code, message, retryAfterMs, reached: false }, 'unavailable');
  }
}
