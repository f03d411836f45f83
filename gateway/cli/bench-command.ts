import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../lib/errors.ts';
import { didYouMean } from '../lib/suggest.ts';
import { CommandError, exitCodes } from './command-error.ts';

const folder = fileURLToPath(new URL('../../bench/', import.meta.url));

function benchNames(): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, 'main.ts')));
}

function usage(names: readonly string[]): string {
  const list = names.length === 0 ? 'none here: benchmarks run from a checkout' : names.join(', ');
  return `gatesvr bench: run a benchmark

Usage: gatesvr bench NAME [its flags]

Benchmarks: ${list}

Examples:
  gatesvr bench ${names[0] ?? 'request'} --help
  gatesvr bench ${names.at(-1) ?? 'request'}
`;
}

/** The `bench` subcommand: runs bench/NAME/main.ts. @returns its exit code. @throws {UsageError} */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  const names = benchNames();
  if (name === '--help' || name === '-h') {
    process.stdout.write(usage(names));
    return exitCodes.ok;
  }
  if (name === undefined || !names.includes(name)) {
    const expected = `expected ${names.join(', ') || 'a checkout with benchmarks'}`;
    throw new UsageError(`bench: ${name ?? 'no name'}: ${expected}${didYouMean(name ?? '', names)}`);
  }
  return run([join(folder, name, 'main.ts'), ...rest]);
}

/** In a process of its own: a benchmark measures, so nothing else may run in it. */
function run(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on('SIGTERM', pass);
  process.on('SIGINT', pass);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new CommandError(exitCodes.failure, `bench: ${error.message}`)));
    child.on('exit', (code) => resolve(code ?? exitCodes.failure));
  });
}
