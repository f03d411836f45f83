import { expect, it } from 'vitest';
import { type Authenticator, NoneAuthenticator } from './authenticator.ts';
import { ReplaceableAuthenticator } from './replaceable.ts';

it('judges by the newest, and closes the old one once what it was asked is answered', async () => {
  let closed = false;
  let answer: () => void = () => {};
  const slow: Authenticator = {
    mode: 'grpc',
    authenticate: () =>
      new Promise((resolve) => {
        answer = () => resolve({ ok: true, openid: 'from the old one' });
      }),
    close: () => {
      closed = true;
    },
  };
  const later: (() => void)[] = [];
  const authenticator = new ReplaceableAuthenticator(slow, (_delayMs, run) => later.push(run));
  const request = { openid: 'alice', authToken: '', clientId: '', address: '127.0.0.1' };
  const underWay = authenticator.authenticate(0, request);
  authenticator.replace(new NoneAuthenticator());
  expect(authenticator.mode).toBe('none');
  expect(authenticator.authenticate(0, request)).toEqual({ ok: true, openid: 'alice' });
  expect(closed).toBe(false);
  answer();
  expect(await underWay).toEqual({ ok: true, openid: 'from the old one' });
  for (const run of later) run();
  expect(closed).toBe(true);
});
