import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FleetProcesses } from '../../bench/lib/fleet.ts';
import { until } from '../../bench/lib/pair.ts';
import { FleetLoad } from './fleet-load.ts';

const users = 40;
const pushPauseMs = 150;

let fleet: FleetProcesses;
let load: FleetLoad;

beforeAll(async () => {
  fleet = await FleetProcesses.start({ pairs: 3, flags: ['--fleet-rebalance-rate=20'] }, 2);
  load = await FleetLoad.start();
  await load.startZones(fleet.gateway(0).grpcAddress);
  await load.connect(users, [fleet.gateway(0).quicAddress]);
});

afterAll(async () => {
  await load?.stop();
  await fleet?.stop();
});

async function sessions(): Promise<number[]> {
  const openids = load.users.map(({ openid }) => openid);
  const presence = await load.zone('001').presence(openids);
  return [0, 1, 2].map((n) => presence.users.filter(({ pairId, connected }) => connected && pairId === `p${n}`).length);
}

function totalOf(before: readonly number[]): number {
  return before.reduce((sum, count) => sum + count, 0);
}

describe('a fleet under load', () => {
  it('grows by a pair, and moves only its share: nothing is lost, nothing comes twice', async () => {
    const before = await sessions();
    expect(before[2]).toBe(0);
    load.run(pushPauseMs);
    await fleet.setMap(3);
    let last: number[] = [];
    await until(
      'the new pair has its share and nobody is between two',
      async () => {
        const now = await sessions();
        const stays = now.join() === last.join() && (now[2] ?? 0) > 0 && totalOf(now) === users;
        last = now;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return stays;
      },
      () => last.join(),
    );
    await load.quiet();
    expect(load.ledger.verdict()).toMatchObject({ lost: 0, repeated: 0, outOfOrder: 0 });
    expect(load.refusals.get('unknown')).toBeUndefined();
    expect(load.wrongAnswers).toBe(0);
    // Nobody moved but to the new pair, and each of them once.
    const after = await sessions();
    expect(after[0]).toBeLessThanOrEqual(before[0] ?? 0);
    expect(after[1]).toBeLessThanOrEqual(before[1] ?? 0);
    expect(load.resets.length).toBe(after[2]);
  });

  it('drains a pair: all of its sessions leave, and nothing is lost', async () => {
    load.run(pushPauseMs);
    fleet.drain(1);
    await fleet.setMap(3);
    let last: number[] = [];
    const done = async () => {
      last = await sessions();
      return last[1] === 0 && totalOf(last) === users;
    };
    await until('the pair is empty', done, () => last.join());
    await load.quiet();
    expect(load.ledger.verdict()).toMatchObject({ lost: 0, repeated: 0, outOfOrder: 0 });
    expect(load.wrongAnswers).toBe(0);
  });
});
