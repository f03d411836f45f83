/**
 * Both our transports against a quic-go echo server, each freshly started, in turns, under the same quic-go load: messages
 * per CPU second of the server's process. Then a paced broadcast, and the memory of an idle connection.
 */
import { contestants } from '../lib/contest.ts';
import { type BenchOptions, benchOptions } from '../lib/options.ts';
import { report } from '../lib/summary.ts';
import { buildGo } from '../lib/toolchain.ts';
import type { EchoContestant } from './contestant.ts';
import { measureBroadcast, measureEcho, measureMemory, type Run } from './measure.ts';
import { ratioTable } from './tables.ts';

const targets = new Map([
  [20, 1.2],
  [500, 1.3],
  [2000, 1.8],
]);

async function rounds(options: BenchOptions, one: (who: EchoContestant) => Promise<Run>): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const all = options.only === undefined ? (['quiche'] as const) : [];
    for (const who of [...contestants(round, options.only), ...all]) {
      runs.push(await one(who));
      process.stderr.write('.');
    }
  }
  return runs;
}

function print(title: string, table: string): void {
  process.stdout.write(`\n${title}\n${table}\n`);
}

/** @param argv flags of bench/lib/options.ts. @returns the process's exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const options = benchOptions(argv, { sizes: [20, 500, 2000], rounds: 3, warmUpSeconds: 1, measureSeconds: 3 });
  const programs = await buildGo('bench/peers', ['echo'], process.env);
  const runs: Run[] = [];
  for (const connections of options.sizes) {
    runs.push(...(await rounds(options, (who) => measureEcho(who, programs, connections, options))));
  }
  print('echo, 100 bytes, 4 in flight: messages per CPU second of the server', ratioTable(runs, targets));
  const fanOut = await rounds(options, (who) => measureBroadcast(who, programs, 1000));
  const title = 'broadcast, 200 bytes to 1,000 connections every 20 ms: deliveries per CPU second';
  print(title, ratioTable(fanOut, new Map()));
  const memory = await rounds({ ...options, rounds: 1 }, (who) => measureMemory(who, programs));
  const lines = memory.map((one) => `  ${one.contestant}: ${(one.value / 1024).toFixed(1)} KB`);
  const slope = `resident bytes for each idle connection, slope from 1,000 to 5,000\n${lines.join('\n')}\n`;
  report(slope, { echo: runs, broadcast: fanOut, memory }, options.json);
  return 0;
}

if (import.meta.main) process.exitCode = await run(process.argv.slice(2));
