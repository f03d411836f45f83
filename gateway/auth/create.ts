import { readFile } from 'node:fs/promises';
import { type ChannelCredentials, Metadata } from '@grpc/grpc-js';
import type { JSONWebKeySet } from 'jose';
import { type AuthenticateRequest, type AuthenticateResponse, AuthServiceClient } from '../../proto/gen/auth.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage, UsageError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { type Authenticator, NoneAuthenticator } from './authenticator.ts';
import { GrpcAuthenticator } from './grpc.ts';
import { HmacAuthenticator } from './hmac.ts';
import { KeySet } from './jwks.ts';
import { JwtAuthenticator } from './jwt.ts';
import { parseSecrets, secretBytesWanted } from './secrets.ts';

/** The `auth` section of the configuration, already checked. */
export interface AuthConfig {
  readonly mode: 'none' | 'hmac' | 'jwt' | 'grpc';
  readonly hmacSecretFile?: string | undefined;
  readonly clockSkewMs: number;
  readonly jwt: {
    readonly issuer?: string | undefined;
    readonly audience?: string | undefined;
    readonly jwksFile?: string | undefined;
    readonly jwksUrl?: string | undefined;
    readonly jwksCacheMs: number;
    readonly openidClaim: string;
    readonly algorithms: readonly string[];
  };
  readonly grpc: {
    readonly addr?: string | undefined;
    readonly timeoutMs: number;
    readonly cacheMs: number;
    readonly cacheMaxEntries: number;
    readonly maxConcurrent: number;
  };
}

export interface AuthPorts {
  readonly log: Logger;
  readonly clock: Clock;
  /** For mode grpc. */
  readonly grpcCredentials: ChannelCredentials;
}

const jwksBytesMax = 1_048_576;
const jwksTimeoutMs = 5000;
const jwksCooldownMs = 10_000;

/**
 * Makes the authenticator that the configuration names, reading its secrets or keys. A key URL or auth service that is down
 * now does not stop the start: clients are told TRY_LATER until it is back.
 * @throws UsageError when a file cannot be read or holds nothing usable.
 */
export async function createAuthenticator(config: AuthConfig, ports: AuthPorts): Promise<Authenticator> {
  switch (config.mode) {
    case 'none':
      return new NoneAuthenticator();
    case 'hmac':
      return new HmacAuthenticator(await readSecrets(config.hmacSecretFile ?? '', ports.log), config.clockSkewMs);
    case 'jwt':
      return createJwt(config, ports.log);
    case 'grpc':
      return createGrpc(config.grpc, ports);
  }
}

async function readSecrets(path: string, log: Logger): Promise<Uint8Array[]> {
  const place = `auth.hmac_secret_file: ${path}`;
  const secrets = parseSecrets(await readConfigured(place, path), place);
  if (secrets.some((secret) => secret.length < secretBytesWanted)) {
    log.warn({ file: path }, `a secret for tokens is shorter than ${secretBytesWanted} bytes`);
  }
  return secrets;
}

async function readConfigured(place: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new UsageError(`${place}: cannot be read: ${errorMessage(thrown)}`);
  }
}

async function createJwt(config: AuthConfig, log: Logger): Promise<Authenticator> {
  const { jwksFile, jwksUrl, jwksCacheMs, issuer, audience, openidClaim, algorithms } = config.jwt;
  const place = jwksFile === undefined ? `auth.jwt.jwks_url: ${jwksUrl}` : `auth.jwt.jwks_file: ${jwksFile}`;
  const load = async (): Promise<JSONWebKeySet> =>
    parseKeySet(jwksFile === undefined ? await fetchBounded(jwksUrl ?? '') : await readFile(jwksFile));
  if (jwksFile !== undefined) {
    try {
      await load();
    } catch (thrown) {
      throw new UsageError(`${place}: ${errorMessage(thrown)}`);
    }
  }
  const keys = new KeySet({
    load,
    maxAgeMs: jwksCacheMs,
    cooldownMs: jwksCooldownMs,
    onLoadError: (thrown) =>
      log.warn({ place, error: errorMessage(thrown) }, 'key set cannot be read, the last good one stays'),
  });
  return new JwtAuthenticator({
    keys,
    issuer: issuer ?? '',
    audience: audience ?? '',
    openidClaim,
    clockSkewMs: config.clockSkewMs,
    algorithms,
  });
}

/** @throws Error saying what a key set must look like. */
function parseKeySet(contents: Uint8Array): JSONWebKeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(contents).toString('utf8'));
  } catch {
    throw new Error('is not JSON, expected a JSON Web Key Set');
  }
  if (typeof parsed !== 'object' || parsed === null || !('keys' in parsed) || !Array.isArray(parsed.keys)) {
    throw new Error('has no list "keys", expected a JSON Web Key Set');
  }
  return parsed as JSONWebKeySet;
}

/** @throws Error when the answer is late, not 200 or too large. */
async function fetchBounded(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(jwksTimeoutMs) });
  if (!response.ok || response.body === null) {
    throw new Error(`answered ${response.status}, expected 200`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > jwksBytesMax) {
      throw new Error(`answered more than ${jwksBytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function createGrpc(config: AuthConfig['grpc'], ports: AuthPorts): Authenticator {
  const client = new AuthServiceClient(config.addr ?? '', ports.grpcCredentials);
  const ask = (request: AuthenticateRequest): Promise<AuthenticateResponse> => {
    const { promise, resolve, reject } = Promise.withResolvers<AuthenticateResponse>();
    const deadline = ports.clock.wallMs() + config.timeoutMs;
    client.authenticate(request, new Metadata(), { deadline }, (error, response) => {
      if (error === null) {
        resolve(response);
      } else {
        reject(error);
      }
    });
    return promise;
  };
  const { cacheMs, cacheMaxEntries, maxConcurrent } = config;
  return new GrpcAuthenticator({ ask, close: () => client.close(), cacheMs, cacheMaxEntries, maxConcurrent });
}
