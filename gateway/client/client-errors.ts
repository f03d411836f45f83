import type { Error as ServerError } from '../../proto/gen/message.ts';
import { ErrorCode, errorCodeName } from '../protocol/error-codes.ts';

/** Base of everything the SDK throws: `code` as in the interface's table, 0 when no gateway said anything. */
export class GatesvrError extends Error {
  override readonly name: string = 'GatesvrError';
  readonly code: number;
  /** "QUEUE_FULL" for 1004; for code 0 what happened on this side, such as "TIMEOUT". */
  readonly codeName: string;

  constructor(code: number, message: string, codeName = errorCodeName(code), options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.codeName = codeName;
  }
}

/** No session could be had: `code` 0 means that no gateway answered in time, anything else that one refused. */
export class ConnectError extends GatesvrError {
  override readonly name = 'ConnectError';

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(code, message, code === 0 ? 'CONNECT_FAILED' : errorCodeName(code), options);
  }
}

/**
 * What is known of a request that failed. refused: it reached no zone. failed: the zone, or the gateway in its place, said no.
 * unknown: it may have been carried out.
 */
export type RequestOutcome = 'refused' | 'failed' | 'unknown';

/** A request was refused, or answered with an error. */
export class RequestError extends GatesvrError {
  override readonly name: string = 'RequestError';
  readonly outcome: RequestOutcome;
  /** 0: the gateway gave no hint. */
  readonly retryAfterMs: number;

  constructor(code: number, message: string, outcome: RequestOutcome, retryAfterMs = 0, codeName?: string) {
    super(code, message, codeName);
    this.outcome = outcome;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The request's own deadline passed before an answer came. */
export class RequestTimeoutError extends RequestError {
  override readonly name = 'RequestTimeoutError';

  constructor(outcome: RequestOutcome, timeoutMs: number) {
    super(0, `no answer within ${timeoutMs} ms`, outcome, 0, 'TIMEOUT');
  }
}

/** The session is gone while the request was under way: whether it was carried out is unknown. */
export class SessionLostError extends RequestError {
  override readonly name = 'SessionLostError';

  constructor(code: number) {
    super(code, `the session was lost (${errorCodeName(code)})`, 'unknown');
  }
}

/** The client is closed: by `close()` (code 0), or by a terminal code of the gateway. */
export class ClosedError extends GatesvrError {
  override readonly name = 'ClosedError';

  constructor(code: number, message: string) {
    super(code, message, code === 0 ? 'CLOSED' : errorCodeName(code));
  }
}

/** The gateway broke the protocol: a gap in the numbers, an undecodable frame, a lower epoch. The connection is given up. */
export class ProtocolViolationError extends GatesvrError {
  override readonly name = 'ProtocolViolationError';

  constructor(message: string) {
    super(ErrorCode.ERROR_PROTOCOL, message);
  }
}

export const noError: ServerError = { code: 0, message: 'refused without a code', retryAfterMs: 0, redirect: '' };

/** What an unsuccessful response says. ZONE_TIMEOUT is the gateway's word that nobody knows the outcome. */
export function responseError(error: ServerError | undefined): RequestError {
  const { code, message, retryAfterMs } = error ?? noError;
  const outcome = code === ErrorCode.ERROR_ZONE_TIMEOUT ? 'unknown' : 'failed';
  return new RequestError(code, message, outcome, retryAfterMs);
}

/** What a request on a closed client fails with. @param ended what closed it, if `close()` did not. */
export function closedRequest(ended: GatesvrError | undefined, outcome: RequestOutcome): RequestError {
  const { code, message, codeName } = ended ?? new ClosedError(0, 'the client is closed');
  return new RequestError(code, message, outcome, 0, codeName);
}
