import type { Clock } from './clock.ts';
import type { LatencyHistogram } from './latency-histogram.ts';

/** How often the loop is probed. */
const probeMs = 20;
/** Probes looked at for the present delay: the last second. */
const recentProbes = 50;

/** Measures how late the event loop runs its timers. */
export class EventLoopMonitor {
  #clock: Clock;
  #histogram: LatencyHistogram;
  #recentMs = new Float64Array(recentProbes);
  #next = 0;
  #dueMs: number;
  #timer: NodeJS.Timeout;

  /** @param histogram where every measured delay is recorded */
  constructor(clock: Clock, histogram: LatencyHistogram) {
    this.#clock = clock;
    this.#histogram = histogram;
    this.#dueMs = clock.nowMs() + probeMs;
    this.#timer = setInterval(() => this.probe(), probeMs);
    this.#timer.unref();
  }

  /**
   * The mean delay of the last second's probes: high while the loop has more to do than it can, but not after one pause of a
   * collector or of a busy machine.
   */
  get delayMs(): number {
    let sumMs = 0;
    for (const delayMs of this.#recentMs) sumMs += delayMs;
    return sumMs / recentProbes;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** One probe; the timer calls it. */
  probe(): void {
    const nowMs = this.#clock.nowMs();
    const delayMs = Math.max(0, nowMs - this.#dueMs);
    this.#dueMs = nowMs + probeMs;
    this.#histogram.record(delayMs);
    this.#recentMs[this.#next] = delayMs;
    this.#next = (this.#next + 1) % recentProbes;
  }
}
