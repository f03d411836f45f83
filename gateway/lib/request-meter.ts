import type { LatencyHistogram } from './latency-histogram.ts';
import type { Metrics, Tally } from './metrics.ts';
import { type PerformanceReport, PerformanceWindow } from './performance-window.ts';

const kinds = ['start', 'stop', 'heartbeat', 'business', 'ack', 'push', 'broadcast'] as const;
type Kind = (typeof kinds)[number];
type Result = 'ok' | 'refused' | 'failed';

/** Which kinds are requests of clients with an answer, and of which the time to the answer says something. */
const countedAsRequest: Readonly<Record<Kind, boolean>> = {
  start: true,
  stop: true,
  heartbeat: true,
  business: true,
  ack: false,
  push: false,
  broadcast: false,
};
const timed: Readonly<Record<Kind, boolean>> = { ...countedAsRequest, stop: false, heartbeat: false };

export interface RequestMeterOptions {
  readonly metrics: Metrics;
  readonly windowSeconds: number;
  /** Of the monotonic clock. */
  readonly nowMs: number;
  /** The name of an error code, for the label `reason`. */
  readonly codeName: (code: number) => string;
}

/** Counts every message for Prometheus and for `/performance`; costs some tens of nanoseconds a message. */
export class RequestMeter {
  #tallies: Readonly<Record<Kind, Readonly<Record<Result, Tally>>>>;
  #duration: LatencyHistogram;
  #commit: LatencyHistogram;
  #window: PerformanceWindow;
  #rejects = new Map<number, Tally>();
  #rejectTally: (code: number) => Tally;

  constructor({ metrics, windowSeconds, nowMs, codeName }: RequestMeterOptions) {
    const tallies = (kind: Kind) => ({
      ok: metrics.totalRequests.tally(kind, 'ok'),
      refused: metrics.totalRequests.tally(kind, 'refused'),
      failed: metrics.totalRequests.tally(kind, 'failed'),
    });
    this.#tallies = {
      start: tallies('start'),
      stop: tallies('stop'),
      heartbeat: tallies('heartbeat'),
      business: tallies('business'),
      ack: tallies('ack'),
      push: tallies('push'),
      broadcast: tallies('broadcast'),
    };
    this.#duration = metrics.requestDuration;
    this.#commit = metrics.commitDuration;
    this.#window = new PerformanceWindow(windowSeconds, nowMs);
    this.#rejectTally = (code) => metrics.rejects.tally(codeName(code));
  }

  /** One message and what became of it. */
  request(kind: Kind, result: Result, durationMs: number): void {
    this.#tallies[kind][result].value += 1;
    if (countedAsRequest[kind]) this.#window.request();
    if (!timed[kind]) return;
    this.#duration.record(durationMs);
    this.#window.latency(durationMs);
  }

  /** Something was refused with this error code. */
  rejected(code: number): void {
    let tally = this.#rejects.get(code);
    if (tally === undefined) {
      tally = this.#rejectTally(code);
      this.#rejects.set(code, tally);
    }
    tally.value += 1;
  }

  /** From a command's submission to its commit. */
  committed(durationMs: number): void {
    this.#commit.record(durationMs);
  }

  /** Bytes of frames from and to clients. */
  bytes(received: number, sent: number): void {
    this.#window.bytes(received, sent);
  }

  /** Moves the window of `/performance` on; called about once a second. */
  advance(nowMs: number): void {
    this.#window.advance(nowMs);
  }

  report(nowMs: number): PerformanceReport {
    return this.#window.report(nowMs);
  }
}
