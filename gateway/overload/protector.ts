import {
  type AdmissionKind,
  type AdmissionRule,
  admissionRules,
  admitted,
  type Decision,
  type Rejected,
  type RejectReason,
  rejectReasons,
} from './admission.ts';
import type { OverloadState } from './grade.ts';
import { checkOverloadLimits, type OverloadLimits } from './limits.ts';
import { Pace } from './pace.ts';
import { OverloadSignals, type SignalOptions } from './signals.ts';
import { SlidingWindow } from './sliding-window.ts';
import { TokenBucket } from './token-bucket.ts';
import { UpstreamSlots } from './upstream-slots.ts';

export interface OverloadObservation {
  /** How late the event loop ran its timers since the last observation. */
  readonly eventLoopDelayMs: number;
  readonly heapUsedBytes: number;
  readonly rssBytes: number;
}

export interface ProtectorOptions extends SignalOptions {
  readonly limits: OverloadLimits;
  readonly zoneCount: number;
  /** What the heap and the process may use; 0 leaves that signal out. */
  readonly heapLimitBytes?: number;
  readonly rssLimitBytes?: number;
  /** New connections a second; `maxConnections` of them may come at once. 0: no limit. */
  readonly connectsPerSecond?: number;
  /** Share of the upstream slots that one zone may ever take, 0 to 1. */
  readonly zoneShare?: number;
  /** Limits for each zone that follow its latency. */
  readonly adaptiveZones?: boolean;
}

/** What may change while running; where limits follow latency stays as it was at the start. */
export type ProtectorChange = Omit<ProtectorOptions, 'limits' | 'zoneCount' | 'adaptiveZones' | keyof Callbacks>;
type Callbacks = Pick<SignalOptions, 'onStateChange' | 'calmMs'>;

export interface OverloadStats {
  readonly state: OverloadState;
  readonly connections: number;
  readonly qps: number;
  readonly upstreamInFlight: number;
  readonly rejects: Readonly<Record<RejectReason, number>>;
}

/** Connections above the limit that only sessions which resume may use; their old connection often still counts. */
const resumeHeadroomShare = 0.05;
/** A refusal keeps its signal at the limit for this long. */
const refusalEchoMs = 100;
const refreshMs = 20;

/**
 * Decides what the gateway takes on (design §6). Pure: time comes in with each call, from a monotonic clock, and nothing but
 * the state change callback goes out. `admit` counts what it admits, so it is asked once for each thing.
 */
export class OverloadProtector {
  #options: ProtectorOptions;
  readonly #slots: UpstreamSlots;
  readonly #signals: OverloadSignals;
  readonly #rejects = Object.fromEntries(rejectReasons.map((reason) => [reason, 0])) as Record<RejectReason, number>;
  readonly #refusedStarts = new SlidingWindow(1000, 10);
  #limits: OverloadLimits;
  #window: SlidingWindow;
  #pace: Pace;
  #connects: TokenBucket;
  #connections = 0;
  #requestRefusedMs = Number.NEGATIVE_INFINITY;
  #upstreamRefusedMs = Number.NEGATIVE_INFINITY;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #rejectCount = 0;

