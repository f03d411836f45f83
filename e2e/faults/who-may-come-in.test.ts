import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patientFlags, type RunningGateway, startGateway } from '../../bench/lib/gateways.ts';
import { issueHmacToken } from '../../gateway/auth/hmac.ts';
import { ErrorCode } from '../../proto/gen/message.ts';
import { RawClient } from './raw-client.ts';

const setUpDeadlineMs = 60_000;
const secret = 'a shared secret of many, many bytes';
const nowSeconds = () => Math.floor(Date.now() / 1000);

let folder: string;
const running: { gateway: RunningGateway; client: RawClient }[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatesvr-who-'));
});

afterAll(async () => {
  for (const { gateway, client } of running) {
    await client.stop();
    await gateway.process.stop();
  }
  await rm(folder, { recursive: true });
});

async function gatewayWith(...flags: readonly string[]) {
  const gateway = await startGateway([...flags, '--auth-clock-skew=0s', '--log-level=debug', ...patientFlags]);
  const one = { gateway, client: new RawClient(gateway.quicAddress) };
  running.push(one);
  return one;
}

async function file(name: string, contents: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, contents);
  return path;
}

/** The code a START is refused with, which is the code of the close too; 0 when it is accepted. */
async function codeFor(client: RawClient, openid: string, authToken: string): Promise<number> {
  const connection = await client.login(openid, { authToken });
  if (connection.session.success) return 0;
  const code = connection.session.error?.code ?? -1;
  expect(await connection.closeCode()).toBe(code);
  return code;
}

describe('with shared secrets', () => {
  let gateway: RunningGateway;
  let client: RawClient;

  beforeAll(async () => {
    ({ gateway, client } = await gatewayWith(
      '--auth-mode=hmac',
      `--auth-hmac-secret-file=${await file('secret', secret)}`,
    ));
  }, setUpDeadlineMs);

  it('lets in who has a token for the openid', async () => {
    const token = issueHmacToken(Buffer.from(secret), 'alice', nowSeconds() + 600);
    expect(await codeFor(client, 'alice', token)).toBe(0);
    expect(await codeFor(client, 'bob', token)).toBe(ErrorCode.ERROR_AUTH_FAILED);
  });

  it('refuses what is expired, forged or no token', async () => {
    const expired = issueHmacToken(Buffer.from(secret), 'alice', nowSeconds() - 5);
    expect(await codeFor(client, 'alice', expired)).toBe(ErrorCode.ERROR_TOKEN_EXPIRED);
    const forged = issueHmacToken(Buffer.from('guess'), 'alice', nowSeconds() + 600);
    for (const token of [forged, '', 'x', 'a.b.c', 'x'.repeat(20_000)]) {
      expect(await codeFor(client, 'alice', token)).toBe(ErrorCode.ERROR_AUTH_FAILED);
    }
  });

  it('refuses a stolen session id without proof (42)', async () => {
    const token = issueHmacToken(Buffer.from(secret), 'victim', nowSeconds() + 600);
    const victim = await client.login('victim', { authToken: token });
    const { sessionId, epoch } = victim.session;
    const thief = await client.login('victim', { sessionId, epoch });
    expect(thief.session).toMatchObject({ success: false, error: { code: ErrorCode.ERROR_AUTH_FAILED } });
    const mallory = issueHmacToken(Buffer.from(secret), 'mallory', nowSeconds() + 600);
    const other = await client.login('mallory', { sessionId, epoch, authToken: mallory });
    expect(other.session.resumed).toBe(false);
    expect(victim.closed).toBeUndefined();
  });

  it('tells no log of tokens, and prints no stack', () => {
    expect(gateway.process.output).not.toMatch(/eyJ|\.[0-9]{10}\.|shared secret of|^\s+at /m);
  });
});

describe('with JSON Web Tokens', () => {
  let client: RawClient;
  let sign: (claims: object) => Promise<string>;

  beforeAll(async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    sign = (claims) => new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
    const keys = await file('jwks.json', JSON.stringify({ keys: [await exportJWK(publicKey)] }));
    const flags = ['--auth-jwt-issuer=https://id.example', '--auth-jwt-audience=game', `--auth-jwt-jwks-file=${keys}`];
    ({ client } = await gatewayWith('--auth-mode=jwt', ...flags));
  }, setUpDeadlineMs);

  it('lets in the subject, and refuses every other token with its code', async () => {
    const good = { sub: 'alice', iss: 'https://id.example', aud: 'game', exp: nowSeconds() + 600 };
    const stranger = await generateKeyPair('ES256');
    const table: [string, number][] = [
      [await sign(good), 0],
      [await sign({ ...good, exp: nowSeconds() - 5 }), ErrorCode.ERROR_TOKEN_EXPIRED],
      [await sign({ ...good, nbf: nowSeconds() + 60 }), ErrorCode.ERROR_AUTH_FAILED],
      [await sign({ ...good, aud: 'shop' }), ErrorCode.ERROR_AUTH_FAILED],
      [await sign({ ...good, iss: 'https://evil.example' }), ErrorCode.ERROR_AUTH_FAILED],
      [
        await new SignJWT(good).setProtectedHeader({ alg: 'ES256' }).sign(stranger.privateKey),
        ErrorCode.ERROR_AUTH_FAILED,
      ],
      [`${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`, ErrorCode.ERROR_AUTH_FAILED],
    ];
    for (const [token, code] of table) expect(await codeFor(client, 'alice', token)).toBe(code);
  });
});

describe('with keys that cannot be had', () => {
  it(
    'says try later',
    async () => {
      const { client } = await gatewayWith('--auth-mode=jwt', '--auth-jwt-jwks-url=http://127.0.0.1:9/keys');
      const { privateKey } = await generateKeyPair('ES256');
      const token = await new SignJWT({ sub: 'a', exp: nowSeconds() + 60 })
        .setProtectedHeader({ alg: 'ES256' })
        .sign(privateKey);
      expect(await codeFor(client, 'a', token)).toBe(ErrorCode.ERROR_TRY_LATER);
    },
    setUpDeadlineMs,
  );
});
