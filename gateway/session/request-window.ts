/** How many numbers below the highest one are remembered as answered or not (rule 6). */
export const requestWindow = 64;

export interface RequestWindowState {
  readonly max: number;
  readonly maxAnswered: boolean;
  /** Bit i: `max - 1 - i` was answered. */
  readonly low: number;
  /** Bit i: `max - 33 - i` was answered. */
  readonly high: number;
}

/** What a session remembers of its client's request numbers: the highest, and which of the 64 below were answered. */
export class RequestWindow {
  max = 0;
  #maxAnswered = false;
  #low = 0;
  #high = 0;

  /** A number so old that nothing is known of it. */
  isBelow(clientSeq: number): boolean {
    return clientSeq < this.max - requestWindow;
  }

  /** Moves the window up; numbers skipped over count as not answered. */
  raise(clientSeq: number): void {
    const by = clientSeq - this.max;
    if (by <= 0) return;
    this.#shift(by);
    this.max = clientSeq;
    this.#maxAnswered = false;
  }

  isAnswered(clientSeq: number): boolean {
    const below = this.max - 1 - clientSeq;
    if (below < 0) return below === -1 && this.#maxAnswered;
    if (below < 32) return ((this.#low >>> below) & 1) === 1;
    if (below < requestWindow) return ((this.#high >>> (below - 32)) & 1) === 1;
    return false;
  }

  markAnswered(clientSeq: number): void {
    const below = this.max - 1 - clientSeq;
    if (below === -1) this.#maxAnswered = true;
    else if (below >= 0 && below < 32) this.#low |= 1 << below;
    else if (below >= 32 && below < requestWindow) this.#high |= 1 << (below - 32);
  }

  export(): RequestWindowState {
    return { max: this.max, maxAnswered: this.#maxAnswered, low: this.#low >>> 0, high: this.#high >>> 0 };
  }

  import(state: RequestWindowState): void {
    this.max = state.max;
    this.#maxAnswered = state.maxAnswered;
    this.#low = state.low | 0;
    this.#high = state.high | 0;
  }

  #shift(by: number): void {
    const wasMax = this.#maxAnswered ? 1 : 0;
    // First the old highest becomes the number just below, then the rest moves on by one less.
    this.#high = (this.#high << 1) | (this.#low >>> 31);
    this.#low = (this.#low << 1) | wasMax;
    const rest = by - 1;
    if (rest === 0) return;
    if (rest >= requestWindow) {
      this.#low = 0;
      this.#high = 0;
    } else if (rest >= 32) {
      this.#high = this.#low << (rest - 32);
      this.#low = 0;
    } else {
      this.#high = (this.#high << rest) | (this.#low >>> (32 - rest));
      this.#low <<= rest;
    }
  }
}