  /** @throws OverloadLimitsError */
  constructor(options: ProtectorOptions) {
    const limits = options.limits;
    checkOverloadLimits(limits);
    this.#options = options;
    this.#limits = limits;
    this.#window = new SlidingWindow(limits.qpsWindowSeconds * 1000);
    this.#pace = new Pace(limits.maxQps, limits.qpsWindowSeconds);
    this.#connects = new TokenBucket(connectsPerSecond(options), connectBurst(options, limits));
    this.#slots = new UpstreamSlots({
      max: limits.maxUpstreamConcurrent,
      warning: limits.upstreamWarningThreshold,
      zoneCount: options.zoneCount,
      zoneShare: options.zoneShare ?? 1,
      adaptive: options.adaptiveZones ?? false,
    });
    this.#signals = new OverloadSignals(limits, options);
  }

  get limits(): OverloadLimits {
    return this.#limits;
  }

  get state(): OverloadState {
    return this.#signals.state;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Much is refused now: a refusal should cost as little as it can. */
  get shedding(): boolean {
    return this.state === 'shed' || this.state === 'protect';
  }

  /** Requests that wait for this zone. */
  zoneInFlight(zoneId: string): number {
    return this.#slots.inFlightOf(zoneId);
  }

  stats(nowMs: number): OverloadStats {
    return {
      state: this.state,
      connections: this.#connections,
      qps: this.#window.perSecond(nowMs),
      upstreamInFlight: this.#slots.inFlight,
      rejects: { ...this.#rejects },
    };
  }

  /**
   * Puts new limits in force, as a whole or not at all.
   * @param change of the rates and signals beside them; what it leaves out stays.
   * @throws OverloadLimitsError naming the rule that is broken; the old limits stay.
   */
  setLimits(nowMs: number, limits: OverloadLimits, change: ProtectorChange = {}): void {
    checkOverloadLimits(limits);
    const old = this.#limits;
    this.#limits = limits;
    this.#options = { ...this.#options, ...change };
    const otherWindow = limits.qpsWindowSeconds !== old.qpsWindowSeconds;
    if (otherWindow) this.#window = new SlidingWindow(limits.qpsWindowSeconds * 1000);
    if (otherWindow || limits.maxQps !== old.maxQps) this.#pace = new Pace(limits.maxQps, limits.qpsWindowSeconds);
    this.#connects.configure(nowMs, connectsPerSecond(this.#options), connectBurst(this.#options, limits));
    this.#slots.configure(limits.maxUpstreamConcurrent, limits.upstreamWarningThreshold, this.#options.zoneShare ?? 1);
    this.#signals.configure(limits, this.#options);
    this.#refresh(nowMs);
  }

  /** The handshake of a connection is done; counted whether it was admitted or not, until `connectionClosed`. */
  connectionOpened(): void {
    this.#connections += 1;
  }

  connectionClosed(): void {
    this.#connections = Math.max(0, this.#connections - 1);
  }

  upstreamStarted(zoneId: string): void {
    this.#slots.started(zoneId);
  }

  /** @param ok false for a timeout or the zone's own refusal, which an adaptive limit takes as a sign of overload. */
  upstreamFinished(zoneId: string, durationMs: number, ok: boolean): void {
    this.#slots.finished(zoneId, durationMs, ok);
  }

  /** Feeds in how the process is doing; called about four times a second, also to let the state fall when nothing happens. */
  observe(nowMs: number, observation: OverloadObservation): void {
    const values = this.#signals.values;
    values.event_loop += (observation.eventLoopDelayMs - values.event_loop) * 0.3;
    values.memory = Math.max(
      shareOf(observation.heapUsedBytes, this.#options.heapLimitBytes),
      shareOf(observation.rssBytes, this.#options.rssLimitBytes),
    );
    this.#refresh(nowMs);
    this.#pace.adapt(nowMs, this.#limits.enabled ? this.#signals.level('event_loop') : 0);
  }

  /**
   * Whether one more of this kind may come in.
   * @param nowMs monotonic milliseconds.
   * @param zoneId of a business request: its zone, whose free slots are then checked too.
   */
  admit(nowMs: number, kind: AdmissionKind, zoneId?: string): Decision {
    const rule = admissionRules[kind];
    if (!this.#limits.enabled) {
      if (rule.counted) this.#window.add(nowMs);
      return admitted;
    }
    if (nowMs - this.#refreshedMs >= refreshMs) this.#refresh(nowMs);
    const reason = this.#refusal(nowMs, kind, rule, zoneId);
    if (reason !== undefined) {
      return this.#reject(nowMs, kind, rule, reason);
    }
    if (rule.counted) {
      this.#window.add(nowMs);
    }
    return admitted;
  }

  #refusal(
    nowMs: number,
    kind: AdmissionKind,
    rule: AdmissionRule,
    zoneId: string | undefined,
  ): RejectReason | undefined {
    const signals = this.#signals;
    if (signals.level('memory') >= rule.memoryLevel) return 'memory';
    if (signals.level('event_loop') >= rule.loopLevel) return 'event_loop';
    if (kind === 'connect') return this.#connectRefusal(nowMs);
    if (kind === 'login' && this.#connections > this.#limits.maxConnections) {
      return 'max_connections';
    }
    if (Math.max(signals.level('qps'), signals.level('upstream')) >= rule.requestsLevel) {
      return 'shedding';
    }
    if (zoneId !== undefined) {
      const refusal = this.#slots.refusal(zoneId, kind === 'business-high');
      if (refusal !== undefined) {
        return refusal;
      }
    }
    return rule.counted && !this.#takeRequest(nowMs, rule) ? 'max_qps' : undefined;
  }

  #connectRefusal(nowMs: number): RejectReason | undefined {
    const max = this.#limits.maxConnections;
    if (this.#connections >= max + Math.ceil(max * resumeHeadroomShare)) {
      return 'max_connections';
    }
    return this.#connects.take(nowMs, 1) ? undefined : 'connect_rate';
  }

  #takeRequest(nowMs: number, rule: AdmissionRule): boolean {
    const room = Math.ceil(this.#limits.maxQps * this.#limits.qpsWindowSeconds * rule.windowShare);
    return this.#window.count(nowMs) < room && this.#pace.take(nowMs, rule.paceFloor);
  }

  #reject(nowMs: number, kind: AdmissionKind, rule: AdmissionRule, reason: RejectReason): Rejected {
    this.#rejects[reason] += 1;
    this.#rejectCount += 1;
    if (reason === 'max_qps' && kind !== 'login') {
      this.#requestRefusedMs = nowMs;
    } else if (reason === 'max_upstream_concurrent') {
      this.#upstreamRefusedMs = nowMs;
    }
    const start = rule.code >= 2000;
    if (start) {
      this.#refusedStarts.add(nowMs);
    }
    const waitMs = rule.counted ? this.#pace.waitMs(nowMs, rule.paceFloor) : 0;
    const retryAfterMs = Math.ceil(start ? this.#startRetryMs(nowMs) : 100 + waitMs + this.#spread() * 400);
    return { ok: false, reason, code: rule.code, retryAfterMs };
  }

  /** Spreads those who come back over the time it takes to let as many in, so that a storm does not return as one. */
  #startRetryMs(nowMs: number): number {
    const seconds =
      this.#refusedStarts.count(nowMs) / Math.max(1, Math.min(this.#connects.perSecond, this.#pace.perSecond));
    return 500 + this.#spread() * 1000 * Math.min(30, Math.max(1, seconds));
  }

  /** Evenly spread numbers from 0 to 1 without chance: multiples of the golden ratio. */
  #spread(): number {
    return (this.#rejectCount * 0.6180339887498949) % 1;
  }

  #refresh(nowMs: number): void {
    this.#refreshedMs = nowMs;
    const { maxQps, maxUpstreamConcurrent, enabled } = this.#limits;
    const values = this.#signals.values;
    values.connections = this.#connections;
    values.qps = this.#window.perSecond(nowMs);
    if (nowMs - this.#requestRefusedMs < refusalEchoMs) {
      values.qps = Math.max(values.qps, maxQps);
    }
    values.upstream = this.#slots.inFlight;
    if (nowMs - this.#upstreamRefusedMs < refusalEchoMs) {
      values.upstream = Math.max(values.upstream, maxUpstreamConcurrent);
    }
    this.#signals.refresh(nowMs, enabled);
  }
}

function connectsPerSecond(options: ProtectorOptions): number {
  return options.connectsPerSecond || Number.POSITIVE_INFINITY;
}

function connectBurst(options: ProtectorOptions, limits: OverloadLimits): number {
  return options.connectsPerSecond ? limits.maxConnections : Number.POSITIVE_INFINITY;
}

function shareOf(used: number, limit: number | undefined): number {
  return limit === undefined || limit === 0 ? 0 : used / limit;
}
