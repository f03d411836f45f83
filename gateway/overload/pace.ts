import { SlidingWindow } from './sliding-window.ts';
import { TokenBucket } from './token-bucket.ts';

/** Requests a second that are admitted in any case, however far behind the event loop is. */
const leastPerSecond = 20;

/**
 * Lets requests in evenly. A window alone would let a flood in at once and then nobody until it ends; here a flood gets a
 * quarter of the window's worth and then the rate. The rate is max_qps, or less while the event loop lags: then it follows what
 * is really done, down by a step for each observation and up again after.
 */
export class Pace {
  readonly #bucket: TokenBucket;
  readonly #done = new SlidingWindow(1000, 20);
  readonly #maxPerSecond: number;

  constructor(maxPerSecond: number, windowSeconds: number) {
    this.#maxPerSecond = maxPerSecond;
    const burst = maxPerSecond * Math.max(1, windowSeconds / 4);
    this.#bucket = new TokenBucket(maxPerSecond, burst);
  }

  get perSecond(): number {
    return this.#bucket.perSecond;
  }

  /** @param floorShare share of a full bucket that must stay behind. */
  take(nowMs: number, floorShare: number): boolean {
    if (!this.#bucket.take(nowMs, 1, this.#floor(floorShare))) {
      return false;
    }
    this.#done.add(nowMs);
    return true;
  }

  waitMs(nowMs: number, floorShare: number): number {
    return this.#bucket.waitMs(nowMs, 1, this.#floor(floorShare));
  }

  /** Called once for each observation of the event loop. @param lag 0 fine, 2 too late, 3 far too late. */
  adapt(nowMs: number, lag: number): void {
    const rate = this.#bucket.perSecond;
    if (lag >= 2) {
      const done = Math.min(rate, this.#done.perSecond(nowMs));
      const next = Math.max(leastPerSecond, done * (lag === 3 ? 0.6 : 0.85));
      this.#bucket.configure(nowMs, Math.min(next, this.#maxPerSecond), this.#bucket.burst);
    } else if (lag === 0 && rate < this.#maxPerSecond) {
      this.#bucket.configure(nowMs, Math.min(this.#maxPerSecond, rate * 1.1 + 1), this.#bucket.burst);
    }
  }

  /** Whole tokens, so that a small bucket has no unreachable rest. */
  #floor(share: number): number {
    return Math.floor(this.#bucket.burst * share);
  }
}
