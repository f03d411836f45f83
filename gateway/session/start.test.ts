import { describe, expect, it } from 'vitest';
import { MachineDriver } from '../testing/machine-driver.ts';

const place = (receivedSeqId: number, epoch = 10, sessionId = 's1') => ({ sessionId, epoch, receivedSeqId });
const token = (binding: number, sessionId = 's1') => ({ sessionId, binding });

function withMessages(count: number, acked = 0): MachineDriver {
  const driver = new MachineDriver();
  driver.started();
  driver.apply({ kind: 'confirm', sessionId: 's1', binding: 1 });
  for (let n = 0; n < count; n += 1) driver.push();
  driver.ack(acked);
  return driver;
}

describe('START', () => {
  it('makes a session with the fields of the seed', () => {
    const driver = new MachineDriver();
    expect(driver.start()).toEqual({
      kind: 'started',
      sessionId: 's1',
      binding: 1,
      resumed: false,
      nextSeqId: 1,
      maxClientSeq: 0,
    });
    expect(driver.session()).toMatchObject({
      openid: 'ann',
      clientId: 'phone',
      userIp: '192.0.2.1',
      state: 'inited',
      zoneId: '',
      createTimeMs: 5_000,
      connected: true,
    });
  });

  it('refuses one session too many until there is room', () => {
    const driver = new MachineDriver({ sessionsMax: 1 });
    driver.started();
    expect(driver.start({ openid: 'bob' })).toMatchObject({ kind: 'refused', code: 2008 });
    driver.apply({ kind: 'close', sessionId: 's1', code: 0, reason: 'stop' });
    expect(driver.start({ openid: 'bob' })).toMatchObject({ kind: 'started' });
  });

  it.each([
    ['the place of the client counts as an acknowledgement', place(3), { resumed: true, nextSeqId: 4 }],
    ['nothing new was received', place(2), { resumed: true, nextSeqId: 3 }],
    ['everything was received', place(5), { resumed: true, nextSeqId: 6 }],
    ['no place: from the acknowledged point', undefined, { resumed: true, nextSeqId: 3 }],
    ['a place without an epoch is none', place(4, 0), { resumed: true, nextSeqId: 3 }],
    ['the place is in another session', place(4, 10, 'other'), { resumed: true, nextSeqId: 3 }],
    ['below the acknowledged point', place(1), { code: 3004 }],
    ['past the end', place(6), { code: 3004 }],
  ])('by token: %s', (_what, at, expected) => {
    const driver = withMessages(5, 2);
    const outcome = driver.start({
      openid: '',
      token: token(1),
      connection: 2,
      ...(at === undefined ? {} : { place: at }),
    });
    expect(outcome).toMatchObject(expected);
    if (outcome.kind === 'refused') expect(driver.session()).toMatchObject({ binding: 1, connection: 1, ackUpTo: 2 });
  });

  it.each([
    ['an epoch that was never reached', place(3, 11)],
    ['an epoch before the session', place(3, 9)],
  ])('whoever knows more of a session than the state does begins anew, and so does the session: %s', (_what, at) => {
    for (const proof of [{ openid: '', token: token(1) }, {}]) {
      const driver = withMessages(5, 2);
      expect(driver.start({ ...proof, place: at })).toMatchObject({ code: 3005 });
      expect(driver.effects).toMatchObject([{ kind: 'closed', code: 3005 }]);
      expect(driver.start({ token: token(1) })).toMatchObject({ code: 3005 });
      expect(driver.start({ newSessionId: 's2' })).toMatchObject({ sessionId: 's2', resumed: false, maxClientSeq: 0 });
    }
  });

  it('by proof: takes over at the acknowledged point, and says when that is past what the client names', () => {
    expect(withMessages(5, 2).start()).toMatchObject({ resumed: true, nextSeqId: 3 });
    expect(withMessages(5, 2).start({ place: place(4) })).toMatchObject({ resumed: true, nextSeqId: 5 });
    expect(withMessages(5, 2).start({ place: place(1) })).toMatchObject({ resumed: false, nextSeqId: 3 });
  });

  it('judges a place by the end of its epoch (rule 5)', () => {
    const driver = withMessages(3);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.push();
    driver.push();
    expect(driver.start({ token: token(1), place: place(3, 10) })).toMatchObject({ resumed: true, nextSeqId: 4 });
    expect(driver.start({ token: token(2), place: place(5, 11) })).toMatchObject({ resumed: true, nextSeqId: 6 });
    expect(driver.start({ token: token(3), place: place(4, 10) })).toMatchObject({ code: 3005 });
  });

  it('forgets the ends of epochs long ago, and then trusts nobody from there', () => {
    const driver = withMessages(1);
    for (let epoch = 11; epoch < 25; epoch += 1) {
      driver.apply({ kind: 'promote', epoch, history: 'one' });
      driver.push();
    }
    expect(driver.start({ token: token(1), place: place(2, 24) })).toMatchObject({ resumed: true });
    expect(driver.start({ token: token(2), place: place(1, 10) })).toMatchObject({ code: 3005 });
  });

  it('says why a session is gone', () => {
    const driver = withMessages(1);
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    driver.pass(30_000);
    expect(driver.effects).toMatchObject([{ kind: 'closed', code: 3002, connection: undefined }]);
    expect(driver.start({ token: token(1) })).toMatchObject({ code: 3002 });
    expect(driver.start({ token: token(1, 'never') })).toMatchObject({ code: 3001 });
    expect(driver.start({ token: token(1), place: place(1, 9) })).toMatchObject({ code: 3005 });
    driver.started({ openid: 'bob', newSessionId: 'b' });
    driver.apply({ kind: 'close', sessionId: 'b', code: 4006, reason: 'kicked' });
    expect(driver.start({ token: token(1, 'b') })).toMatchObject({ code: 4006 });
  });

  it('begins with nothing in a new history', () => {
    const driver = withMessages(2);
    driver.apply({ kind: 'promote', epoch: 20, history: 'two' });
    expect(driver.effects).toMatchObject([{ kind: 'closed', code: 3005 }]);
    expect(driver.start({ token: token(1), place: place(2, 10) })).toMatchObject({ code: 3005 });
    expect(driver.start({ place: place(2, 10) })).toMatchObject({ code: 3005 });
    expect(driver.start()).toMatchObject({ kind: 'started', resumed: false });
  });
});

