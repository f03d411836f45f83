/**
 * Counts events of the last `windowMs` in buckets. It never counts too few: an event stays until its whole bucket has left
 * the window, so a count is at most one bucket's events too high.
 */
export class SlidingWindow {
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly #counts: Float64Array;
  #total = 0;
  /** Number of the newest bucket since time 0. */
  #newest = Number.NEGATIVE_INFINITY;

  /** @param buckets how many buckets make a window; more are more exact. */
  constructor(windowMs: number, buckets = 100) {
    this.windowMs = windowMs;
    this.bucketMs = windowMs / buckets;
    this.#counts = new Float64Array(buckets + 1);
  }

  add(nowMs: number, count = 1): void {
    this.#advance(nowMs);
    const slot = this.#slot(this.#newest);
    this.#counts[slot] = (this.#counts[slot] ?? 0) + count;
    this.#total += count;
  }

  /** Events in the window that ends now. */
  count(nowMs: number): number {
    this.#advance(nowMs);
    return this.#total;
  }

  /** Events a second, as an average over the window. */
  perSecond(nowMs: number): number {
    return (this.count(nowMs) * 1000) / this.windowMs;
  }

  #slot(bucket: number): number {
    const size = this.#counts.length;
    return ((bucket % size) + size) % size;
  }

  /** A clock that goes back changes nothing: events count as of the newest time seen. */
  #advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.bucketMs);
    if (bucket <= this.#newest) {
      return;
    }
    if (bucket - this.#newest >= this.#counts.length) {
      this.#counts.fill(0);
      this.#total = 0;
      this.#newest = bucket;
      return;
    }
    while (this.#newest < bucket) {
      this.#newest += 1;
      const slot = this.#slot(this.#newest);
      this.#total -= this.#counts[slot] ?? 0;
      this.#counts[slot] = 0;
    }
  }
}
