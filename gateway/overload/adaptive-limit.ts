/** How a zone's limit moves with its latency; the names and defaults are those of Netflix concurrency-limits' Gradient2Limit. */
export interface AdaptiveLimitOptions {
  readonly initialLimit: number;
  readonly minLimit: number;
  readonly maxLimit: number;
  /** Latency may grow by this factor over its long-term mean before the limit shrinks. */
  readonly rttTolerance?: number;
  /** Share of a new estimate that is taken over at once. */
  readonly smoothing?: number;
  /** Samples over which the long-term mean forgets. */
  readonly longWindow?: number;
}

/**
 * Finds how many requests a zone can work on at once, from nothing but its latencies: while they stay near their long-term
 * mean the limit grows by a small queue, and when they rise it shrinks with the gradient mean / sample.
 */
export class AdaptiveLimit {
  readonly #minLimit: number;
  #maxLimit: number;
  readonly #rttTolerance: number;
  readonly #smoothing: number;
  readonly #longWindow: number;
  #estimate: number;
  #longRttMs = 0;
  #samples = 0;

  constructor(options: AdaptiveLimitOptions) {
    this.#minLimit = options.minLimit;
    this.#maxLimit = options.maxLimit;
    this.#rttTolerance = options.rttTolerance ?? 1.5;
    this.#smoothing = options.smoothing ?? 0.2;
    this.#longWindow = options.longWindow ?? 600;
    this.#estimate = Math.min(Math.max(options.initialLimit, options.minLimit), options.maxLimit);
  }

  /** Requests that may be under way at once, a whole number. */
  get limit(): number {
    return Math.floor(this.#estimate);
  }

  setMaxLimit(maxLimit: number): void {
    this.#maxLimit = maxLimit;
    this.#set(this.#estimate);
  }

  /**
   * Takes in one finished request.
   * @param inFlight requests that were under way when it finished, itself included.
   * @param ok false for a timeout or a refusal by the zone, which shrinks the limit whatever the latency.
   */
  finished(durationMs: number, inFlight: number, ok: boolean): void {
    if (!ok) {
      this.#set(this.#estimate * 0.9);
      return;
    }
    const sampleMs = Math.max(durationMs, 0.1);
    this.#addLong(sampleMs);
    if (inFlight < this.#estimate / 2) {
      return;
    }
    const gradient = Math.max(0.5, Math.min(1, (this.#rttTolerance * this.#longRttMs) / sampleMs));
    const queue = Math.max(1, Math.sqrt(this.#estimate));
    const target = this.#estimate * gradient + (gradient < 1 ? 0 : queue);
    this.#set(this.#estimate * (1 - this.#smoothing) + target * this.#smoothing);
  }

  /** A plain mean at first, then an exponential one; it comes down fast after a time of high load. */
  #addLong(sampleMs: number): void {
    this.#samples = Math.min(this.#samples + 1, this.#longWindow);
    const weight = Math.max(1 / this.#samples, 2 / (this.#longWindow + 1));
    this.#longRttMs += (sampleMs - this.#longRttMs) * weight;
    if (this.#longRttMs > sampleMs * 2) {
      this.#longRttMs *= 0.95;
    }
  }

  #set(estimate: number): void {
    this.#estimate = Math.min(Math.max(estimate, this.#minLimit), this.#maxLimit);
  }
}
