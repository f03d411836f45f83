import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Announcer, type LocalSession } from './announcer.ts';
import { RedisDirectory, type RedisDirectoryOptions } from './redis-directory.ts';
import { needRedis, RedisProcess } from './testing/redis-processes.ts';

const closers: (() => Promise<void> | void)[] = [];

beforeAll(needRedis, 300_000);

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startRedis(lines: readonly string[] = []): Promise<RedisProcess> {
  const redis = await RedisProcess.start(lines);
  closers.push(() => redis.stop());
  return redis;
}

function directoryAt(
  pairId: string,
  addrs: readonly string[],
  over: Partial<RedisDirectoryOptions> = {},
): RedisDirectory {
  const directory = new RedisDirectory({
    mode: 'standalone',
    addrs,
    masterName: 'mymaster',
    tls: false,
    db: 0,
    prefix: 'test',
    timeoutMs: 300,
    entryTtlMs: 60_000,
    pairId,
    onState: () => {},
    ...over,
  });
  closers.push(() => directory.close());
  return directory;
}

/** A pair with sessions, and the directory it announces them to. */
function pairOf(pairId: string, count: number, addrs: readonly string[], over: Partial<RedisDirectoryOptions> = {}) {
  const sessions = new Map<string, LocalSession>();
  for (let n = 0; n < count; n += 1) {
    sessions.set(`${pairId}.${n}`, { sessionId: `${pairId}.${n}`, openid: `user-${n}`, createTimeMs: 1_000 + n });
  }
  const superseded: string[] = [];
  const directory = directoryAt(pairId, addrs, over);
  const announcer = new Announcer({
    pairId,
    directory,
    sessions: () => sessions.values(),
    session: (sessionId) => sessions.get(sessionId),
    epoch: () => 1,
    superseded: (sessionId) => superseded.push(sessionId),
    concurrency: 64,
    defer: setImmediate,
  });
  const timer = setInterval(() => directory.check().then(() => announcer.retry()), 200);
  closers.push(() => clearInterval(timer));
  const openids = Array.from({ length: count }, (_, n) => `user-${n}`);
  const known = async () => (await directory.find(openids))?.size ?? -1;
  const untilKnown = () => vi.waitFor(async () => expect(await known()).toBe(count), { timeout: 30_000, interval: 50 });
  return { directory, announcer, superseded, sessions, known, untilKnown };
}

const place = { sessionId: 's1', pairId: 'p0', openid: 'ann', epoch: 5, generation: 0, createTimeMs: 1_000 };

async function ready(directory: RedisDirectory): Promise<void> {
  await vi.waitFor(async () => expect(await directory.find(['x'])).toBeDefined(), { timeout: 20_000 });
}

describe('an entry', () => {
  it('counts logins, and the newest holds it', async () => {
    const { address } = await startRedis();
    const [one, other] = [directoryAt('p0', [address]), directoryAt('p1', [address])];
    await ready(one);
    await ready(other);
    expect(await one.claim(place, true)).toEqual({ kind: 'held', generation: 1 });
    expect(await one.find(['ann', 'bob'])).toEqual(new Map([['ann', 'p0']]));
    const second = { ...place, sessionId: 's2', pairId: 'p1', createTimeMs: 2_000 };
    expect(await other.claim(second, true)).toEqual({ kind: 'held', generation: 2 });
    expect(await one.claim({ ...place, generation: 1 }, false)).toEqual({ kind: 'superseded', pairId: 'p1' });
    expect(await one.find(['ann'])).toEqual(new Map([['ann', 'p1']]));
    // What an older session takes back is not the newer one's.
    await one.release('ann', 's1', 'p0');
    expect(await one.find(['ann'])).toEqual(new Map([['ann', 'p1']]));
    await other.release('ann', 's2', 'p1');
    expect(await one.find(['ann'])).toEqual(new Map());
    // The generation outlives the session: the older one does not come back as the newest.
    expect(await other.claim(second, true)).toEqual({ kind: 'held', generation: 3 });
  });

  it('is not overwritten by a deposed primary, nor by an older login whose claim comes late', async () => {
    const { address } = await startRedis();
    const directory = directoryAt('p0', [address]);
    await ready(directory);
    await directory.claim(place, true);
    expect(await directory.claim({ ...place, epoch: 4 }, false)).toEqual({ kind: 'superseded', pairId: 'p0' });
    expect(await directory.claim({ ...place, epoch: 6 }, false)).toMatchObject({ kind: 'held', generation: 1 });
    const late = { ...place, sessionId: 's0', pairId: 'p1', createTimeMs: 500 };
    expect(await directory.claim(late, true)).toEqual({ kind: 'superseded', pairId: 'p0' });
  });

  it('follows the generation that an authenticator gives', async () => {
    const { address } = await startRedis();
    const directory = directoryAt('p0', [address]);
    await ready(directory);
    expect(await directory.claim({ ...place, generation: 7 }, true)).toEqual({ kind: 'held', generation: 7 });
    const older = { ...place, pairId: 'p1', sessionId: 's2', generation: 6, createTimeMs: 9_000 };
    expect(await directory.claim(older, true)).toEqual({ kind: 'superseded', pairId: 'p0' });
    expect(await directory.claim({ ...older, generation: 8 }, true)).toEqual({ kind: 'held', generation: 8 });
  });
});

