import { describe, expect, it } from 'vitest';
import type { PairPlant } from './pair-world.ts';
import { plantedPairBugs } from './planted-bugs.ts';
import { plantedRules } from './planted-rules.ts';
import { runPair } from './scenario.ts';

// A failure prints its seed; GATESVR_PAIR_SEED=… plays that one alone.
const only = process.env['GATESVR_PAIR_SEED'];
const firstSeed = Number(only ?? 20_260_000);
const runs = only === undefined ? Number(process.env['GATESVR_RUNS'] ?? 10_000) : 1;

/** Every third pair has no arbiter. */
const isStandalone = (seed: number) => seed % 3 === 0;

function firstFailure(from: number, count: number, plant?: PairPlant, standalone = isStandalone): string | undefined {
  for (let seed = from; seed < from + count; seed += 1) {
    try {
      runPair(seed, standalone(seed), plant);
    } catch (error) {
      return `GATESVR_PAIR_SEED=${seed}: ${error instanceof Error ? error.stack : error}`;
    }
  }
  return undefined;
}

describe('a pair in a bad world', () => {
  it(`keeps the invariants in ${runs} runs`, { timeout: 600_000 + 100 * runs }, () => {
    expect(firstFailure(firstSeed, runs)).toBeUndefined();
  });
});

describe('the simulator finds', () => {
  it.each(Object.entries(plantedPairBugs))('%s', { timeout: 300_000 }, (_name, plant) => {
    expect(firstFailure(firstSeed, 2_000, plant, () => false) ?? 'nothing').toContain('ViolationError');
  });
});

describe('the simulator needs rule', () => {
  it.each(Object.entries(plantedRules))('%s', { timeout: 300_000 }, (name, plant) => {
    // What a client received under another epoch differs only where two primaries can be.
    const standalone = name.startsWith('5');
    expect(firstFailure(firstSeed, 8_000, plant, () => standalone) ?? 'nothing').toContain('ViolationError');
  });
});
