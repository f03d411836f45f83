import { describe, expect, it } from 'vitest';
import { MachineDriver } from '../testing/machine-driver.ts';
import { producerWindow } from './limits.ts';

function started(limits = {}): MachineDriver {
  const driver = new MachineDriver(limits);
  driver.started();
  return driver;
}

const bytes = (length: number) => new Uint8Array(length);
const id = (pushId: string) => ({ kind: 'id', pushId }) as const;
const numbered = (number: number) => ({ kind: 'producer', producerId: 'zone', number }) as const;

describe('a push', () => {
  it.each([
    ['to nobody', { openid: '', sessionId: '' }, 'invalid'],
    ['to an unknown openid', { openid: 'eve' }, 'no-session'],
    ['to an unknown session', { sessionId: 'never' }, 'no-session'],
    ['to a session of someone else', { openid: 'eve', sessionId: 's1' }, 'invalid'],
    ['larger than any queue', { body: bytes(101) }, 'too-large'],
    ['bound to no request', { order: 'before' as const }, 'invalid'],
    ['without an id', { identity: id('') }, 'invalid'],
    ['with number 0', { identity: numbered(0) }, 'invalid'],
  ])('%s is answered at once', (_what, given, status) => {
    const driver = started({ queueBytesMax: 100 });
    expect(driver.push(given)).toMatchObject({ status, seqId: 0 });
    expect(driver.machine.counts()).toMatchObject({ queueMessages: 0, queueBytes: 0 });
  });

  it('is refused when the queue is full in count, in bytes, or all queues are', () => {
    const driver = started({ queueMessagesMax: 2 });
    driver.push();
    driver.push();
    expect(driver.push()).toMatchObject({ status: 'queue-full', sessionId: 's1' });
    const narrow = started({ queueBytesMax: 25 });
    narrow.push();
    expect(narrow.push({ body: bytes(16) })).toMatchObject({ status: 'queue-full' });
    expect(narrow.push({ body: bytes(15) })).toMatchObject({ status: 'ok', seqId: 2 });
    const poor = started({ totalQueueBytesMax: 15 });
    poor.push();
    expect(poor.push()).toMatchObject({ status: 'overloaded' });
    expect(poor.machine.totalLimitHits).toBe(1);
  });

  it('that expires becomes a skip with its number, and its bytes are free', () => {
    const driver = started();
    driver.push({ ttlMs: 1_000 });
    driver.push();
    driver.pass(999);
    expect(driver.queued()).toEqual(['1:0:10', '2:0:10']);
    driver.pass(1);
    expect(driver.queued()).toEqual(['1:0:2', '2:0:10']);
    expect(driver.effects).toMatchObject([{ kind: 'expired', seqId: 1 }, { kind: 'deliver' }]);
    expect(driver.session().queue.entry(1)?.logIndex).toBe(driver.index);
    expect(driver.machine.counts()).toMatchObject({ queueMessages: 2, queueBytes: 10 });
    driver.ack(2);
    expect(driver.machine.counts()).toMatchObject({ queueMessages: 0, queueBytes: 0 });
  });

  it('that was acknowledged in time does not expire', () => {
    const driver = started();
    driver.push({ ttlMs: 1_000 });
    driver.ack(1);
    driver.pass(5_000);
    expect(driver.effects).toEqual([]);
  });
});

