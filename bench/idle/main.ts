/** Resident memory an idle session costs: the slope between two counts of sessions in one process, ours and the Go gateway's. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../lib/child.ts';
import { type Contestant, contestants, withLoad } from '../lib/contest.ts';
import { type BenchOptions, benchOptions } from '../lib/options.ts';
import { residentBytesOf } from '../lib/process-usage.ts';
import { formatSpread, formatTable, report, spreadOf } from '../lib/summary.ts';
import { buildGo } from '../lib/toolchain.ts';

const targetKilobytes = 32;
const connectDeadlineMs = 120_000;

interface Run {
  readonly contestant: Contestant;
  readonly residentBytes: readonly number[];
  readonly bytesPerSession: number;
}

/** The least of the resident sizes over some seconds: garbage that is about to go does not count. */
async function settledBytes(pid: number, seconds: number): Promise<number> {
  let least = residentBytesOf(pid);
  for (let second = 0; second < seconds; second++) {
    await sleep(1000);
    least = Math.min(least, residentBytesOf(pid));
  }
  return least;
}

async function run(contestant: Contestant, programs: string, options: BenchOptions): Promise<Run> {
  const flags = ['--idle', options.sizes.join(',')];
  return withLoad(contestant, programs, flags, async (gateway, load: Child) => {
    const residentBytes: number[] = [];
    for (const _ of options.sizes) {
      await load.event('held', connectDeadlineMs);
      residentBytes.push(await settledBytes(gateway.process.pid, options.measureSeconds));
      load.writeLine('next');
    }
    const done = await load.event('done', 30_000);
    if (done['lost'] !== 0) throw new Error(`${done['lost']} sessions were lost:\n${load.output}`);
    const grown = (residentBytes.at(-1) ?? 0) - (residentBytes[0] ?? 0);
    const added = (options.sizes.at(-1) ?? 0) - (options.sizes[0] ?? 0);
    return { contestant, residentBytes, bytesPerSession: grown / added };
  });
}

const kilobytes = (bytes: number) => (bytes / 1024).toFixed(1);
const megabytes = (bytes: number) => (bytes / 1048576).toFixed(0);

const options = benchOptions(process.argv.slice(2), { sizes: [1000, 5000], rounds: 1, measureSeconds: 10 });
if (options.sizes.length < 2) throw new Error('--sizes: expected two counts or more');
const programs = await buildGo('bench/peers', ['gateway', 'zone', 'load'], process.env);
const runs: Run[] = [];
for (let round = 0; round < options.rounds; round++) {
  for (const contestant of contestants(round, options.only)) runs.push(await run(contestant, programs, options));
}
const rows = (['ours', 'peer'] as const).flatMap((contestant) => {
  const mine = runs.filter((one) => one.contestant === contestant);
  if (mine.length === 0) return [];
  return [
    [
      contestant,
      formatSpread(spreadOf(mine.map((one) => one.bytesPerSession)), kilobytes),
      ...options.sizes.map((_, step) =>
        formatSpread(spreadOf(mine.map((one) => one.residentBytes[step] ?? 0)), megabytes),
      ),
    ],
  ];
});
const header = ['gateway', `KB a session (≤ ${targetKilobytes})`, ...options.sizes.map((size) => `MB at ${size}`)];
report(formatTable(header, rows), runs, options.json);
