import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import { EndpointLink, type LinkOptions } from './endpoint-link.ts';
import type { Endpoint } from './endpoint-set.ts';
import { ExchangeEncoder } from './exchange-codec.ts';
import { RetryBudget } from './retry-budget.ts';
import type { PendingRequest, ZoneOutcome, ZoneRequest, ZoneResult } from './zone-request.ts';
import { type RouteHost, ZoneRoute } from './zone-route.ts';

export type { Endpoint } from './endpoint-set.ts';
export type { ZoneOutcome, ZoneRequest, ZoneResult } from './zone-request.ts';

/** Everything but clock, log and credentials has a default. Durations in milliseconds. */
export interface RouterOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Channel credentials for an endpoint's address: plaintext, or TLS with the gateway's certificate. */
  readonly credentials: (address: string) => ChannelCredentials;
  /** Deadline of a request that names none. */
  readonly timeoutMs?: number;
  /** Requests queued or unanswered at one endpoint; beyond it: OVERLOADED. */
  readonly inFlightMax?: number;
  /** Bytes queued for one endpoint that does not read; beyond it: OVERLOADED. */
  readonly queuedBytesMax?: number;
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  readonly healthIntervalMs?: number;
  readonly healthTimeoutMs?: number;
  /** Failures in a row that put an endpoint out while another is healthy. */
  readonly failuresToEject?: number;
  readonly ejectMs?: number;
  readonly ejectMaxMs?: number;
  /** Retries per request in the long run. */
  readonly retryShare?: number;
  readonly retryTokensMax?: number;
  /** Called once for every request. */
  readonly onResult?: (zoneId: string, result: ZoneResult, durationMs: number) => void;
}

export interface EndpointStatus {
  readonly address: string;
  readonly weight: number;
  readonly healthy: boolean;
  readonly inFlight: number;
  /** When it last answered, on the router's monotonic clock; 0 for never. */
  readonly lastSeenMs: number;
}

const defaults = {
  timeoutMs: 5_000,
  inFlightMax: 8_192,
  queuedBytesMax: 8_388_608,
  keepaliveTimeMs: 5_000,
  keepaliveTimeoutMs: 5_000,
  healthIntervalMs: 2_000,
  healthTimeoutMs: 3_000,
  failuresToEject: 5,
  ejectMs: 1_000,
  ejectMaxMs: 30_000,
  retryShare: 0.1,
  retryTokensMax: 20,
  messageBytesMax: 4_194_304,
  batchBytesMax: 262_144,
  unaryConcurrentMax: 100,
  onResult: (): void => {},
};
const tickMs = 20;
const wheelBuckets = 512;
const requestOverheadBytes = 128;
const drainPollMs = 10;
/** How long cancelled calls may take to say so. */
const cancelMs = 1_000;

type Settings = Required<RouterOptions> & Omit<typeof defaults, keyof RouterOptions>;

/** Carries requests to the zones over gRPC: batched `Exchange` streams where a zone has them, unary calls where not. */
export class UpstreamRouter implements RouteHost {
  readonly budget: RetryBudget;
  #settings: Settings;
  #timeoutMs: number;
  #routes = new Map<string, ZoneRoute>();
  #wheel = new DeadlineWheel<PendingRequest>(tickMs, wheelBuckets);
  #wheelTimer: NodeJS.Timeout | null = null;
  /** By address. */
  #links = new Map<string, EndpointLink>();
  #linkOptions: LinkOptions;
  #dirty = new Set<EndpointLink>();
  #flushPlanned = false;
  #closed = false;

