/**
 * A token bucket: holds up to `burst` tokens and gains `perSecond` of them. `take` refuses what it does not hold;
 * `charge` always takes and lets the bucket fall below zero, which measures how far somebody is ahead of the rate.
 */
export class TokenBucket {
  #perSecond: number;
  #burst: number;
  #tokens: number;
  #atMs = Number.NaN;

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  get burst(): number {
    return this.#burst;
  }

  /** New rate and size; what is held stays, up to the new size. */
  configure(nowMs: number, perSecond: number, burst: number): void {
    this.#refill(nowMs);
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /** Takes `cost` tokens if at least `floor` stay behind. */
  take(nowMs: number, cost: number, floor = 0): boolean {
    this.#refill(nowMs);
    if (this.#tokens - cost < floor) {
      return false;
    }
    this.#tokens -= cost;
    return true;
  }

  /** Takes `cost` tokens in any case. @returns milliseconds until the bucket is at zero again; 0 when it held enough. */
  charge(nowMs: number, cost: number): number {
    this.#refill(nowMs);
    this.#tokens -= cost;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / this.#perSecond;
  }

  /** Milliseconds until `cost` tokens could be taken with `floor` left; 0 when they can be now. */
  waitMs(nowMs: number, cost: number, floor = 0): number {
    this.#refill(nowMs);
    const missing = cost + floor - this.#tokens;
    return missing <= 0 ? 0 : (missing * 1000) / this.#perSecond;
  }

  #refill(nowMs: number): void {
    if (nowMs > this.#atMs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#atMs) * this.#perSecond) / 1000);
      this.#atMs = nowMs;
    } else if (Number.isNaN(this.#atMs)) {
      this.#atMs = nowMs;
    }
  }
}
