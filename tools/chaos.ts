/**
 * `make chaos`: `node tools/chaos.ts [MINUTES] [SEED] [CLIENTS]` does to a pair of gateways, at random, what may happen to one,
 * and holds its answers against what clients saw. The same seed gives the same faults; when they strike is up to the machine.
 */
import { chaos } from '../e2e/pair/chaos.ts';

const usage = 'usage: node tools/chaos.ts [MINUTES] [SEED] [CLIENTS]\n';

process.chdir(new URL('../', import.meta.url).pathname);

/** An argument by its place; ends the process when it is no number above 0. */
function argument(place: number, standard: number): number {
  const given = process.argv[place + 2];
  const value = given === undefined ? standard : Number(given);
  if (!(value > 0)) {
    process.stderr.write(`${given}: expected a number above 0\n${usage}`);
    process.exit(2);
  }
  return value;
}

const minutes = argument(0, 5);
const seed = argument(1, Date.now() % 2 ** 31);
const clients = argument(2, 100);
const say = (line: string) => process.stdout.write(`${line}\n`);
say(`seed ${seed}, ${clients} clients, ${minutes} minutes`);
try {
  const verdict = await chaos({ minutes, seed, clients, say });
  say(JSON.stringify(verdict, undefined, 2));
  say(
    verdict.wrong.length === 0 ? 'nothing was lost, repeated or turned round' : `broken: ${verdict.wrong.join(', ')}`,
  );
  process.exit(verdict.wrong.length === 0 ? 0 : 1);
} catch (error) {
  process.stderr.write(`seed ${seed}: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
