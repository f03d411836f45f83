import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../bench/lib/pair.ts';
import {
  cutLinks,
  demotePrimary,
  type Fault,
  flapLinks,
  killBackup,
  killBoth,
  killPrimary,
  pauseBackup,
  pausePrimary,
  stopPrimary,
  untilWhole,
} from './faults.ts';
import { startWorld } from './pair-world.ts';

const clients = 40;
const deadlineMs = 60_000;
const nothingWrong = { unknown: expect.any(Number), open: 0, lost: 0, repeated: 0, outOfOrder: 0 };

describe('a pair under load', () => {
  let world: Awaited<ReturnType<typeof startWorld>>;

  beforeAll(async () => {
    world = await startWorld({ clients, seed: 20_261_122 });
    world.load.run();
  }, deadlineMs);

  afterAll(() => world?.stop(), deadlineMs);

  /** Nobody was told of a reset, and what was promised so far is not broken. */
  async function survives(fault: Fault): Promise<void> {
    await fault(world);
    expect(world.load.resets).toBe(0);
    expect(world.load.ledger.verdict()).toMatchObject({ repeated: 0, outOfOrder: 0 });
  }

  it.each<[string, Fault]>([
    ['the primary is killed', killPrimary],
    ['the backup is killed', killBackup],
    ['the primary stands still and wakes up', pausePrimary],
    ['the backup stands still and wakes up', pauseBackup],
    ['the primary is stopped: a switchover', stopPrimary],
    ['an administrator demotes the primary', demotePrimary],
    ['the links flap', flapLinks],
    ['the new primary is killed', killPrimary],
    ['the new primary stands still and wakes up', pausePrimary],
    ['the backup is killed again', killBackup],
    ['the shard moves back by a switchover', stopPrimary],
  ])('goes on when %s', { timeout: deadlineMs }, async (_name, fault) => survives(fault));

  it('has lost, repeated and turned round nothing', { timeout: deadlineMs }, async () => {
    const { load } = world;
    await load.quiet();
    await load.delivered();
    expect(load.ledger.verdict()).toMatchObject({ ...nothingWrong, lostDegraded: 0, told: 0 });
    expect(load.requests()).toEqual({
      asked: load.requests().asked,
      answered: load.requests().asked,
      failed: {},
      wrong: [],
      carriedOutTwice: 0,
    });
    // Faults under which nothing flowed would prove nothing.
    expect(load.ledger.verdict().committed).toBeGreaterThan(200);
    expect(load.ledger.verdict().degraded).toBeGreaterThan(20);
    expect(load.reconnects).toBeGreaterThan(clients * 5);
  });

  it('loses nothing that both had when its links are cut', { timeout: deadlineMs }, async () => {
    const { load } = world;
    load.run();
    await cutLinks(world);
    await load.quiet();
    await untilWhole(world);
    // What only the deposed one had may be gone: the client was told, or the ledger counts it as degraded.
    const settled = () => load.ledger.complete || load.ledger.verdict().lostDegraded > 0;
    await until('all that is owed is delivered', settled, () => load.ledger.findings().join('\n'));
    expect(load.ledger.verdict()).toMatchObject(nothingWrong);
    expect(load.requests().carriedOutTwice).toBe(0);
  });

  it('tells every client that its session is gone when both are killed, and serves again', {
    timeout: deadlineMs,
  }, async () => {
    const { load } = world;
    const before = load.resets;
    await killBoth(world);
    await until('all are told', () => load.resets === before + clients, world.pair.report);
    load.run();
    await untilWhole(world);
    await load.quiet();
    await load.delivered();
    expect(load.ledger.verdict()).toMatchObject(nothingWrong);
  });
});
