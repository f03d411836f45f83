/** Hands out `perSecond` tokens a second and holds at most `burst` of them. */
export class TokenBucket {
  #perSecond: number;
  #burst: number;
  #tokens: number;
  #updatedMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#updatedMs = nowMs;
  }

  /** Takes a token, in advance if there is none. @returns milliseconds until it is due, 0 for now */
  take(nowMs: number): number {
    const gained = ((nowMs - this.#updatedMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained) - 1;
    this.#updatedMs = nowMs;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.#perSecond) * 1000;
  }
}
