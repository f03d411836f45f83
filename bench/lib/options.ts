import { parseArgs } from 'node:util';
import type { Contestant } from './contest.ts';

export interface BenchOptions {
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly measureSeconds: number;
  readonly only: Contestant | undefined;
  readonly json: string | undefined;
}

const usage = `flags:
  --sizes N,N    sessions
  --rounds N     runs of each size
  --warm-up S    seconds before a measurement
  --measure S    seconds of a measurement
  --only WHO     ours or peer, not both
  --json FILE    write the results there too
`;

/** The flags all benches take. Prints the usage and ends the process on --help or a wrong flag. */
export function benchOptions(argv: readonly string[], defaults: Partial<BenchOptions>): BenchOptions {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        sizes: { type: 'string', default: (defaults.sizes ?? []).join(',') },
        rounds: { type: 'string', default: String(defaults.rounds ?? 3) },
        'warm-up': { type: 'string', default: String(defaults.warmUpSeconds ?? 5) },
        measure: { type: 'string', default: String(defaults.measureSeconds ?? 5) },
        only: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) throw new Error('');
    if (values.only !== undefined && values.only !== 'ours' && values.only !== 'peer') {
      throw new Error(`--only ${values.only}: expected ours or peer`);
    }
    return {
      sizes: values.sizes.split(',').map((size) => positive('--sizes', size)),
      rounds: positive('--rounds', values.rounds),
      warmUpSeconds: positive('--warm-up', values['warm-up']),
      measureSeconds: positive('--measure', values.measure),
      only: values.only,
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? `${error.message}\n` : ''}${usage}`);
    process.exit(2);
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${flag} ${text}: expected a number above 0`);
  return value;
}
