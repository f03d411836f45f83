import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runScenario, scenario } from './actions.ts';
import { ViolationError } from './ledger.ts';
import { plantedBugs } from './planted-bugs.ts';
import { nothingPlanted, type Plant } from './world.ts';

// A failure prints both; with them it is played again: GATESVR_SEED=… GATESVR_PATH=… vitest run gateway/testing/sessions
const seed = Number(process.env['GATESVR_SEED'] ?? 20_250_112);
const path = process.env['GATESVR_PATH'];
const runs = Number(process.env['GATESVR_RUNS'] ?? 10_000);

function explore(plant: Plant, numRuns: number, shrinkMs: number) {
  const property = fc.property(scenario, (given) => {
    runScenario(given, plant);
  });
  const replay = path === undefined ? {} : { path };
  return fc.check(property, { numRuns, seed, interruptAfterTimeLimit: shrinkMs, ...replay });
}

describe('sessions in a bad world', () => {
  it(`keep the invariants in ${runs} runs`, { timeout: 600_000 }, () => {
    const result = explore(nothingPlanted, runs, 540_000);
    const replay = `GATESVR_SEED=${result.seed} GATESVR_PATH=${result.counterexamplePath}`;
    const found = `${replay}\n${JSON.stringify(result.counterexample)}\n${result.errorInstance}`;
    expect(result.failed, found).toBe(false);
    expect(result.numRuns).toBe(runs);
  });
});

/** Runs needed at the default seed, with room: a checker that needs more has become blind. */
const plantedRuns = 300;

describe('the checker finds', () => {
  it.each(Object.entries(plantedBugs))('%s', { timeout: 300_000 }, (name, plant) => {
    const property = fc.property(scenario, (given) => {
      runScenario(given, plant);
    });
    const result = fc.check(property, { numRuns: plantedRuns, seed, endOnFailure: true });
    expect(result.failed, `${name} was not found in ${plantedRuns} runs`).toBe(true);
    expect(result.errorInstance).toBeInstanceOf(ViolationError);
    const again = fc.check(property, { seed, path: result.counterexamplePath ?? '', endOnFailure: true });
    expect(`${again.errorInstance}`, 'a replay fails in the same way').toBe(`${result.errorInstance}`);
  });
});
