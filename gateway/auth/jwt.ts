import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { ErrorCode } from '../protocol/error-codes.ts';
import {
  type Authenticator,
  type AuthRefused,
  type AuthRequest,
  type AuthResult,
  acceptOpenid,
  authFailed,
  refuse,
  tokenBytesMax,
} from './authenticator.ts';
import { type KeySet, KeysUnavailableError } from './jwks.ts';

export interface JwtOptions {
  readonly keys: KeySet;
  /** Empty: any issuer. */
  readonly issuer: string;
  /** Empty: any audience. */
  readonly audience: string;
  readonly openidClaim: string;
  readonly clockSkewMs: number;
  /** Signatures by a private key only, so that a public key can never serve as a shared secret. */
  readonly algorithms: readonly string[];
}

/** JSON Web Tokens (RFC 7519) signed by a key of a key set, with an expiry. */
export class JwtAuthenticator implements Authenticator {
  readonly mode = 'jwt';
  readonly #options: JwtOptions;

  constructor(options: JwtOptions) {
    this.#options = options;
  }

  async authenticate(nowWallMs: number, request: AuthRequest): Promise<AuthResult> {
    const { keys, issuer, audience, openidClaim, clockSkewMs, algorithms } = this.#options;
    const token = request.authToken;
    if (token === '') {
      return authFailed('missing', 'auth_token is empty');
    }
    if (token.length > tokenBytesMax) {
      return authFailed('too_large', 'auth_token is too long');
    }
    const findKey: JWTVerifyGetKey = (header, input) => keys.key(nowWallMs, header, input);
    try {
      const { payload } = await jwtVerify(token, findKey, {
        algorithms: [...algorithms],
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(nowWallMs),
        requiredClaims: ['exp'],
        ...(issuer === '' ? {} : { issuer }),
        ...(audience === '' ? {} : { audience }),
      });
      return acceptOpenid(payload[openidClaim], request.openid);
    } catch (thrown) {
      return refusalFor(thrown);
    }
  }

  close(): void {}
}

function refusalFor(thrown: unknown): AuthRefused {
  if (thrown instanceof KeysUnavailableError) {
    return refuse(ErrorCode.ERROR_TRY_LATER, 'keys_unavailable', 'the keys to check auth_token are not available');
  }
  if (thrown instanceof errors.JWTExpired) {
    return refuse(ErrorCode.ERROR_TOKEN_EXPIRED, 'expired', 'auth_token has expired');
  }
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    return claimRefusal(thrown.claim);
  }
  if (thrown instanceof errors.JWSSignatureVerificationFailed) {
    return authFailed('bad_signature', 'auth_token is not signed by a known key');
  }
  if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSMultipleMatchingKeys) {
    return authFailed('unknown_key', 'auth_token names no key that is known');
  }
  return authFailed('malformed', 'auth_token is not an acceptable JSON Web Token');
}

function claimRefusal(claim: string): AuthRefused {
  switch (claim) {
    case 'nbf':
      return authFailed('not_yet_valid', 'auth_token is not valid yet');
    case 'iss':
      return authFailed('wrong_issuer', 'auth_token has another issuer');
    case 'aud':
      return authFailed('wrong_audience', 'auth_token is for another audience');
    default:
      return authFailed('malformed', 'auth_token lacks a claim or has a wrong one');
  }
}
