/** A token bucket that lets retries be at most a share of requests, so that a sick zone is not made sicker. Pure. */
export class RetryBudget {
  #tokens: number;
  #tokensMax: number;
  #share: number;

  /**
   * @param share retries per request in the long run, such as 0.1.
   * @param tokensMax retries that may be saved up, also the number at the start.
   */
  constructor(share: number, tokensMax: number) {
    this.#share = share;
    this.#tokensMax = tokensMax;
    this.#tokens = tokensMax;
  }

  /** A first attempt was made. */
  earn(): void {
    this.#tokens = Math.min(this.#tokensMax, this.#tokens + this.#share);
  }

  /** @returns false when no retry is left. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
