import { createHmac, timingSafeEqual } from 'node:crypto';
import { ErrorCode } from '../protocol/error-codes.ts';
import {
  type Authenticator,
  type AuthRequest,
  type AuthResult,
  acceptOpenid,
  authFailed,
  refuse,
  tokenBytesMax,
} from './authenticator.ts';

/** B.E.S of the interface: base64url(openid), unix seconds, base64url(HMAC-SHA256(secret, "B.E")). */
const tokenShape = /^([A-Za-z0-9_-]{1,172})\.(\d{1,12})\.([A-Za-z0-9_-]{43})$/;

function signature(secret: Uint8Array, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url');
}

/** Makes a token. @param expirySeconds unix seconds after which it is refused. */
export function issueHmacToken(secret: Uint8Array, openid: string, expirySeconds: number): string {
  const text = `${Buffer.from(openid).toString('base64url')}.${Math.floor(expirySeconds)}`;
  return `${text}.${signature(secret, text)}`;
}

/** Tokens signed with a shared secret; several secrets are accepted while one replaces another. */
export class HmacAuthenticator implements Authenticator {
  readonly mode = 'hmac';
  readonly #secrets: readonly Uint8Array[];
  readonly #clockSkewMs: number;

  constructor(secrets: readonly Uint8Array[], clockSkewMs: number) {
    this.#secrets = secrets;
    this.#clockSkewMs = clockSkewMs;
  }

  authenticate(nowWallMs: number, request: AuthRequest): AuthResult {
    const token = request.authToken;
    if (token === '') {
      return authFailed('missing', 'auth_token is empty');
    }
    if (token.length > tokenBytesMax) {
      return authFailed('too_large', 'auth_token is too long');
    }
    const [, encodedOpenid, expiry, sign] = tokenShape.exec(token) ?? [];
    if (encodedOpenid === undefined || expiry === undefined || sign === undefined) {
      return authFailed('malformed', 'auth_token is not of the form B.E.S');
    }
    if (!this.#signed(`${encodedOpenid}.${expiry}`, sign)) {
      return authFailed('bad_signature', 'auth_token is not signed by a known secret');
    }
    if (nowWallMs > Number(expiry) * 1000 + this.#clockSkewMs) {
      return refuse(ErrorCode.ERROR_TOKEN_EXPIRED, 'expired', 'auth_token has expired');
    }
    return acceptOpenid(decodeOpenid(encodedOpenid), request.openid);
  }

  close(): void {}

  /** Compares the texts, not what they decode to: two spellings of one signature are two tokens. */
  #signed(text: string, sign: string): boolean {
    const given = Buffer.from(sign);
    let matched = false;
    for (const secret of this.#secrets) {
      matched = timingSafeEqual(given, Buffer.from(signature(secret, text))) || matched;
    }
    return matched;
  }
}

function decodeOpenid(encoded: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64url'));
  } catch {
    return undefined;
  }
}
