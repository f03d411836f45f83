import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../session/command.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import type { SnapshotImage } from '../../session/snapshot-images.ts';
import { type Draw, drawCommand, draws } from './random-commands.ts';
import { ReferenceShard } from './reference-shard.ts';
import { worldLimits } from './world-limits.ts';

// A copy cannot see refusals because of all queues together, so there are none here; see `totalLimitHits`.
const limits = { ...worldLimits, totalQueueBytesMax: 1_000_000, pushDedupeHorizonMs: 2_500, producersMax: 10 };
const seed = Number(process.env['GATESVR_SEED'] ?? 20_250_112);

/** Applies commands, begins a snapshot before the `from`th, and takes `step` images after every other command. */
function runWithCopy(given: readonly Draw[], from: number, step: number): void {
  const original = new SessionMachine();
  const copy = new SessionMachine();
  const reference = new ReferenceShard(limits);
  let images: Generator<SnapshotImage> | undefined;
  let index = 0;
  const apply = (command: Command) => {
    index += 1;
    original.apply(index, command, []);
    reference.apply(index, command);
    if (images !== undefined) copy.apply(index, command, []);
  };
  apply({ kind: 'configure', limits });
  apply({ kind: 'promote', epoch: 1, history: 'h' });
  given.forEach((draw, n) => {
    if (n === from) {
      images = original.snapshot(index + 1);
      take(images, copy);
    }
    const command = drawCommand(reference, draw, `s${index}`);
    if (command.kind !== 'promote' || images === undefined) apply(command);
    for (let taken = n % 2 === 0 ? step : 0; taken > 0 && images !== undefined; taken -= 1) take(images, copy);
  });
  images ??= original.snapshot(index + 1);
  for (const image of images) copy.restore(image);
  expect(copy.restoring).toBe(false);
  expect(copy.stateHash()).toBe(original.stateHash());
  expect([...copy.snapshot(0)]).toEqual([...original.snapshot(0)]);
  expect(copy.counts()).toEqual(original.counts());
}

function take(images: Generator<SnapshotImage>, copy: SessionMachine): void {
  const next = images.next();
  if (next.done !== true) copy.restore(next.value);
}

describe('a copy', () => {
  it('taken piece by piece while commands go on equals its original', { timeout: 120_000 }, () => {
    const property = fc.property(draws, fc.nat(60), fc.integer({ min: 1, max: 4 }), runWithCopy);
    fc.assert(property, { numRuns: 1_500, seed, interruptAfterTimeLimit: 100_000 });
  });
});
