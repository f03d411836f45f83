import { describe, expect, it } from 'vitest';
import { GatewayStatus } from '../../proto/gen/admin.ts';
import { type GatewayTarget, isLost } from './gateway-peer.ts';
import { WatchState } from './watch-state.ts';

const target: GatewayTarget = {
  namespace: 'shop',
  podName: 'game-p0-a-0',
  podUid: 'uid-1',
  address: '10.0.0.7:8092',
  tlsName: 'game-p0-a-0.game-peers.shop.svc',
};
const silenceMs = 1_000;
const beat = (change: Partial<GatewayStatus> = {}) =>
  GatewayStatus.fromPartial({ serverId: target.podName, podUid: 'uid-1', incarnation: 'game-p0-a-0/1', ...change });

type Step = (state: WatchState) => void;
const beats: Step = (state) => void state.beat(100, beat());
/** Time passes for a process that runs. */
const passes =
  (fromMs: number, toMs: number): Step =>
  (state) => {
    for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) state.tick(nowMs);
  };
const breaks: Step = (state) => state.lost(150, 'UNAVAILABLE: connection dropped');
const leaves: Step = (state) => state.left(150);

const cases: readonly (readonly [string, readonly Step[], string, number, boolean])[] = [
  ['nothing heard yet is not lost', [], 'connecting', 0, false],
  ['nor is it after long', [passes(0, 60_000)], 'connecting', 0, false],
  ['nor when attempts fail', [breaks, breaks], 'connecting', 0, false],
  ['a beat connects', [beats], 'connected', 100, false],
  ['a broken stream counts at once', [beats, breaks], 'reset', 150, true],
  ['attempts that fail after it change nothing', [beats, breaks, (s) => s.lost(900, 'refused')], 'reset', 150, true],
  ['a leave is told', [beats, leaves], 'reset', 150, true],
  ['a leave of one that was never connected is nothing', [leaves], 'connecting', 0, false],
  ['silence counts after its time', [beats, passes(100, 1_100)], 'silent', 1_100, true],
  ['not before', [beats, passes(100, 1_000)], 'connected', 100, false],
  ['not when this process stood still', [beats, (s) => s.tick(100), (s) => s.tick(90_000)], 'connected', 100, false],
  ['a broken stream after silence stays silence', [beats, passes(100, 1_100), breaks], 'silent', 1_100, true],
  ['a beat ends silence', [beats, passes(100, 1_100), (s) => void s.beat(1_200, beat())], 'connected', 1_200, false],
  ['a beat ends a reset', [beats, breaks, (s) => void s.beat(400, beat())], 'connected', 400, false],
];

describe('the watch of a gateway', () => {
  it.each(cases)('%s', (_name, steps, state, sinceMs, lost) => {
    const watch = new WatchState(target, silenceMs, 0);
    for (const step of steps) step(watch);
    expect(watch.observation).toMatchObject({ state, sinceMs });
    expect(isLost(watch.observation)).toBe(lost);
  });

  it('keeps what was last said, and says that it was a leave', () => {
    const watch = new WatchState(target, silenceMs, 0);
    beats(watch);
    leaves(watch);
    expect(watch.observation).toMatchObject({
      tookLeave: true,
      lastBeatMs: 100,
      status: { incarnation: 'game-p0-a-0/1' },
    });
    watch.beat(300, beat({ incarnation: 'game-p0-a-0/2' }));
    expect(watch.observation).toMatchObject({ tookLeave: false, status: { incarnation: 'game-p0-a-0/2' } });
  });

  it.each([
    ['another pod', { serverId: 'game-p1-a-0' }, /game-p1-a-0 answers at its address: expected game-p0-a-0/],
    ['a pod of that name that came later', { podUid: 'uid-2' }, /uid uid-2 answers at its address: expected uid-1/],
  ])('takes no word of %s', (_name, change, expected) => {
    const watch = new WatchState(target, silenceMs, 0);
    expect(watch.beat(100, beat(change))).toMatch(expected);
    expect(watch.observation).toMatchObject({ state: 'connecting', status: undefined });
    beats(watch);
    watch.beat(200, beat(change));
    expect(watch.observation).toMatchObject({ state: 'reset', status: { incarnation: 'game-p0-a-0/1' } });
  });

  it('tells of what changed, not of what only moved', () => {
    const watch = new WatchState(target, silenceMs, 0);
    const shard = { shardId: 'game-p0', role: 'primary', epoch: 5n, logIndex: 7n, inSync: ['a/1'] };
    const digestOf = (change: object) => {
      watch.beat(100, beat(GatewayStatus.fromPartial({ ...beat(), shards: [{ ...shard, ...change }] })));
      return watch.digest;
    };
    const first = digestOf({});
    expect(digestOf({ logIndex: 9n, commitIndex: 9n })).toBe(first);
    for (const change of [{ epoch: 6n }, { peerHeartbeatLost: true }, { inSync: ['a/1', 'b/1'] }, { blocked: 'x' }]) {
      expect(digestOf(change)).not.toBe(first);
    }
  });
});
