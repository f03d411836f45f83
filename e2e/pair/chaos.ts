import { Random } from '../../gateway/testing/random.ts';
import {
  cutLinks,
  demotePrimary,
  type Fault,
  flapLinks,
  killBackup,
  killPrimary,
  pauseBackup,
  pausePrimary,
  stopPrimary,
} from './faults.ts';
import type { PairVerdict } from './pair-ledger.ts';
import type { RequestVerdict } from './pair-load.ts';
import { startWorld } from './pair-world.ts';

const faults: Readonly<Record<string, Fault>> = {
  'kill -9 of the primary': killPrimary,
  'kill -9 of the backup': killBackup,
  'the primary stands still': pausePrimary,
  'the backup stands still': pauseBackup,
  'SIGTERM of the primary': stopPrimary,
  'demotion of the primary': demotePrimary,
  'flapping links': flapLinks,
  'cut links': cutLinks,
};

export interface ChaosOptions {
  readonly minutes: number;
  readonly clients: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface ChaosVerdict {
  readonly faults: number;
  readonly pushes: PairVerdict;
  readonly requests: RequestVerdict;
  readonly resets: number;
  /** Broken promises; without any the list is empty. */
  readonly wrong: readonly string[];
}

/** Faults at random, one after the other, for so long; then the ledger. @throws Error when a pair does not recover. */
export async function chaos({ minutes, clients, seed, say }: ChaosOptions): Promise<ChaosVerdict> {
  const random = new Random(seed);
  const names = Object.keys(faults);
  const untilMs = performance.now() + minutes * 60_000;
  const world = await startWorld({ clients, seed });
  const { load } = world;
  let done = 0;
  let cuts = 0;
  try {
    load.run();
    while (performance.now() < untilMs) {
      const name = names[random.between(0, names.length - 1)] ?? '';
      const beganMs = performance.now();
      const resets = load.resets;
      await faults[name]?.(world);
      done += 1;
      if (faults[name] === cutLinks) cuts += 1;
      else if (load.resets > resets) throw new Error(`${load.resets - resets} resets\n${world.pair.report()}`);
      say(`${done}: ${name}, whole again after ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`);
    }
    await load.quiet();
    // A standalone pair whose links were cut may owe what only the deposed side had: it is counted, not waited for.
    if (cuts === 0) await load.delivered();
    else await load.delivered().catch(() => {});
    const [pushes, requests] = [load.ledger.verdict(), load.requests()];
    return { faults: done, pushes, requests, resets: load.resets, wrong: wrongOf(pushes, requests, cuts) };
  } finally {
    await world.stop();
  }
}

function wrongOf(pushes: PairVerdict, requests: RequestVerdict, cuts: number): string[] {
  const { lost, repeated, outOfOrder, open, lostDegraded } = pushes;
  const { wrong, carriedOutTwice, failed } = requests;
  const counts: Record<string, number> = { lost, repeated, outOfOrder, open, wrong: wrong.length, carriedOutTwice };
  if (cuts === 0) {
    counts['lostDegraded'] = lostDegraded;
    counts['failed requests'] = Object.values(failed).reduce((sum, count) => sum + count, 0);
  }
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name}: ${count}`);
}
