export interface AnswerMemoryLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly keepMs: number;
}

interface Answer<Response> {
  readonly bytes: number;
  readonly response: Response;
  readonly expiresAtMs: number;
}

/**
 * Remembers answers so that a repeat of a request gets the one that was given and is not carried out twice; a repeat of one
 * still running waits for it. Oldest answers go first when a limit is met. Pure: time comes in.
 */
export class AnswerMemory<Response> {
  #limits: AnswerMemoryLimits;
  #answers = new Map<string, Answer<Response>>();
  #running = new Map<string, ((response: Response) => void)[]>();
  #bytes = 0;

  constructor(limits: AnswerMemoryLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#answers.size;
  }

  /**
   * Hears the answer to a repeat: at once when it is known, later when the first one still runs.
   * @returns false for one never seen, or forgotten.
   */
  join(key: string, nowMs: number, answered: (response: Response) => void): boolean {
    const known = this.#answers.get(key);
    if (known !== undefined && known.expiresAtMs > nowMs) {
      answered(known.response);
      return true;
    }
    const waiting = this.#running.get(key);
    waiting?.push(answered);
    return waiting !== undefined;
  }

  /** The caller carries it out and calls `finish`, which tells it like the others. */
  begin(key: string, answered: (response: Response) => void): void {
    this.#running.set(key, [answered]);
  }

  /** @param bytes what the response counts for in the limit. */
  finish(key: string, response: Response, bytes: number, nowMs: number): void {
    const waiting = this.#running.get(key) ?? [];
    this.#running.delete(key);
    this.#forget(key);
    this.#answers.set(key, { bytes, response, expiresAtMs: nowMs + this.#limits.keepMs });
    this.#bytes += bytes;
    for (const [oldest, answer] of this.#answers) {
      const over = this.#answers.size > this.#limits.entriesMax || this.#bytes > this.#limits.bytesMax;
      if (!over && answer.expiresAtMs > nowMs) break;
      this.#forget(oldest);
    }
    for (const answered of waiting) answered(response);
  }

  #forget(key: string): void {
    const answer = this.#answers.get(key);
    if (answer === undefined) return;
    this.#bytes -= answer.bytes;
    this.#answers.delete(key);
  }
}
