/** Why a push was not accepted. `unknown`: it may have been, and can no longer be told; do not send it as a new one. */
export type PushFailure =
  | 'no-session'
  | 'queue-full'
  | 'too-large'
  | 'expired'
  | 'not-primary'
  | 'overloaded'
  | 'invalid'
  | 'unavailable'
  | 'unknown';

/** A push or broadcast that was not accepted, or not surely. */
export class PushError extends Error {
  override readonly name = 'PushError';
  readonly failure: PushFailure;
  readonly pushId: string;
  /** 0: no advice. */
  readonly retryAfterMs: number;

  constructor(failure: PushFailure, pushId: string, message: string, retryAfterMs = 0) {
    super(`push ${pushId}: ${failure}: ${message}`);
    this.failure = failure;
    this.pushId = pushId;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The zone server cannot listen where it was told to. */
export class ZoneListenError extends Error {
  override readonly name = 'ZoneListenError';
}

/** The server was given options it cannot work with: names the option, its value and what was expected. */
export class ZoneOptionsError extends Error {
  override readonly name = 'ZoneOptionsError';
}
