export interface AckOptions {
  /** An acknowledgement goes out after this many messages … */
  readonly ackMessages: number;
  /** … or this many bytes … */
  readonly ackBytes: number;
  /** … or this long after the first unacknowledged one. */
  readonly ackDelayMs: number;
}

/** Sees that the application gets 1..n without holes or repeats (I6), and says when to acknowledge. */
export class ReceiveGuard {
  readonly #options: AckOptions;
  #receivedSeqId = 0;
  #ackedSeqId = 0;
  #unackedBytes = 0;
  #repeated = false;
  #ackDueMs = Number.POSITIVE_INFINITY;

  constructor(options: AckOptions) {
    this.#options = options;
  }

  /** Everything up to here was handed to the application, or skipped. */
  get receivedSeqId(): number {
    return this.#receivedSeqId;
  }

  get ackDueMs(): number {
    return this.#ackDueMs;
  }

  /** A START was accepted with this place, which counts as an acknowledgement. */
  begin(receivedSeqId: number): void {
    this.#receivedSeqId = receivedSeqId;
    this.#ackedSeqId = receivedSeqId;
    this.#unackedBytes = 0;
    this.#repeated = false;
    this.#ackDueMs = Number.POSITIVE_INFINITY;
  }

  /** new: hand it on. repeat: drop it, it is acknowledged again. gap: the gateway broke its promise. */
  accept(seqId: number, bytes: number, nowMs: number): 'new' | 'repeat' | 'gap' {
    if (seqId > this.#receivedSeqId + 1) return 'gap';
    if (seqId <= this.#receivedSeqId) {
      this.#repeated = true;
      return 'repeat';
    }
    this.#receivedSeqId = seqId;
    this.#unackedBytes += bytes;
    if (this.#ackDueMs === Number.POSITIVE_INFINITY) this.#ackDueMs = nowMs + this.#options.ackDelayMs;
    return 'new';
  }

  /** The number to acknowledge now, if it is time. Taking it means sending it. */
  takeAck(nowMs: number): number | undefined {
    const due =
      this.#repeated ||
      nowMs >= this.#ackDueMs ||
      this.#receivedSeqId - this.#ackedSeqId >= this.#options.ackMessages ||
      this.#unackedBytes >= this.#options.ackBytes;
    if (!due) return undefined;
    this.begin(this.#receivedSeqId);
    return this.#receivedSeqId;
  }
}
