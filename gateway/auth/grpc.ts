import { createHash } from 'node:crypto';
import type { AuthenticateRequest, AuthenticateResponse } from '../../proto/gen/auth.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import {
  type Authenticator,
  type AuthReason,
  type AuthRequest,
  type AuthResult,
  acceptOpenid,
  authFailed,
  isOpenid,
  refuse,
  tokenBytesMax,
} from './authenticator.ts';

export interface GrpcAuthOptions {
  /** Asks the auth service; rejects when there is no answer within its deadline. */
  readonly ask: (request: AuthenticateRequest) => Promise<AuthenticateResponse>;
  readonly close: () => void;
  /** The longest an answer is kept; the service may say less. 0: nothing is kept. */
  readonly cacheMs: number;
  readonly cacheMaxEntries: number;
  readonly maxConcurrent: number;
}

interface Cached {
  readonly result: AuthResult;
  readonly untilMs: number;
}

/** A refusal is kept only this long, so that a user who was just made gets in. */
const refusalCacheMs = 1000;

/** Asks an auth service. Answers are kept under a hash of the token, so that no token stays in memory. */
export class GrpcAuthenticator implements Authenticator {
  readonly mode = 'grpc';
  readonly #options: GrpcAuthOptions;
  /** In the order of last use, the oldest first. */
  readonly #cache = new Map<string, Cached>();
  #open = 0;

  constructor(options: GrpcAuthOptions) {
    this.#options = options;
  }

  authenticate(nowWallMs: number, request: AuthRequest): AuthResult | Promise<AuthResult> {
    if (request.authToken === '') {
      return authFailed('missing', 'auth_token is empty');
    }
    if (request.authToken.length > tokenBytesMax) {
      return authFailed('too_large', 'auth_token is too long');
    }
    if (request.openid !== '' && !isOpenid(request.openid)) {
      return authFailed('bad_openid', 'openid must have 1 to 128 bytes');
    }
    const key = cacheKey(request);
    const cached = this.#cached(nowWallMs, key);
    if (cached !== undefined) {
      return cached;
    }
    if (this.#open >= this.#options.maxConcurrent) {
      return refuse(ErrorCode.ERROR_TRY_LATER, 'busy', 'too many logins are being checked');
    }
    return this.#ask(nowWallMs, key, request);
  }

  close(): void {
    this.#options.close();
  }

  async #ask(nowWallMs: number, key: string, request: AuthRequest): Promise<AuthResult> {
    this.#open += 1;
    try {
      const response = await this.#options.ask({
        openid: request.openid,
        authToken: request.authToken,
        clientId: request.clientId,
        userIp: request.address,
      });
      const result = resultOf(response, request.openid);
      this.#keep(nowWallMs, key, result, response.cacheMs);
      return result;
    } catch {
      return refuse(ErrorCode.ERROR_TRY_LATER, 'service_unavailable', 'the auth service does not answer');
    } finally {
      this.#open -= 1;
    }
  }

  #cached(nowMs: number, key: string): AuthResult | undefined {
    const cached = this.#cache.get(key);
    if (cached === undefined) {
      return undefined;
    }
    this.#cache.delete(key);
    if (nowMs >= cached.untilMs) {
      return undefined;
    }
    this.#cache.set(key, cached);
    return cached.result;
  }

  #keep(nowMs: number, key: string, result: AuthResult, allowedMs: number): void {
    if (!result.ok && result.code === ErrorCode.ERROR_TRY_LATER) {
      return;
    }
    const keepMs = Math.min(allowedMs, this.#options.cacheMs, result.ok ? Number.POSITIVE_INFINITY : refusalCacheMs);
    if (keepMs <= 0 || this.#options.cacheMaxEntries <= 0) {
      return;
    }
    this.#cache.set(key, { result, untilMs: nowMs + keepMs });
    if (this.#cache.size > this.#options.cacheMaxEntries) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
  }
}

/** All that an answer may depend on; lengths keep two requests from looking like one. */
function cacheKey(request: AuthRequest): string {
  const hash = createHash('sha256');
  for (const part of [request.openid, request.authToken, request.clientId, request.address]) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  return hash.digest('base64');
}

const refusals = new Map<number, AuthReason>([
  [ErrorCode.ERROR_TOKEN_EXPIRED, 'expired'],
  [ErrorCode.ERROR_TRY_LATER, 'service_unavailable'],
]);

function resultOf(response: AuthenticateResponse, claimed: string): AuthResult {
  if (!response.success) {
    const reason = refusals.get(response.code);
    return reason === undefined
      ? authFailed('refused', 'the auth service refused the token')
      : refuse(response.code, reason, 'the auth service refused the token');
  }
  const generation = response.loginGeneration === 0n ? undefined : Number(response.loginGeneration);
  return acceptOpenid(response.openid, claimed, generation);
}
