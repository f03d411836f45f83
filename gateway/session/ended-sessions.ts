import { ErrorCode, nextStep } from '../protocol/error-codes.ts';
import { endedSessionsMax } from './limits.ts';

/** Remembers, for a bounded number of sessions, why they ended, so that a client that comes back is told. */
export class EndedSessions {
  #codes = new Map<string, number>();
  /** A ring of the sessions remembered; the oldest is at `#oldest` once it is full. */
  #order: string[] = [];
  #oldest = 0;

  add(sessionId: string, code: number): void {
    if (this.#order.length < endedSessionsMax) {
      this.#order.push(sessionId);
    } else {
      this.#codes.delete(this.#order[this.#oldest] ?? '');
      this.#order[this.#oldest] = sessionId;
      this.#oldest = (this.#oldest + 1) % endedSessionsMax;
    }
    this.#codes.set(sessionId, code);
  }

  has(sessionId: string): boolean {
    return this.#codes.has(sessionId);
  }

  /** The code for a resume of a session that is not there: only codes that stop it from resuming again. */
  resumeCode(sessionId: string): number {
    const code = this.#codes.get(sessionId);
    if (code === undefined) return ErrorCode.ERROR_SESSION_NOT_FOUND;
    const step = nextStep(code);
    return step === 'login' || step === 'stop' ? code : ErrorCode.ERROR_SESSION_NOT_FOUND;
  }

  /** All that are remembered, the oldest first. */
  *entries(): Generator<{ sessionId: string; code: number }, void, void> {
    for (let n = 0; n < this.#order.length; n += 1) {
      const sessionId = this.#order[(this.#oldest + n) % this.#order.length] ?? '';
      yield { sessionId, code: this.#codes.get(sessionId) ?? 0 };
    }
  }

  clear(): void {
    this.#codes.clear();
    this.#order = [];
    this.#oldest = 0;
  }
}