describe('resume tokens', () => {
  it('the one before stays good until the new connection is heard, and no longer', () => {
    const driver = withMessages(0);
    expect(driver.start({ token: token(1), connection: 2 })).toMatchObject({ binding: 2 });
    expect(driver.start({ token: token(1), connection: 3 })).toMatchObject({ binding: 3 });
    expect(driver.start({ token: token(2), connection: 4 })).toMatchObject({ code: 3003 });
    driver.apply({ kind: 'confirm', sessionId: 's1', binding: 3 });
    expect(driver.start({ token: token(1), connection: 5 })).toMatchObject({ code: 3003 });
    expect(driver.session()).toMatchObject({ binding: 3, connection: 3 });
    expect(driver.start({ token: token(3), connection: 5 })).toMatchObject({ binding: 4 });
  });

  it('one that was used is good for nothing once the next one was', () => {
    const driver = withMessages(0);
    driver.started({ token: token(1) });
    driver.started({ token: token(2) });
    expect(driver.start({ token: token(1) })).toMatchObject({ code: 3003 });
    expect(driver.start({ token: token(2) })).toMatchObject({ binding: 4 });
  });

  it('belongs to one openid', () => {
    expect(withMessages(0).start({ openid: 'eve', token: token(1) })).toMatchObject({ code: 3003 });
  });

  it('a confirm of an older binding changes nothing', () => {
    const driver = withMessages(0);
    driver.started({ token: token(1) });
    driver.apply({ kind: 'confirm', sessionId: 's1', binding: 1 });
    expect(driver.session()).toMatchObject({ binding: 2, heldBinding: 1 });
  });
});

describe('a second login', () => {
  it('takes over under `resume`, and the old connection is told to stop', () => {
    const driver = withMessages(1);
    expect(driver.start({ connection: 2 })).toMatchObject({ sessionId: 's1', binding: 2 });
    expect(driver.effects).toMatchObject([{ kind: 'replaced', connection: 1, code: 4004 }, { kind: 'deliver' }]);
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    expect(driver.session().connected).toBe(true);
  });

  it('ends the old session under `replace`', () => {
    const driver = withMessages(1);
    expect(driver.start({ connection: 2, secondLogin: 'replace' })).toMatchObject({ sessionId: 's2', resumed: false });
    expect(driver.effects).toMatchObject([{ kind: 'closed', sessionId: 's1', connection: 1, code: 4004 }]);
    expect(driver.start({ token: token(1) })).toMatchObject({ code: 4004 });
  });

  it('is refused under `refuse` while the session is connected', () => {
    const driver = withMessages(1);
    expect(driver.start({ secondLogin: 'refuse' })).toMatchObject({ code: 4005 });
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    expect(driver.start({ secondLogin: 'refuse' })).toMatchObject({ sessionId: 's1', resumed: true });
  });
});