  constructor(options: RouterOptions) {
    this.#settings = { ...defaults, ...options };
    this.#timeoutMs = this.#settings.timeoutMs;
    this.#linkOptions = { ...this.#settings, encoder: new ExchangeEncoder() };
    this.budget = new RetryBudget(this.#settings.retryShare, this.#settings.retryTokensMax);
  }

  /** The whole set of one zone's endpoints; requests that wait for a removed one go to another. */
  setEndpoints(zoneId: string, endpoints: readonly Endpoint[]): void {
    if (this.#closed) return;
    let route = this.#routes.get(zoneId);
    if (route === undefined) {
      if (endpoints.length === 0) return;
      route = new ZoneRoute(zoneId, this, this.#settings);
      this.#routes.set(zoneId, route);
    }
    route.setEndpoints(endpoints);
  }

  /** Some endpoint of the zone is healthy, or is being connected to for the first time. */
  available(zoneId: string): boolean {
    return !this.#closed && this.#routes.get(zoneId)?.available === true;
  }

  /** @param done called exactly once, perhaps before this returns; it must not throw. */
  request(request: ZoneRequest, done: (outcome: ZoneOutcome) => void): void {
    const startedMs = this.nowMs();
    const pending: PendingRequest = {
      request,
      startedMs,
      bytes: request.data.length + requestOverheadBytes,
      deadlineMs: startedMs + (request.timeoutMs ?? this.#timeoutMs),
      wheelNext: null,
      wheelPrevious: null,
      requestId: 0,
      tried: noneTried,
      state: null,
      owner: null,
      done,
      holder: null,
    };
    const route = this.#closed ? undefined : this.#routes.get(request.zoneId);
    if (route === undefined) {
      const message = `zone ${request.zoneId} has no endpoint`;
      const code = ErrorCode.ERROR_ZONE_UNAVAILABLE;
      this.finish(pending, { kind: 'failed', code, message, retryAfterMs: 1_000, reached: false }, 'unavailable');
      return;
    }
    this.budget.earn();
    this.#wheel.add(pending);
    this.#wheelTimer ??= setInterval(() => this.#tick(), tickMs).unref();
    route.route(pending);
  }

  /** Writes what was queued since the last flush, one message an endpoint. Happens by itself at the end of the loop's turn. */
  flush(): void {
    if (this.#dirty.size === 0) return;
    const links = [...this.#dirty];
    this.#dirty.clear();
    for (const link of links) link.flush();
  }

  /** The deadline of requests from now on that name none. */
  setTimeoutMs(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  status(): Map<string, EndpointStatus[]> {
    const zones = new Map<string, EndpointStatus[]>();
    for (const [zoneId, route] of this.#routes) {
      const endpoints = route.states.map(({ address, weight, usable, inFlight, lastSeenMs }) => {
        return { address, weight, healthy: usable, inFlight, lastSeenMs };
      });
      zones.set(zoneId, endpoints);
    }
    return zones;
  }

  /** Requests queued or unanswered, of one zone or of all. */
  inFlight(zoneId?: string): number {
    if (zoneId !== undefined) return this.#routes.get(zoneId)?.inFlight ?? 0;
    let count = 0;
    for (const route of this.#routes.values()) count += route.inFlight;
    return count;
  }

  /** Takes no more requests, waits for the answers of those under way, then ends the rest and every connection. */
  async close(deadlineMs: number): Promise<void> {
    this.flush();
    this.#closed = true;
    const untilMs = this.nowMs() + deadlineMs;
    while (this.inFlight() > 0 && this.nowMs() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, drainPollMs));
    }
    for (const route of this.#routes.values()) route.close();
    for (const link of this.#links.values()) link.close();
    const cancelledByMs = this.nowMs() + cancelMs;
    while (this.inFlight() > 0 && this.nowMs() < cancelledByMs) await new Promise((resolve) => setImmediate(resolve));
    if (this.#wheelTimer !== null) clearInterval(this.#wheelTimer);
    this.#wheelTimer = null;
  }

  nowMs(): number {
    return this.#settings.clock.nowMs();
  }

  finish(pending: PendingRequest, outcome: ZoneOutcome, result: ZoneResult): void {
    const done = pending.done;
    if (done === null) return;
    this.#wheel.remove(pending);
    pending.done = null;
    pending.holder = null;
    this.#settings.onResult(pending.request.zoneId, result, this.nowMs() - pending.startedMs);
    done(outcome);
  }

  link(address: string): EndpointLink {
    let link = this.#links.get(address);
    if (link === undefined) {
      link = new EndpointLink(address, this.#linkOptions, (drained) => this.#drained(drained));
      this.#links.set(address, link);
    }
    return link;
  }

  queued(link: EndpointLink): void {
    this.#dirty.add(link);
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setImmediate(() => {
      this.#flushPlanned = false;
      this.flush();
    });
  }

  endpointChanged(zoneId: string, address: string, healthy: boolean, why: string): void {
    const { log } = this.#settings;
    if (healthy) log.info({ zone: zoneId, address }, 'zone endpoint is healthy');
    else log.warn({ zone: zoneId, address, why }, 'zone endpoint is unhealthy');
  }

  #drained(link: EndpointLink): void {
    this.#dirty.delete(link);
    if (this.#links.get(link.address) === link) this.#links.delete(link.address);
  }

  #tick(): void {
    this.#wheel.expire(this.nowMs(), (pending) => this.#routes.get(pending.request.zoneId)?.expired(pending));
    if (this.#wheel.count > 0 || this.#wheelTimer === null) return;
    clearInterval(this.#wheelTimer);
    this.#wheelTimer = null;
  }
}

const noneTried: readonly string[] = [];
