import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AuthResult } from './authenticator.ts';
import { KeySet } from './jwks.ts';
import { JwtAuthenticator } from './jwt.ts';

const nowMs = 1_700_000_000_000;
const nowSeconds = nowMs / 1000;
type Pair = Awaited<ReturnType<typeof generateKeyPair>>;
const pairs = new Map<string, Pair>();
let stranger: Pair;
let keySet: JSONWebKeySet;
let authenticator: JwtAuthenticator;

beforeAll(async () => {
  const keys: object[] = [];
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const pair = await generateKeyPair(alg, { extractable: true });
    pairs.set(alg, pair);
    keys.push({ ...(await exportJWK(pair.publicKey)), kid: alg, use: 'sig' });
  }
  stranger = await generateKeyPair('ES256');
  keySet = { keys } as JSONWebKeySet;
  authenticator = withKeys(new KeySet({ load: async () => keySet, maxAgeMs: 60_000, cooldownMs: 1000 }));
});

function withKeys(keys: KeySet): JwtAuthenticator {
  return new JwtAuthenticator({
    keys,
    issuer: 'https://id.example',
    audience: 'gatesvr',
    openidClaim: 'sub',
    clockSkewMs: 30_000,
    algorithms: ['RS256', 'ES256', 'EdDSA'],
  });
}

const good: JWTPayload = { sub: 'alice', iss: 'https://id.example', aud: 'gatesvr', exp: nowSeconds + 3600 };

async function token(payload: JWTPayload = good, alg = 'ES256', key?: Pair['privateKey'], kid = alg): Promise<string> {
  const privateKey = key ?? (pairs.get(alg) as Pair).privateKey;
  return new SignJWT(payload).setProtectedHeader({ alg, kid }).sign(privateKey);
}

function check(authToken: string, openid = '', by = authenticator, atMs = nowMs): Promise<AuthResult> {
  return by.authenticate(atMs, { openid, authToken, clientId: '', address: '192.0.2.1' });
}

const base64 = (value: object | string): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

describe('jwt tokens', () => {
  it.each(['RS256', 'ES256', 'EdDSA'])('signed with %s prove their subject', async (alg) => {
    expect(await check(await token(good, alg))).toEqual({ ok: true, openid: 'alice' });
    expect(await check(await token(good, alg), 'bob')).toMatchObject({ code: 4003, reason: 'openid_mismatch' });
  });

  const wrong: readonly [name: string, payload: JWTPayload, code: number, reason: string][] = [
    ['expired', { ...good, exp: nowSeconds - 31 }, 3007, 'expired'],
    ['not valid yet', { ...good, nbf: nowSeconds + 31 }, 4003, 'not_yet_valid'],
    ['for another audience', { ...good, aud: 'shop' }, 4003, 'wrong_audience'],
    ['without an audience', { sub: 'alice', iss: 'https://id.example', exp: nowSeconds + 60 }, 4003, 'wrong_audience'],
    ['from another issuer', { ...good, iss: 'https://evil.example' }, 4003, 'wrong_issuer'],
    ['without an expiry', { sub: 'alice', iss: 'https://id.example', aud: 'gatesvr' }, 4003, 'malformed'],
    ['without a subject', { iss: 'https://id.example', aud: 'gatesvr', exp: nowSeconds + 60 }, 4003, 'bad_openid'],
    ['with a subject too long', { ...good, sub: 'x'.repeat(129) }, 4003, 'bad_openid'],
    ['with a subject that is no text', { ...good, sub: 7 as unknown as string }, 4003, 'bad_openid'],
  ];
  it.each(wrong)('%s are refused', async (_name, payload, code, reason) => {
    expect(await check(await token(payload))).toMatchObject({ ok: false, code, reason });
  });

  it('are given the clock skew', async () => {
    expect((await check(await token({ ...good, exp: nowSeconds - 29 }))).ok).toBe(true);
    expect((await check(await token({ ...good, nbf: nowSeconds + 29 }))).ok).toBe(true);
  });

  it('signed by a key that is not ours are refused', async () => {
    expect(await check(await token(good, 'ES256', stranger.privateKey))).toMatchObject({ reason: 'bad_signature' });
    expect(await check(await token(good, 'ES256', stranger.privateKey, 'no-such-key'))).toMatchObject({
      reason: 'unknown_key',
    });
  });

  it('without a signature or with one by the public key as secret are refused', async () => {
    const body = base64(good);
    const rsaKey = keySet.keys.find((key) => key.kid === 'RS256');
    const header = base64({ alg: 'HS256', kid: 'RS256' });
    const confused = createHmac('sha256', JSON.stringify(rsaKey)).update(`${header}.${body}`).digest('base64url');
    const forged = [
      `${base64({ alg: 'none' })}.${body}.`,
      `${base64({ alg: 'None', kid: 'ES256' })}.${body}.AAAA`,
      `${header}.${body}.${confused}`,
      `${base64({ alg: 'PS256', kid: 'RS256' })}.${body}.AAAA`,
      `${base64({ alg: 'ES256', kid: 'ES256', crit: ['x'] })}.${body}.AAAA`,
    ];
    for (const one of forged) expect(await check(one)).toMatchObject({ ok: false, code: 4003 });
  });

  it('that are no tokens are refused', async () => {
    for (const one of ['', '.', '..', 'a.b', 'a.b.c', '....', 'é.é.é', `${base64('{')}.${base64('{')}.x`]) {
      expect(await check(one)).toMatchObject({ ok: false, code: 4003 });
    }
    expect(await check('x'.repeat(8193))).toMatchObject({ reason: 'too_large' });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (text) => {
        expect(await check(text)).toMatchObject({ ok: false, code: 4003 });
      }),
    );
  });

  it('are refused after any change, without a word of what they held', async () => {
    const valid = await token(good, 'EdDSA');
    await fc.assert(
      fc.asyncProperty(fc.nat(valid.length - 2), fc.constantFrom(...'AZaz09-_.'), async (place, char) => {
        const changed = valid.slice(0, place) + char + valid.slice(place + 1);
        if (changed === valid) return;
        const result = await check(changed);
        expect(result).toMatchObject({ ok: false, code: 4003 });
        expect(JSON.stringify(result)).not.toContain('alice');
      }),
    );
  });
});

