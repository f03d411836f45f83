import { describe, expect, it } from 'vitest';
import type { FleetPlant } from './fleet-world.ts';
import { runFleet } from './scenario.ts';

// A failure prints its seed; GATESVR_FLEET_SEED=… plays that one alone.
const only = process.env['GATESVR_FLEET_SEED'];
const firstSeed = Number(only ?? 20_260_000);
const runs = only === undefined ? Number(process.env['GATESVR_FLEET_RUNS'] ?? 100) : 1;

async function firstFailure(count: number, plant?: FleetPlant): Promise<string | undefined> {
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    try {
      await runFleet(seed, plant);
    } catch (error) {
      return `GATESVR_FLEET_SEED=${seed}: ${error instanceof Error ? error.stack : error}`;
    }
  }
  return undefined;
}

describe('a fleet in a bad world', () => {
  it(`keeps the invariants in ${runs} runs`, { timeout: 120_000 + 1_000 * runs }, async () => {
    expect(await firstFailure(runs)).toBeUndefined();
  });
});

describe('the simulator finds', () => {
  it('a link that sends again what its owner cannot recognise', { timeout: 300_000 }, async () => {
    const plant: FleetPlant = { call: (options) => ({ ...options, repeatable: true }) };
    expect((await firstFailure(300, plant)) ?? 'nothing').toContain('ViolationError');
  });

  it('a link that takes what it does not know for not done', { timeout: 300_000 }, async () => {
    const plant: FleetPlant = {
      call: (options) => ({
        ...options,
        done: (outcome) => options.done(outcome === 'unknown' ? 'unreachable' : outcome),
      }),
    };
    expect((await firstFailure(300, plant)) ?? 'nothing').toContain('ViolationError');
  });
});
