import { describe, expect, it } from 'vitest';
import { PushLevel } from '../../proto/gen/upstream.ts';
import { ToyPair } from '../testing/toy/toy-pair.ts';
import type { PeerMessage } from './peer-messages.ts';

function wholePair(...change: ConstructorParameters<typeof ToyPair>): ToyPair {
  const pair = new ToyPair(...change);
  pair.pass(1_000);
  expect([pair.shards.A.role, pair.shards.B.role, pair.shards.B.isInSync]).toEqual(['primary', 'backup', true]);
  return pair;
}

/** Submits on A and notes what is heard. */
function submit(pair: ToyPair, word: string, heard: string[]): void {
  pair.shards.A.submit(
    word,
    () => heard.push(`${word} ${pair.shards.A.pushLevel}`),
    () => heard.push(`${word} dropped`),
  );
}

const full = PushLevel.PUSH_LEVEL_COMMITTED;
const degraded = PushLevel.PUSH_LEVEL_COMMITTED_DEGRADED;

describe('a pair of shards', () => {
  it('answers once the backup has applied, and lets effects out in order', () => {
    const pair = wholePair();
    const levels: PushLevel[] = [];
    pair.shards.A.submit('one', () => levels.push(pair.shards.A.pushLevel));
    pair.shards.A.submit('two', () => levels.push(pair.shards.A.pushLevel));
    expect([levels, pair.performed.includes('A one')]).toEqual([[], false]);
    pair.settle();
    expect(levels).toEqual([full, full]);
    expect(pair.performed.slice(-2)).toEqual(['A one', 'A two']);
    expect(pair.words('B')).toBe(pair.words('A'));
  });

  it('sends at once on an idle link, and larger batches while two are under way, for a bounded time', () => {
    const pair = wholePair();
    const batches: string[] = [];
    pair.passes = (message, from) => {
      if (message.kind === 'batch') batches.push(`${message.last - message.first + 1}`);
      return from === 'B' && message.kind === 'ack' ? undefined : message;
    };
    const submitTurn = (word: string) => {
      pair.shards.A.submit(word);
      pair.settle();
    };
    for (const word of ['one', 'two', 'three', 'four', 'five']) submitTurn(word);
    expect(batches).toEqual(['1', '1']);
    pair.pass(200);
    expect(batches).toEqual(['1', '1', '3']);
    pair.passes = (message) => message;
    pair.pass(50);
    expect(pair.words('B')).toMatch(/ one two three four five$/);
  });

  it('shrinks to one when the backup is silent, and says degraded', () => {
    const pair = wholePair();
    const levels: PushLevel[] = [];
    pair.passes = (message, from) => (from === 'B' ? undefined : message);
    pair.shards.A.submit('one', () => levels.push(pair.shards.A.pushLevel));
    pair.pass(900, ['B']);
    expect(levels).toEqual([]);
    pair.pass(600, ['B']);
    expect(levels).toEqual([degraded]);
  });

  it('takes over at once when the primary is known dead, with everything that was applied', () => {
    const pair = wholePair();
    pair.shards.A.submit('one');
    pair.settle();
    pair.shards.B.connectionReset();
    pair.shards.B.connectionRefused(pair.nowMs);
    expect(pair.shards.B.role).toBe('primary');
    expect(pair.words('B')).toMatch(/^epoch-1000000 one epoch-1000001$/);
  });

  it('the old primary steps down when it hears of the higher epoch, and copies the new one', () => {
    const pair = wholePair();
    pair.passes = (message, from) => (from === 'A' ? undefined : message);
    pair.pass(1_200, ['A']);
    expect(pair.shards.B.role).toBe('primary');
    pair.passes = (message) => message;
    const heard: string[] = [];
    submit(pair, 'late', heard);
    pair.pass(1_000);
    expect(heard).toEqual(['late dropped']);
    expect(pair.roles.A.map(({ role }) => role)).toEqual(['primary', 'deposed', 'backup']);
    expect([pair.shards.A.isInSync, pair.words('A')]).toEqual([true, pair.words('B')]);
    expect(pair.shards.A.redirect).toBe('B:8453');
  });

  it('a process that comes back is a new incarnation: its pair goes on without it until it holds a copy', () => {
    const pair = wholePair();
    pair.restart('A');
    pair.pass(400);
    expect(pair.shards.B.role).toBe('primary');
    pair.pass(1_000);
    expect([pair.shards.A.role, pair.shards.A.isInSync]).toEqual(['backup', true]);
  });

  it('begins a new history when both were killed', () => {
    const pair = wholePair();
    const { history, epoch } = pair.shards.A;
    pair.restart('A');
    pair.restart('B');
    pair.pass(2_000);
    expect(pair.shards.A.role).toBe('primary');
    expect(pair.shards.A.history).not.toBe(history);
    expect(pair.shards.A.epoch).toBeGreaterThan(epoch);
  });

  it('hands over when asked to, holding what comes meanwhile', () => {
    const pair = wholePair();
    const heard: string[] = [];
    const results: unknown[] = [];
    pair.shards.A.switchover(pair.nowMs, pair.shards.B.incarnation, 2_000, (result) => results.push(result));
    expect(pair.shards.A.serving).toBe(false);
    submit(pair, 'held', heard);
    pair.pass(500);
    expect(results).toEqual([{ ok: true, epoch: 1_000_001 }]);
    expect([pair.shards.B.role, pair.shards.A.role, heard]).toEqual(['primary', 'backup', ['held dropped']]);
  });

  it('goes on when the successor does not catch up in time', () => {
    const pair = wholePair();
    const results: { ok: boolean }[] = [];
    const heard: string[] = [];
    pair.passes = (message) => (message.kind === 'ack' ? undefined : message);
    pair.shards.A.submit('one');
    pair.shards.A.switchover(pair.nowMs, pair.shards.B.incarnation, 400, (result) => results.push(result));
    submit(pair, 'held', heard);
    pair.pass(500);
    pair.passes = (message) => message;
    pair.pass(1_500);
    expect(results).toMatchObject([{ ok: false }]);
    expect([pair.shards.A.serving, heard.length, pair.words('A').endsWith('one held')]).toEqual([true, 1, true]);
  });

  it('refuses a switchover to somebody who is not in-sync, or from a backup', () => {
    const pair = wholePair();
    const results: { ok: boolean }[] = [];
    pair.shards.A.switchover(pair.nowMs, 'C/1', 400, (result) => results.push(result));
    pair.shards.B.switchover(pair.nowMs, pair.shards.A.incarnation, 400, (result) => results.push(result));
    expect(results).toMatchObject([{ ok: false }, { ok: false }]);
  });
});

