import { ErrorCode } from '../protocol/error-codes.ts';

/** What a START brings to prove who sends it. */
export interface AuthRequest {
  /** The client's word; may be empty, and must match the proof when it is not. */
  readonly openid: string;
  readonly authToken: string;
  readonly clientId: string;
  /** The client's IP address. */
  readonly address: string;
}

/** Counted labels of refusals. */
const authReasons = [
  'missing',
  'malformed',
  'too_large',
  'bad_signature',
  'unknown_key',
  'expired',
  'not_yet_valid',
  'wrong_issuer',
  'wrong_audience',
  'bad_openid',
  'openid_mismatch',
  'refused',
  'keys_unavailable',
  'service_unavailable',
  'busy',
] as const;

export type AuthReason = (typeof authReasons)[number];

export interface AuthAccepted {
  readonly ok: true;
  /** Who the client is, from the proof. */
  readonly openid: string;
  /** Rises with each login where the source knows it; a lower one is an older login. */
  readonly loginGeneration?: number;
}

export interface AuthRefused {
  readonly ok: false;
  /** TOKEN_EXPIRED: log in again. AUTH_FAILED: stop. TRY_LATER: the proof could not be judged now. */
  readonly code: ErrorCode;
  readonly reason: AuthReason;
  /** For the client; never contains any part of a token. */
  readonly message: string;
}

export type AuthResult = AuthAccepted | AuthRefused;

/** Tells who a client is. */
export interface Authenticator {
  readonly mode: 'none' | 'hmac' | 'jwt' | 'grpc';
  /** @param nowWallMs milliseconds since the Unix epoch, for the expiry of tokens. Never rejects. */
  authenticate(nowWallMs: number, request: AuthRequest): AuthResult | Promise<AuthResult>;
  /** Frees connections; nothing is asked afterwards. */
  close(): void;
}

/** Tokens are refused unseen above this. */
export const tokenBytesMax = 8192;

const openidBytesMax = 128;

export function refuse(code: ErrorCode, reason: AuthReason, message: string): AuthRefused {
  return { ok: false, code, reason, message };
}

export function authFailed(reason: AuthReason, message: string): AuthRefused {
  return refuse(ErrorCode.ERROR_AUTH_FAILED, reason, message);
}

/** Whether a text may be an openid: 1 to 128 bytes of UTF-8 (interface, "Messages"). */
export function isOpenid(openid: string): boolean {
  return openid !== '' && openid.isWellFormed() && Buffer.byteLength(openid) <= openidBytesMax;
}

/** The common end of every proof: the openid it names must be one, and be the one the client claims, if it claims any. */
export function acceptOpenid(openid: unknown, claimed: string, loginGeneration?: number): AuthResult {
  if (typeof openid !== 'string' || !isOpenid(openid)) {
    return authFailed('bad_openid', 'the token names no openid of 1 to 128 bytes');
  }
  if (claimed !== '' && claimed !== openid) {
    return authFailed('openid_mismatch', 'the openid is not the one the token was made for');
  }
  return loginGeneration === undefined ? { ok: true, openid } : { ok: true, openid, loginGeneration };
}

/** Development only: the client's word is believed. */
export class NoneAuthenticator implements Authenticator {
  readonly mode = 'none';

  authenticate(_nowWallMs: number, request: AuthRequest): AuthResult {
    return isOpenid(request.openid)
      ? { ok: true, openid: request.openid }
      : authFailed('bad_openid', 'openid must have 1 to 128 bytes');
  }

  close(): void {}
}
