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
   * Asks for the answer to `key`.
   * @param answered called at once for a known answer, later for a running one.
   * @returns 'run' when the caller must carry it out and call `finish`; it is told like the others.
   */
  ask(key: string, nowMs: number, answered: (response: Response) => void): 'run' | 'known' {
    const known = this.#answers.get(key);
    if (known !== undefined && known.expiresAtMs > nowMs) {
      answered(known.response);
      return 'known';
    }
    const waiting = this.#running.get(key);
    if (waiting !== undefined) {
      waiting.push(answered);
      return 'known';
    }
    this.#running.set(key, [answered]);
    return 'run';
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