describe('what is sent to a backup', () => {
  it.each(['batch', 'chunk'] as const)('a corrupted %s is thrown away and fetched again', (kind) => {
    const pair = new ToyPair();
    let corrupted = 0;
    pair.passes = (message) => {
      if (message.kind !== kind || corrupted > 1) return message;
      corrupted += 1;
      return { ...message, bytes: Buffer.concat([message.bytes, Buffer.from('x')]) };
    };
    for (let n = 0; n < 40; n += 1) {
      pair.shards.A.submit(`word-${n}`);
      pair.pass(100);
    }
    expect(corrupted).toBe(2);
    expect([pair.shards.B.isInSync, pair.words('B')]).toEqual([true, pair.words('A')]);
  });

  it('a gap is caught up from the log, without another copy', () => {
    const pair = wholePair();
    const { incarnation } = pair.shards.B;
    const lost: PeerMessage[] = [];
    pair.passes = (message) => {
      if (message.kind !== 'batch' || lost.length > 0) return message;
      lost.push(message);
      return undefined;
    };
    for (const word of ['one', 'two', 'three']) {
      pair.shards.A.submit(word);
      pair.pass(200);
    }
    pair.pass(1_000);
    expect(lost).toHaveLength(1);
    expect([pair.shards.B.incarnation, pair.words('B')]).toEqual([incarnation, pair.words('A')]);
  });

  it('a snapshot goes on while commands do', () => {
    const pair = wholePair();
    for (let n = 0; n < 60; n += 1) pair.shards.A.submit(`word-${n}`);
    pair.pass(100);
    pair.restart('B');
    for (let n = 0; n < 40; n += 1) {
      pair.shards.A.submit(`later-${n}`);
      pair.pass(50);
    }
    pair.pass(1_000);
    expect([pair.shards.B.isInSync, pair.words('B')]).toEqual([true, pair.words('A')]);
  });

  it('a backup whose state differs is found by its hash and begins again', () => {
    const pair = wholePair();
    const { incarnation } = pair.shards.B;
    pair.shards.A.submit('who am i');
    pair.pass(2_000);
    expect(pair.shards.B.incarnation).not.toBe(incarnation);
    expect([pair.shards.B.isInSync, pair.words('B')]).toEqual([true, pair.words('A')]);
  });

  it('an acknowledgement of another incarnation, epoch or history counts for nothing', () => {
    const pair = wholePair();
    const acks: PeerMessage[] = [];
    pair.passes = (message) => {
      if (message.kind !== 'ack') return message;
      acks.push(message);
      return undefined;
    };
    let committed = false;
    pair.shards.A.submit('one', () => {
      committed = true;
    });
    pair.settle();
    const ack = acks.at(-1);
    if (ack?.kind !== 'ack') throw new Error('nothing was acknowledged');
    for (const wrong of [
      { incarnation: 'B/9' },
      { epoch: 1 },
      { history: 'x' },
      { stream: 99 },
      { index: ack.index + 1 },
    ]) {
      pair.shards.A.received(pair.nowMs, { ...ack, ...wrong });
      expect(committed).toBe(false);
    }
  });

  it('a lagging backup slows admission, and costs new work only', () => {
    const pair = wholePair({ isRefusable: (word) => word.startsWith('new') });
    pair.passes = (message, from) => (from === 'B' ? undefined : message);
    const heard: string[] = [];
    for (let n = 0; n < 30; n += 1) submit(pair, `new-${n}`, heard);
    pair.settle();
    expect([pair.shards.A.congested, heard]).toEqual([true, []]);
    for (let n = 0; n < 200; n += 1) submit(pair, `new-${n}`, heard);
    submit(pair, 'end', heard);
    expect(heard.length).toBeGreaterThan(50);
    expect(heard).not.toContain('end dropped');
  });
});
