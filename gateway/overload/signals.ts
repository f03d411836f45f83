import { Grade, type GradeThresholds, type Level, type OverloadState, overloadStates } from './grade.ts';
import type { OverloadLimits } from './limits.ts';

export type OverloadSignal = 'connections' | 'qps' | 'upstream' | 'event_loop' | 'memory';

export interface OverloadStateChange {
  readonly from: OverloadState;
  readonly to: OverloadState;
  /** The signal that is worst now, or was when the state fell. */
  readonly signal: OverloadSignal;
  readonly value: number;
}

export interface SignalOptions {
  readonly eventLoopDelayMs?: GradeThresholds;
  /** Shares of the memory limits. */
  readonly memory?: GradeThresholds;
  /** How long a signal must be calm before its level falls. */
  readonly calmMs?: number;
  readonly onStateChange?: (change: OverloadStateChange) => void;
}

const signals: readonly OverloadSignal[] = ['connections', 'qps', 'upstream', 'event_loop', 'memory'];
const defaultLoopDelayMs: GradeThresholds = { warn: 100, shed: 250, protect: 1000 };
const defaultMemory: GradeThresholds = { warn: 0.75, shed: 0.85, protect: 0.93 };

/** The signals of overload, each with its level; the gateway's state is the worst of them. */
export class OverloadSignals {
  /** What was measured last; written by the owner, graded at `refresh`. */
  readonly values: Record<OverloadSignal, number> = { connections: 0, qps: 0, upstream: 0, event_loop: 0, memory: 0 };
  readonly #grades: Readonly<Record<OverloadSignal, Grade>>;
  readonly #onStateChange: ((change: OverloadStateChange) => void) | undefined;
  #state: Level = 0;
  #worst: OverloadSignal = 'qps';

  constructor(limits: OverloadLimits, options: SignalOptions) {
    const calmMs = options.calmMs ?? 1000;
    this.#onStateChange = options.onStateChange;
    this.#grades = {
      connections: new Grade(connectionGrade(limits), calmMs),
      qps: new Grade(qpsGrade(limits), calmMs),
      upstream: new Grade(upstreamGrade(limits), calmMs),
      event_loop: new Grade(options.eventLoopDelayMs ?? defaultLoopDelayMs, calmMs),
      memory: new Grade(options.memory ?? defaultMemory, calmMs),
    };
  }

  get state(): OverloadState {
    return overloadStates[this.#state] ?? 'normal';
  }

  level(signal: OverloadSignal): Level {
    return this.#grades[signal].level;
  }

  configure(limits: OverloadLimits, { eventLoopDelayMs, memory }: SignalOptions): void {
    this.#grades.connections.configure(connectionGrade(limits));
    this.#grades.qps.configure(qpsGrade(limits));
    this.#grades.upstream.configure(upstreamGrade(limits));
    this.#grades.event_loop.configure(eventLoopDelayMs ?? defaultLoopDelayMs);
    this.#grades.memory.configure(memory ?? defaultMemory);
  }

  /** Grades `values`. @param enabled false: nothing is in trouble, whatever the values. */
  refresh(nowMs: number, enabled: boolean): void {
    let state: Level = 0;
    let worst = this.#worst;
    for (const signal of signals) {
      const level = this.#grades[signal].update(nowMs, enabled ? this.values[signal] : 0);
      if (enabled && level > state) {
        state = level;
        worst = signal;
      }
    }
    this.#worst = worst;
    if (state !== this.#state) {
      const from = this.state;
      this.#state = state;
      this.#onStateChange?.({ from, to: this.state, signal: worst, value: this.values[worst] });
    }
  }
}

function connectionGrade(limits: OverloadLimits): GradeThresholds {
  return { warn: limits.connectionWarningThreshold, shed: limits.maxConnections, protect: Number.POSITIVE_INFINITY };
}

function qpsGrade(limits: OverloadLimits): GradeThresholds {
  return { warn: limits.qpsWarningThreshold, shed: limits.maxQps, protect: Number.POSITIVE_INFINITY };
}

function upstreamGrade(limits: OverloadLimits): GradeThresholds {
  return {
    warn: limits.upstreamWarningThreshold,
    shed: limits.maxUpstreamConcurrent,
    protect: Number.POSITIVE_INFINITY,
  };
}
