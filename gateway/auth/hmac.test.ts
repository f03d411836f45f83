import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { AuthRequest, AuthResult } from './authenticator.ts';
import { NoneAuthenticator } from './authenticator.ts';
import { HmacAuthenticator, issueHmacToken } from './hmac.ts';
import { parseSecrets } from './secrets.ts';

const secret = Buffer.from('a secret of thirty-two bytes, ok');
const nowMs = 1_700_000_000_000;
const inAnHour = nowMs / 1000 + 3600;
const authenticator = new HmacAuthenticator([secret], 30_000);

function request(authToken: string, openid = ''): AuthRequest {
  return { openid, authToken, clientId: 'device', address: '192.0.2.1' };
}

function check(authToken: string, openid = ''): AuthResult {
  return authenticator.authenticate(nowMs, request(authToken, openid));
}

const openids = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  .filter((text) => Buffer.byteLength(text) <= 128);

describe('hmac tokens', () => {
  it('have the form of the interface', () => {
    const text = `${Buffer.from('alice').toString('base64url')}.${inAnHour}`;
    const sign = createHmac('sha256', secret).update(text).digest('base64url');
    expect(issueHmacToken(secret, 'alice', inAnHour)).toBe(`${text}.${sign}`);
    expect(check(`${text}.${sign}`)).toEqual({ ok: true, openid: 'alice' });
  });

  it('prove any openid, and only that one', () => {
    fc.assert(
      fc.property(openids, openids, (openid, other) => {
        const token = issueHmacToken(secret, openid, inAnHour);
        expect(check(token)).toEqual({ ok: true, openid });
        expect(check(token, openid)).toEqual({ ok: true, openid });
        if (other !== openid) expect(check(token, other)).toMatchObject({ code: 4003, reason: 'openid_mismatch' });
      }),
    );
  });

  it('are refused after any change', () => {
    const tokens = openids.map((openid) => issueHmacToken(secret, openid, inAnHour));
    const alphabet = fc.constantFrom(...'ABCxyz019-_.=+/ \n\0é');
    fc.assert(
      fc.property(
        tokens,
        fc.nat(),
        alphabet,
        fc.constantFrom('put', 'insert', 'delete', 'cut'),
        (token, at, char, how) => {
          const place = at % token.length;
          const rest = {
            put: char + token.slice(place + 1),
            insert: char + token.slice(place),
            delete: token.slice(place + 1),
            cut: '',
          };
          const changed = token.slice(0, place) + rest[how];
          if (changed === token) return;
          const result = check(changed);
          expect(result.ok).toBe(false);
          expect(result).toMatchObject({ code: 4003 });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('end at their expiry plus the clock skew', () => {
    const token = issueHmacToken(secret, 'alice', nowMs / 1000 - 30);
    expect(check(token).ok).toBe(true);
    expect(authenticator.authenticate(nowMs + 1, request(token))).toMatchObject({
      code: ErrorCode.ERROR_TOKEN_EXPIRED,
      reason: 'expired',
    });
  });

  it('are judged by their signature before their expiry', () => {
    const expired = issueHmacToken(Buffer.from('another secret'), 'alice', 1);
    expect(check(expired)).toMatchObject({ code: 4003, reason: 'bad_signature' });
  });

  it('may be signed by any of several secrets', () => {
    const both = new HmacAuthenticator([Buffer.from('new'), secret], 0);
    for (const one of [Buffer.from('new'), secret]) {
      expect(both.authenticate(nowMs, request(issueHmacToken(one, 'bob', inAnHour)))).toEqual({
        ok: true,
        openid: 'bob',
      });
    }
  });

  it.each([
    ['', 'missing'],
    ['garbage', 'malformed'],
    ['a.b.c', 'malformed'],
    [`..${'A'.repeat(43)}`, 'malformed'],
    ['x'.repeat(9000), 'too_large'],
    [issueHmacToken(secret, 'x'.repeat(129), inAnHour), 'bad_openid'],
    [issueHmacToken(secret, '', inAnHour), 'malformed'],
  ])('%j is refused as %s', (token, reason) => {
    expect(check(token)).toMatchObject({ ok: false, code: 4003, reason });
  });

  it('is refused when its openid is no UTF-8', () => {
    const text = `${Buffer.from([0xff, 0xfe]).toString('base64url')}.${inAnHour}`;
    const sign = createHmac('sha256', secret).update(text).digest('base64url');
    expect(check(`${text}.${sign}`)).toMatchObject({ code: 4003, reason: 'bad_openid' });
  });

  it('never appear in what the client is told', () => {
    const token = issueHmacToken(Buffer.from('wrong'), 'alice-the-user', inAnHour);
    const text = JSON.stringify(check(token, 'mallory'));
    for (const part of token.split('.')) expect(text).not.toContain(part);
  });
});

describe('secret files', () => {
  const place = 'auth.hmac_secret_file: F';

  it('hold one secret a line', () => {
    const secrets = parseSecrets(Buffer.from('first secret\r\n\n  second\n'), place);
    expect(secrets.map(String)).toEqual(['first secret', 'second']);
  });

  it('may be random bytes, newlines and all', () => {
    const bytes = Buffer.from([0xff, 10, 0, 13, 200]);
    expect(parseSecrets(bytes, place)).toEqual([bytes]);
  });

  it('must hold one', () => {
    expect(() => parseSecrets(Buffer.from(' \n'), place)).toThrow('auth.hmac_secret_file: F holds no secret');
  });
});

describe('mode none', () => {
  const none = new NoneAuthenticator();

  it('believes an openid that may be one', () => {
    expect(none.authenticate(0, request('', 'alice'))).toEqual({ ok: true, openid: 'alice' });
    for (const openid of ['', 'x'.repeat(129), 'é'.repeat(65), '\ud800']) {
      expect(none.authenticate(0, request('', openid))).toMatchObject({ ok: false, reason: 'bad_openid' });
    }
  });
});
