import { describe, expect, it } from 'vitest';
import type { AuthenticateRequest, AuthenticateResponse } from '../../proto/gen/auth.ts';
import type { AuthRequest } from './authenticator.ts';
import { GrpcAuthenticator, type GrpcAuthOptions } from './grpc.ts';

const nowMs = 1_700_000_000_000;
const yes: AuthenticateResponse = { success: true, openid: 'alice', code: 0, cacheMs: 10_000, loginGeneration: 0n };
const no: AuthenticateResponse = { ...yes, success: false, openid: '', code: 4003 };

function request(authToken: string, openid = ''): AuthRequest {
  return { openid, authToken, clientId: 'c', address: '192.0.2.1' };
}

function scripted(answer: () => Promise<AuthenticateResponse>, options: Partial<GrpcAuthOptions> = {}) {
  const asked: AuthenticateRequest[] = [];
  const ask = (one: AuthenticateRequest): Promise<AuthenticateResponse> => {
    asked.push(one);
    return answer();
  };
  const by = new GrpcAuthenticator({
    ask,
    close: () => {},
    cacheMs: 30_000,
    cacheMaxEntries: 2,
    maxConcurrent: 2,
    ...options,
  });
  return { asked, by };
}

describe('GrpcAuthenticator', () => {
  it('asks once and remembers for as long as the service allows', async () => {
    const { asked, by } = scripted(async () => yes);
    expect(await by.authenticate(nowMs, request('t'))).toEqual({ ok: true, openid: 'alice' });
    expect(await by.authenticate(nowMs + 9999, request('t'))).toEqual({ ok: true, openid: 'alice' });
    expect(asked).toEqual([{ openid: '', authToken: 't', clientId: 'c', userIp: '192.0.2.1' }]);
    await by.authenticate(nowMs + 10_000, request('t'));
    expect(asked.length).toBe(2);
  });

  it('remembers no more than its configuration allows, in time and in number', async () => {
    const { asked, by } = scripted(async () => yes, { cacheMs: 100 });
    await by.authenticate(nowMs, request('t'));
    await by.authenticate(nowMs + 100, request('t'));
    expect(asked.length).toBe(2);
    for (const token of ['a', 'b', 'c', 'a']) await by.authenticate(nowMs, request(token));
    expect(asked.length).toBe(6);
  });

  it('does not take an answer for another request', async () => {
    const { asked, by } = scripted(async () => yes, { cacheMaxEntries: 100 });
    await by.authenticate(nowMs, request('ab', 'alice'));
    await by.authenticate(nowMs, { ...request('ab'), openid: 'alice', address: '192.0.2.2' });
    expect(await by.authenticate(nowMs, request('ab', 'bob'))).toMatchObject({ reason: 'openid_mismatch' });
    expect(asked.length).toBe(3);
  });

  it('keeps a refusal for a second only', async () => {
    const { asked, by } = scripted(async () => no);
    expect(await by.authenticate(nowMs, request('t'))).toMatchObject({ code: 4003, reason: 'refused' });
    await by.authenticate(nowMs + 999, request('t'));
    expect(asked.length).toBe(1);
    await by.authenticate(nowMs + 1000, request('t'));
    expect(asked.length).toBe(2);
  });

  it.each([
    [3007, 3007, 'expired'],
    [2008, 2008, 'service_unavailable'],
    [1009, 4003, 'refused'],
    [0, 4003, 'refused'],
  ])('turns a refusal with code %i into %i', async (code, told, reason) => {
    const { by } = scripted(async () => ({ ...no, code: code as AuthenticateResponse['code'] }));
    expect(await by.authenticate(nowMs, request('t'))).toMatchObject({ ok: false, code: told, reason });
  });

  it('makes clients try later while the service is down or busy', async () => {
    const down = scripted(async () => {
      throw new Error('deadline exceeded');
    });
    expect(await down.by.authenticate(nowMs, request('t'))).toMatchObject({
      code: 2008,
      reason: 'service_unavailable',
    });
    const { promise, resolve } = Promise.withResolvers<AuthenticateResponse>();
    const busy = scripted(() => promise);
    const open = ['a', 'b'].map((token) => busy.by.authenticate(nowMs, request(token)));
    expect(busy.by.authenticate(nowMs, request('c'))).toMatchObject({ code: 2008, reason: 'busy' });
    resolve(yes);
    expect(await Promise.all(open)).toEqual([
      { ok: true, openid: 'alice' },
      { ok: true, openid: 'alice' },
    ]);
    expect(await busy.by.authenticate(nowMs, request('d'))).toEqual({ ok: true, openid: 'alice' });
  });

  it('refuses what needs no question', () => {
    const { asked, by } = scripted(async () => yes);
    expect(by.authenticate(nowMs, request(''))).toMatchObject({ reason: 'missing' });
    expect(by.authenticate(nowMs, request('x'.repeat(8193)))).toMatchObject({ reason: 'too_large' });
    expect(by.authenticate(nowMs, request('t', 'x'.repeat(129)))).toMatchObject({ reason: 'bad_openid' });
    expect(asked.length).toBe(0);
  });

  it('passes on the generation of the login and checks the openid', async () => {
    const { by } = scripted(async () => ({ ...yes, loginGeneration: 7n }));
    expect(await by.authenticate(nowMs, request('t'))).toEqual({ ok: true, openid: 'alice', loginGeneration: 7 });
    const nameless = scripted(async () => ({ ...yes, openid: '' }));
    expect(await nameless.by.authenticate(nowMs, request('t'))).toMatchObject({ reason: 'bad_openid' });
  });
});
