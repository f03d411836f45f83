import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthServiceServer, AuthServiceService } from '../../proto/gen/auth.ts';
import { systemClock } from '../lib/clock.ts';
import { UsageError } from '../lib/errors.ts';
import { silentLogger } from '../lib/log.ts';
import type { AuthRequest } from './authenticator.ts';
import { type AuthConfig, createAuthenticator } from './create.ts';
import { issueHmacToken } from './hmac.ts';

let folder: string;
const ports = { log: silentLogger, clock: systemClock, grpcCredentials: credentials.createInsecure() };
const nowMs = systemClock.wallMs();
const laterSeconds = Math.floor(nowMs / 1000) + 600;

const base: AuthConfig = {
  mode: 'none',
  clockSkewMs: 0,
  jwt: { jwksCacheMs: 1000, openidClaim: 'sub', algorithms: ['ES256'] },
  grpc: { timeoutMs: 2000, cacheMs: 1000, cacheMaxEntries: 10, maxConcurrent: 10 },
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatesvr-auth-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, contents: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
}

function request(authToken: string, openid = ''): AuthRequest {
  return { openid, authToken, clientId: '', address: '127.0.0.1' };
}

async function signed() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const token = await new SignJWT({ sub: 'alice', exp: laterSeconds })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(privateKey);
  return { token, keySet: JSON.stringify({ keys: [await exportJWK(publicKey)] }) };
}

describe('createAuthenticator', () => {
  it('makes mode none and mode hmac', async () => {
    const none = await createAuthenticator(base, ports);
    expect(await none.authenticate(nowMs, request('', 'alice'))).toEqual({ ok: true, openid: 'alice' });
    const hmacSecretFile = await file('secret', 'a secret of thirty-two bytes, ok\n');
    const hmac = await createAuthenticator({ ...base, mode: 'hmac', hmacSecretFile }, ports);
    const token = issueHmacToken(Buffer.from('a secret of thirty-two bytes, ok'), 'bob', laterSeconds);
    expect(await hmac.authenticate(nowMs, request(token))).toEqual({ ok: true, openid: 'bob' });
  });

  it('says which file is wrong, and how', async () => {
    const empty = await file('empty', '\n');
    const text = await file('text', 'no json');
    const list = await file('list', '{"keys": 1}');
    const wrong: [Partial<AuthConfig>, string][] = [
      [{ mode: 'hmac', hmacSecretFile: '/no/such' }, 'auth.hmac_secret_file: /no/such: cannot be read'],
      [{ mode: 'hmac', hmacSecretFile: empty }, `auth.hmac_secret_file: ${empty} holds no secret`],
      [{ mode: 'jwt', jwt: { ...base.jwt, jwksFile: text } }, `auth.jwt.jwks_file: ${text}: is not JSON`],
      [{ mode: 'jwt', jwt: { ...base.jwt, jwksFile: list } }, `auth.jwt.jwks_file: ${list}: has no list "keys"`],
    ];
    for (const [change, message] of wrong) {
      const made = createAuthenticator({ ...base, ...change }, ports);
      await expect(made).rejects.toThrow(message);
      await expect(made).rejects.toThrow(UsageError);
    }
  });

  it('reads keys from a file', async () => {
    const { token, keySet } = await signed();
    const jwksFile = await file('jwks.json', keySet);
    const jwt = await createAuthenticator({ ...base, mode: 'jwt', jwt: { ...base.jwt, jwksFile } }, ports);
    expect(await jwt.authenticate(nowMs, request(token))).toEqual({ ok: true, openid: 'alice' });
  });

  it('fetches keys from a URL and outlives its failures', async () => {
    const { token, keySet } = await signed();
    let answer: [status: number, body: string] = [500, ''];
    const server: Server = createServer((_request, response) => {
      response.writeHead(answer[0]).end(answer[1]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const jwt = await createAuthenticator({ ...base, mode: 'jwt', jwt: { ...base.jwt, jwksUrl } }, ports);
    const bad: [number, string][] = [
      [500, ''],
      [200, 'x'.repeat(1_048_577)],
      [302, ''],
      [200, '[]'],
    ];
    for (const [index, one] of bad.entries()) {
      answer = one;
      expect(await jwt.authenticate(nowMs + index * 10_000, request(token))).toMatchObject({ code: 2008 });
    }
    answer = [200, keySet];
    expect(await jwt.authenticate(nowMs + 50_000, request(token))).toEqual({ ok: true, openid: 'alice' });
    await new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    expect(await jwt.authenticate(nowMs + 70_000, request(token))).toEqual({ ok: true, openid: 'alice' });
  });

  it('asks a gRPC service, with a deadline', async () => {
    const service: AuthServiceServer = {
      authenticate: (call, respond) => {
        if (call.request.authToken === 'hang') return;
        respond(null, { success: true, openid: call.request.authToken, code: 0, cacheMs: 0, loginGeneration: 0n });
      },
    };
    const server = new GrpcServer();
    server.addService(AuthServiceService, service);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    const config: AuthConfig = {
      ...base,
      mode: 'grpc',
      grpc: { ...base.grpc, addr: `127.0.0.1:${port}`, timeoutMs: 300 },
    };
    const grpc = await createAuthenticator(config, ports);
    expect(await grpc.authenticate(nowMs, request('carol'))).toEqual({ ok: true, openid: 'carol' });
    expect(await grpc.authenticate(nowMs, request('hang'))).toMatchObject({
      code: 2008,
      reason: 'service_unavailable',
    });
    server.forceShutdown();
    expect(await grpc.authenticate(nowMs, request('carol'))).toMatchObject({
      code: 2008,
      reason: 'service_unavailable',
    });
    grpc.close();
  });
});
