/** A timer that fires later than this did not see the time pass: the process was stopped, not the gateway. */
const lateMs = 1000;

/** Says when to send a heartbeat, and when the silence after one means that the connection is dead. */
export class Liveness {
  readonly #timeoutMs: number;
  #intervalMs = 0;
  #nextBeatMs = Number.POSITIVE_INFINITY;
  #deadMs = Number.POSITIVE_INFINITY;

  /** @param timeoutMs how long a heartbeat may stay without any frame from the gateway. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** @param phase 0..1, spreads the heartbeats of many clients that started together. */
  begin(intervalMs: number, nowMs: number, phase: number): void {
    this.#intervalMs = intervalMs;
    this.#nextBeatMs = nowMs + intervalMs * (0.5 + phase / 2);
    this.#deadMs = Number.POSITIVE_INFINITY;
  }

  end(): void {
    this.#nextBeatMs = Number.POSITIVE_INFINITY;
    this.#deadMs = Number.POSITIVE_INFINITY;
  }

  /** Any frame from the gateway is a sign of life. */
  received(): void {
    this.#deadMs = Number.POSITIVE_INFINITY;
  }

  get dueMs(): number {
    return Math.min(this.#nextBeatMs, this.#deadMs);
  }

  tick(nowMs: number): 'quiet' | 'beat' | 'dead' {
    if (nowMs >= this.#deadMs) {
      if (nowMs < this.#deadMs + lateMs) return 'dead';
      this.#deadMs = nowMs + this.#timeoutMs;
    }
    if (nowMs < this.#nextBeatMs) return 'quiet';
    this.#nextBeatMs = nowMs + this.#intervalMs;
    this.#deadMs = Math.min(this.#deadMs, nowMs + this.#timeoutMs);
    return 'beat';
  }
}