describe('a bound push', () => {
  const before = { bindClientSeq: 1, order: 'before' } as const;
  const after = { bindClientSeq: 1, order: 'after' } as const;

  it('stands right before or after its response, in the order it came', () => {
    const driver = started();
    driver.admit(1);
    expect(driver.push({ ...after, body: bytes(3) })).toMatchObject({
      status: 'ok',
      seqId: 0,
      heldIndex: driver.index,
    });
    driver.push({ ...before, body: bytes(4) });
    driver.push({ ...before, body: bytes(5) });
    driver.push({ body: bytes(6) });
    driver.answer(1, 9);
    expect(driver.queued()).toEqual(['1:0:6', '2:0:4', '3:0:5', '4:1:9', '5:0:3']);
    expect(driver.effectKinds()).toEqual(['placed', 'placed', 'placed', 'deliver']);
  });

  it('waits for a request that has not come yet, also across a promotion', () => {
    const driver = started();
    driver.push({ ...before, body: bytes(4) });
    driver.pass(4_000);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.started({ connection: 2 });
    driver.pass(4_000);
    driver.admit(1);
    driver.answer(1, 9);
    expect(driver.queued()).toEqual(['1:0:4', '2:1:9']);
  });

  it('goes out on its own when the wait is over, and at once when the answer was given', () => {
    const driver = started();
    driver.push({ ...before, identity: id('p') });
    expect(driver.push({ ...before, identity: id('p') })).toMatchObject({ seqId: 0, repeated: true });
    driver.pass(5_000);
    expect(driver.effects).toMatchObject([{ kind: 'placed', seqId: 1 }, { kind: 'deliver' }]);
    expect(driver.push({ ...before, identity: id('p') })).toMatchObject({ seqId: 1, repeated: true });
    driver.admit(1);
    driver.answer(1);
    expect(driver.push(after)).toMatchObject({ seqId: 3 });
  });

  it('that expires while it waits gets a number and is a skip', () => {
    const driver = started();
    driver.push({ ...before, ttlMs: 1_000 });
    driver.pass(1_000);
    expect(driver.effectKinds()).toEqual(['placed', 'expired', 'deliver']);
    expect(driver.queued()).toEqual(['1:0:2']);
  });

  it('counts in the limits of the queue while it waits', () => {
    const driver = started({ queueMessagesMax: 2, queueBytesMax: 30 });
    driver.push({ ...before, body: bytes(20) });
    expect(driver.push({ body: bytes(11) })).toMatchObject({ status: 'queue-full' });
    driver.push({ body: bytes(1) });
    expect(driver.push({ body: bytes(1) })).toMatchObject({ status: 'queue-full' });
    expect(driver.machine.counts()).toMatchObject({ queueMessages: 2, queueBytes: 21 });
  });
});

describe('a repeated push', () => {
  it('gets the first answer within the horizon, refusals too', () => {
    const driver = started({ pushDedupeHorizonMs: 10_000 });
    expect(driver.push({ identity: id('a') })).toMatchObject({ seqId: 1, repeated: false });
    expect(driver.push({ identity: id('a') })).toMatchObject({ seqId: 1, repeated: true });
    expect(driver.push({ identity: id('b'), openid: 'bob' })).toMatchObject({ status: 'no-session' });
    driver.started({ openid: 'bob' });
    expect(driver.push({ identity: id('b'), openid: 'bob' })).toMatchObject({ status: 'no-session', repeated: true });
    driver.pass(10_000);
    expect(driver.push({ identity: id('a') })).toMatchObject({ seqId: 2, repeated: false });
  });

  it('is known for the whole horizon after a promotion', () => {
    const driver = started({ pushDedupeHorizonMs: 10_000, resumeWindowMs: 60_000 });
    driver.push({ identity: id('a') });
    driver.push({ identity: numbered(1) });
    driver.pass(9_000);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.pass(9_000);
    expect(driver.push({ identity: id('a') })).toMatchObject({ seqId: 1, repeated: true });
    expect(driver.push({ identity: numbered(1) })).toMatchObject({ seqId: 2, repeated: true });
  });

  it('of a producer is known for a window of numbers; below it nobody knows', () => {
    const driver = started({ queueMessagesMax: 10 });
    expect(driver.push({ identity: numbered(1) })).toMatchObject({ seqId: 1 });
    expect(driver.push({ identity: numbered(3) })).toMatchObject({ seqId: 2 });
    expect(driver.push({ identity: numbered(2) })).toMatchObject({ seqId: 3, repeated: false });
    expect(driver.push({ identity: numbered(1) })).toMatchObject({ seqId: 1, repeated: true });
    driver.push({ identity: numbered(producerWindow + 1) });
    expect(driver.push({ identity: numbered(1) })).toMatchObject({ status: 'unknown' });
    expect(driver.push({ identity: numbered(2) })).toMatchObject({ seqId: 3, repeated: true });
    driver.push({ identity: numbered(10 * producerWindow) });
    expect(driver.push({ identity: numbered(3) })).toMatchObject({ status: 'unknown' });
  });

  it('is told apart from a broadcast, and refused when its answer could not be kept', () => {
    const driver = started({ pushDedupeEntriesMax: 1, producersMax: 1, pushDedupeHorizonMs: 1_000 });
    expect(driver.broadcast({ identity: id('a') })).toMatchObject({ matched: 1, accepted: 1 });
    expect(driver.broadcast({ identity: id('a') })).toMatchObject({ matched: 1, accepted: 1, repeated: true });
    expect(driver.push({ identity: id('a') })).toMatchObject({ status: 'invalid' });
    expect(driver.push({ identity: id('b') })).toMatchObject({ status: 'overloaded' });
    driver.push({ identity: numbered(1) });
    const other = { kind: 'producer', producerId: 'other', number: 1 } as const;
    expect(driver.push({ identity: other })).toMatchObject({ status: 'overloaded' });
    driver.pass(1_000);
    expect(driver.push({ identity: other })).toMatchObject({ status: 'ok' });
    expect(driver.push({ identity: id('b') })).toMatchObject({ status: 'ok' });
  });
});