describe('a Redis that fails', () => {
  it('is killed: nobody waits for it; restarted empty, everything is announced again', async () => {
    const redis = await startRedis();
    const pair = pairOf('p0', 200, [redis.address]);
    await pair.untilKnown();
    await redis.kill();
    await vi.waitFor(async () => expect(await pair.directory.find(['user-1'])).toBeUndefined());
    expect(await pair.directory.claim(place, true)).toBeUndefined();
    await redis.run();
    await pair.untilKnown();
  });

  it('forgets everything while the connection stays', async () => {
    const redis = await startRedis();
    const pair = pairOf('p0', 200, [redis.address]);
    await pair.untilKnown();
    await redis.ask('FLUSHALL');
    await pair.untilKnown();
  });

  it('is paused: a claim that got no answer is not sent again behind our back', async () => {
    const redis = await startRedis();
    const directory = directoryAt('p0', [redis.address]);
    await ready(directory);
    await directory.claim(place, true);
    redis.signal('SIGSTOP');
    expect(await directory.find(['ann'])).toBeUndefined();
    expect(await directory.claim(place, true)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    redis.signal('SIGCONT');
    await ready(directory);
    // Once before and at most once while it was paused.
    const outcome = await directory.claim({ ...place, generation: 0 }, false);
    expect(outcome).toMatchObject({ kind: 'held' });
    expect(outcome?.kind === 'held' ? outcome.generation : 99).toBeLessThanOrEqual(2);
  });

  it('was lost with a login it had counted: both sessions claim, one stays', async () => {
    const redis = await startRedis();
    const one = pairOf('p0', 1, [redis.address]);
    const other = pairOf('p1', 1, [redis.address]);
    await ready(one.directory);
    await ready(other.directory);
    await vi.waitFor(() => expect([...one.superseded, ...other.superseded].length).toBeGreaterThan(0));
    const [loser, winner] = one.superseded.length > 0 ? ['p0', 'p1'] : ['p1', 'p0'];
    await vi.waitFor(async () => expect(await one.directory.find(['user-0'])).toEqual(new Map([['user-0', winner]])));
    expect((winner === 'p0' ? one : other).superseded, loser).toEqual([]);
  });

  it('fails over to a replica that missed the last writes', async () => {
    const master = await startRedis();
    const replica = await startRedis([`replicaof 127.0.0.1 ${master.port}`]);
    const sentinel = await RedisProcess.startSentinel(master, 'mymaster');
    closers.push(() => sentinel.stop());
    const knows = async () =>
      String(await sentinel.ask('SENTINEL', 'replicas', 'mymaster')).includes(String(replica.port));
    await vi.waitFor(async () => expect(await knows()).toBe(true), { timeout: 30_000, interval: 200 });
    const pair = pairOf('p0', 100, [sentinel.address], { mode: 'sentinel' });
    await pair.untilKnown();
    replica.signal('SIGSTOP');
    const late = { sessionId: 'p0.late', openid: 'late', createTimeMs: 5_000 };
    pair.sessions.set(late.sessionId, late);
    pair.announcer.started(late.openid, late.sessionId, true, 0);
    await vi.waitFor(async () => expect((await pair.directory.find(['late']))?.size).toBe(1));
    await master.kill();
    replica.signal('SIGCONT');
    // The replica never had it: it is announced again.
    await vi.waitFor(async () => expect((await pair.directory.find(['late']))?.get('late')).toBe('p0'), {
      timeout: 30_000,
      interval: 100,
    });
    expect(await replica.ask('HGET', 'test:user:late', 'p')).toBe('p0');
    await pair.untilKnown();
  });

  it('is a cluster that loses a node', async () => {
    const nodes = await Promise.all(
      [0, 1, 2].map(() => startRedis(['cluster-enabled yes', 'cluster-node-timeout 1000'])),
    );
    const ranges = [
      [0, 5_460],
      [5_461, 10_922],
      [10_923, 16_383],
    ] as const;
    for (const [index, node] of nodes.entries()) {
      const [from, to] = ranges[index] ?? [0, 0];
      await node.ask('CLUSTER', 'ADDSLOTSRANGE', from, to);
      await node.ask('CLUSTER', 'MEET', '127.0.0.1', nodes[0]?.port ?? 0);
    }
    const healthy = async () => {
      for (const node of nodes) expect(String(await node.ask('CLUSTER', 'INFO'))).toContain('cluster_state:ok');
    };
    await vi.waitFor(healthy, { timeout: 30_000, interval: 200 });
    const pair = pairOf(
      'p0',
      200,
      nodes.map(({ address }) => address),
      { mode: 'cluster' },
    );
    await pair.untilKnown();
    await nodes[1]?.ask('FLUSHALL');
    await pair.untilKnown();
  });
});
