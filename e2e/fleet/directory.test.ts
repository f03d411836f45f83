import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetProcesses } from '../../bench/lib/fleet.ts';
import { until } from '../../bench/lib/pair.ts';
import { needRedis, RedisProcess } from '../../gateway/fleet/testing/redis-processes.ts';
import { FleetLoad } from './fleet-load.ts';

const users = 12;

let redis: RedisProcess;
let fleet: FleetProcesses;
let load: FleetLoad;

beforeAll(async () => {
  needRedis();
  redis = await RedisProcess.start();
  const flags = ['--directory-kind=redis', `--directory-redis-addrs=${redis.address}`];
  fleet = await FleetProcesses.start({ pairs: 2, flags });
  load = await FleetLoad.start();
  await load.startZones(fleet.gateway(0).grpcAddress);
  await load.connect(users, [fleet.gateway(0).quicAddress]);
}, 300_000);

afterAll(async () => {
  await load?.stop();
  await fleet?.stop();
  await redis?.stop();
});

async function recorded(): Promise<number> {
  const pairs = load.users.map(({ openid }) => redis.ask('HGET', `gatesvr:user:${openid}`, 'p'));
  return (await Promise.all(pairs)).filter((pairId) => pairId !== null).length;
}

describe('a fleet with a directory in Redis', () => {
  it('records where each session is', async () => {
    await until('all are recorded', async () => (await recorded()) === users);
    const { users: found } = await load.zone('001').presence(load.users.map(({ openid }) => openid));
    for (const { openid, pairId } of found) {
      expect(await redis.ask('HGET', `gatesvr:user:${openid}`, 'p')).toBe(pairId);
    }
  });

  it('goes on without it, and tells it everything again when it is back, empty', async () => {
    await redis.kill();
    await load.connect(4, [fleet.gateway(1).quicAddress]);
    for (const { openid } of load.users) {
      await load.zoneFor(openid).push(openid, 'without a directory');
      load.ledger.accepted(openid, 'without a directory');
    }
    await load.settle();
    expect(load.ledger.verdict()).toMatchObject({ lost: 0, repeated: 0 });
    await redis.run();
    await until('all are recorded again', async () => (await recorded()) === users + 4);
  });
});