describe('a broadcast', () => {
  function three(limits = {}): MachineDriver {
    const driver = new MachineDriver(limits);
    for (const [n, openid] of ['ann', 'bob', 'cat'].entries()) {
      driver.started({ openid, connection: n + 1 });
      driver.admit(1, `s${n + 1}`);
      driver.answer(1, 1, n === 0 ? '001' : '002', `s${n + 1}`);
    }
    return driver;
  }

  it.each([
    [{}, 3],
    [{ zoneIds: ['002'] }, 2],
    [{ openids: ['ann', 'bob', 'bob', 'eve'] }, 2],
    [{ zoneIds: ['002'], openids: ['ann', 'bob'] }, 1],
    [{ zoneIds: ['009'] }, 0],
  ])('reaches those who match %j', (filter, matched) => {
    const driver = three();
    expect(driver.broadcast(filter)).toMatchObject({ status: 'ok', matched, accepted: matched });
    expect(driver.effectKinds()).toEqual(Array(matched).fill('deliver'));
  });

  it('closes a session whose queue is full, in the same command (rule 8)', () => {
    const driver = three({ queueMessagesMax: 2 });
    driver.push({ openid: 'bob' });
    expect(driver.broadcast()).toMatchObject({ matched: 3, accepted: 2 });
    expect(driver.effects).toContainEqual(
      expect.objectContaining({ kind: 'closed', sessionId: 's2', connection: 2, code: 2007 }),
    );
    expect(driver.machine.session('s2')).toBeUndefined();
    expect(driver.start({ token: { sessionId: 's2', binding: 1 } })).toMatchObject({ code: 3001 });
  });

  it('is for all or for none when all queues together are full', () => {
    const driver = three({ totalQueueBytesMax: 30 });
    expect(driver.broadcast()).toMatchObject({ status: 'overloaded', accepted: 0 });
    expect(driver.broadcast({ body: bytes(9) })).toMatchObject({ status: 'ok', accepted: 3 });
    expect(three({ queueBytesMax: 20 }).broadcast({ body: bytes(21) })).toMatchObject({ status: 'too-large' });
  });

  it('expires like any push', () => {
    const driver = three();
    driver.broadcast({ ttlMs: 100 });
    driver.pass(100);
    expect(driver.queued('s3')).toEqual(['1:1:1', '2:0:2']);
  });
});
