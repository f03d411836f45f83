import { ErrorCode, nextStep } from '../protocol/error-codes.ts';
import { endedSessionsMax } from './limits.ts';

/** Remembers, for a bounded number of sessions, why they ended, so that a client that comes back is told. */
export class EndedSessions {
  readonly codes = new Map<string, number>();

  add(sessionId: string, code: number): void {
    this.codes.set(sessionId, code);
    if (this.codes.size <= endedSessionsMax) return;
    for (const oldest of this.codes.keys()) {
      this.codes.delete(oldest);
      return;
    }
  }

  /** The code for a resume of a session that is not there: only codes that stop it from resuming again. */
  resumeCode(sessionId: string): number {
    const code = this.codes.get(sessionId);
    if (code === undefined) return ErrorCode.ERROR_SESSION_NOT_FOUND;
    const step = nextStep(code);
    return step === 'login' || step === 'stop' ? code : ErrorCode.ERROR_SESSION_NOT_FOUND;
  }
}
