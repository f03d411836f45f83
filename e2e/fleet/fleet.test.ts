import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetProcesses } from '../../bench/lib/fleet.ts';
import { until } from '../../bench/lib/pair.ts';
import { FleetLoad } from './fleet-load.ts';

const users = 30;
const openids = Array.from({ length: users }, (_, n) => `user-${n}`);

let fleet: FleetProcesses;
let load: FleetLoad;

beforeAll(async () => {
  fleet = await FleetProcesses.start({ pairs: 3, flags: ['--fleet-forward-timeout=1500ms'] });
  load = await FleetLoad.start();
  await load.startZones(fleet.gateway(0).grpcAddress);
  await load.connect(users, [fleet.gateway(0).quicAddress]);
});

afterAll(async () => {
  await load?.stop();
  await fleet?.stop();
});

async function sessionsOf(index: number): Promise<number> {
  const answer = await fetch(`http://${fleet.gateway(index).httpAddress}/stats`);
  return ((await answer.json()) as { sessions: number }).sessions;
}

describe('three pairs are one service', () => {
  it('sends each user to the pair it belongs to, whichever it asked', async () => {
    const sessions = await Promise.all([0, 1, 2].map(sessionsOf));
    expect(sessions.reduce((sum, count) => sum + count, 0)).toBe(users);
    for (const count of sessions) expect(count).toBeGreaterThan(0);
    expect(load.resets).toEqual([]);
  });

  it('answers requests at every pair: zones that know one gateway are known to all', async () => {
    for (const { openid, client } of load.users) {
      expect(Buffer.from(await client.request('echo', openid)).toString()).toBe(openid);
    }
  });

  it('takes a push at any gateway', async () => {
    const pushes = load.users.flatMap(({ openid }) => [1, 2, 3].map((n) => ({ openid, text: `${openid} ${n}` })));
    for (const { openid, text } of pushes) {
      await load.zoneFor(openid).push(openid, text);
      load.ledger.accepted(openid, text);
    }
    await load.settle();
    expect(load.ledger.verdict()).toMatchObject({ accepted: 90, seen: 90, lost: 0, repeated: 0, outOfOrder: 0 });
  });

  it('takes a stream of pushes to users of all pairs', async () => {
    const producer = load.zone('001').openProducer();
    const results = openids.flatMap((openid) =>
      Array.from({ length: 20 }, (_, n) => {
        const text = `streamed ${n}`;
        load.ledger.accepted(openid, text);
        return producer.push(openid, text);
      }),
    );
    await Promise.all(results);
    await producer.close(5_000);
    await load.settle();
    expect(load.ledger.verdict()).toMatchObject({ lost: 0, repeated: 0, outOfOrder: 0 });
  });

  it('waits for the acknowledgement of a client of another pair', async () => {
    for (const openid of openids.slice(0, 6)) {
      load.ledger.accepted(openid, 'acked');
      expect(await load.zone('002').push(openid, 'acked', { level: 'acked' })).toMatchObject({ level: 'acked' });
    }
  });

  it('broadcasts to all pairs, and says what each did', async () => {
    for (const openid of openids) load.ledger.accepted(openid, 'to all');
    const result = await load.zone('003').broadcast('to all');
    expect(result).toMatchObject({ matched: users, accepted: users });
    expect(result.pairs.map(({ pairId }) => pairId).sort()).toEqual(['p0', 'p1', 'p2']);
    await load.settle();
    expect(load.ledger.verdict()).toMatchObject({ lost: 0, repeated: 0 });
  });

  it('says that somebody has no session only if no pair has it', async () => {
    await expect(load.zone('001').push('stranger', 'x')).rejects.toMatchObject({ failure: 'no-session' });
  });

  it('knows who is online, and where', async () => {
    const { users: found, complete } = await load.zone('001').presence([...openids, 'stranger']);
    expect(complete).toBe(true);
    expect(found.filter(({ online, connected }) => online && connected)).toHaveLength(users);
    expect(new Set(found.map(({ pairId }) => pairId))).toEqual(new Set(['p0', 'p1', 'p2', '']));
    expect(found.find(({ openid }) => openid === 'stranger')).toMatchObject({ online: false });
  });

  it('pushes to a group whose sessions are at several pairs', async () => {
    const zone = load.zone('004');
    const room = openids.slice(0, 12);
    expect(await zone.joinGroup('room', { openids: [...room, 'stranger'] })).toEqual({
      changed: 12,
      missing: ['stranger'],
    });
    expect(await zone.joinGroup('room', { openids: room.slice(0, 2) })).toEqual({ changed: 0, missing: [] });
    for (const openid of room) load.ledger.accepted(openid, 'to the room');
    expect(await zone.pushGroup('room', 'to the room')).toMatchObject({ matched: 12, accepted: 12 });
    expect(await zone.leaveGroup('room', { openids: room.slice(0, 4) })).toMatchObject({ changed: 4 });
    for (const openid of room.slice(4)) load.ledger.accepted(openid, 'to those who stayed');
    expect(await zone.pushGroup('room', 'to those who stayed')).toMatchObject({ matched: 8 });
    await load.settle();
    expect(load.ledger.verdict()).toMatchObject({ lost: 0, repeated: 0 });
  });

  it('says which pair did not take a broadcast, and never that a user of it has no session', async () => {
    const { process: stopped } = fleet.gateway(1);
    process.kill(stopped.pid, 'SIGSTOP');
    try {
      const [mine] = (await load.zone('001').presence(openids)).users.filter(({ pairId }) => pairId === '');
      const failure = load.zone('001').broadcast('to some', { openids: ['nobody'] });
      await expect(failure).rejects.toMatchObject({ failure: 'unknown' });
      await expect(failure).rejects.toThrow(/p1: /);
      await expect(load.zone('001').push(mine?.openid ?? '', 'late')).rejects.not.toMatchObject({
        failure: 'no-session',
      });
      load.ledger.accepted(mine?.openid ?? '', 'late');
    } finally {
      process.kill(stopped.pid, 'SIGCONT');
    }
    await until('the pair is reached again', async () => (await load.zone('001').presence(openids)).complete);
  });
});