describe('KeySet', () => {
  function scripted(maxAgeMs = 60_000) {
    const loads: (JSONWebKeySet | Error)[] = [];
    const failures: unknown[] = [];
    let reads = 0;
    const keys = new KeySet({
      load: async () => {
        reads += 1;
        const next = loads.length > 1 ? loads.shift() : loads[0];
        if (next === undefined || next instanceof Error) throw next ?? new Error('down');
        return next;
      },
      maxAgeMs,
      cooldownMs: 1000,
      onLoadError: (error) => failures.push(error),
    });
    return { by: withKeys(keys), loads, failures, reads: () => reads };
  }

  it('that was never read makes clients try later, and is asked again after a while', async () => {
    const { by, loads, reads, failures } = scripted();
    loads.push(new Error('down'));
    const valid = await token();
    for (let i = 0; i < 5; i += 1) {
      expect(await check(valid, '', by)).toMatchObject({ code: 2008, reason: 'keys_unavailable' });
    }
    expect(reads()).toBe(1);
    expect(failures.length).toBe(1);
    loads[0] = keySet;
    expect((await check(valid, '', by, nowMs + 1000)).ok).toBe(true);
  });

  it('keeps its last good keys while it cannot be read', async () => {
    const { by, loads, failures } = scripted(5000);
    loads.push(keySet, new Error('down'));
    expect((await check(await token(), '', by)).ok).toBe(true);
    for (let i = 1; i < 5; i += 1) expect((await check(await token(), '', by, nowMs + i * 5000)).ok).toBe(true);
    expect(failures.length).toBeGreaterThan(0);
  });

  it('finds a new key at once, but not more often than its cooldown allows', async () => {
    const { by, loads, reads } = scripted();
    const old = { keys: keySet.keys.filter((key) => key.kid !== 'ES256') };
    loads.push(old, keySet);
    expect((await check(await token(good, 'RS256'), '', by)).ok).toBe(true);
    expect(await check(await token(), '', by)).toMatchObject({ code: 4003, reason: 'unknown_key' });
    expect((await check(await token(), '', by, nowMs + 1000)).ok).toBe(true);
    const unknown = await token(good, 'ES256', undefined, 'nobody');
    for (let i = 0; i < 20; i += 1) await check(unknown, '', by, nowMs + 2000 + i);
    expect(reads()).toBe(3);
  });

  it('that cannot be read again makes a client with an unknown key try later', async () => {
    const { by, loads } = scripted();
    loads.push(keySet, new Error('down'));
    expect((await check(await token(), '', by)).ok).toBe(true);
    const unknown = await token(good, 'ES256', undefined, 'new');
    expect(await check(unknown, '', by, nowMs + 1000)).toMatchObject({ code: 2008, reason: 'keys_unavailable' });
  });

  it('with entries that are no keys refuses without an exception', async () => {
    const { by, loads } = scripted();
    loads.push({ keys: [{ kty: 'EC', crv: 'P-256', kid: 'ES256', x: '!', y: '' }] } as JSONWebKeySet);
    expect(await check(await token(), '', by)).toMatchObject({ ok: false, code: 4003 });
  });
});
