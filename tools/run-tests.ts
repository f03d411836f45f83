/**
 * `make test`: every check, then every test of Rust and TypeScript. Goes on after a failure, and ends with the line
 * "N passed, N failed". A check that fails counts as one failure; only tests count as passed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Counts, countCargo, countVitest } from './test-counts.ts';

interface Outcome {
  readonly status: number;
  readonly output: string;
}

process.chdir(new URL('../', import.meta.url).pathname);
const scratch = mkdtempSync(join(tmpdir(), 'gatesvr-test-'));

/** Colours only for a terminal, whatever the environment says. */
const env = { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1', FORCE_COLOR: '0' }) };

/** Runs a program, shows what it says, and keeps it. */
function run(command: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    let output = '';
    const show = (to: NodeJS.WriteStream) => (chunk: Buffer) => {
      output += chunk;
      to.write(chunk);
    };
    child.stdout.on('data', show(process.stdout));
    child.stderr.on('data', show(process.stderr));
    child.on('error', (error) => resolve({ status: 1, output: `${command}: ${error.message}` }));
    child.on('close', (status) => resolve({ status: status ?? 1, output }));
  });
}

type Check = readonly [string, string, ...string[]];

const checks: readonly Check[] = [
  ['format and lint', 'biome', 'ci', `--colors=${process.stdout.isTTY ? 'force' : 'off'}`, '.'],
  ['types', 'tsc', '--noEmit'],
  ['unused code', 'knip', '--no-progress'],
  ['generate from proto/', 'buf', 'generate', '--output', scratch],
  ['proto/gen is as generated', 'diff', '-r', 'proto/gen', join(scratch, 'proto/gen')],
];

/** What needs cargo: on a machine without it the transport for development is tested alone. */
const cargoChecks: readonly Check[] = [
  ['versions, licences and install scripts of dependencies', 'node', 'tools/audit.ts'],
  ['format of Rust', 'cargo', 'fmt', '--check', '--manifest-path', 'gateway/transport/native/Cargo.toml'],
];

const hasCargo = (await run('sh', ['-c', 'command -v cargo'])).status === 0;
const withoutCargo = 'not run, because cargo is not here: tests in Rust, audit of dependencies, everything on quinn\n';
if (!hasCargo) process.stdout.write(withoutCargo);

async function runChecks(): Promise<Counts> {
  let failed = 0;
  for (const [name, command, ...args] of hasCargo ? [...checks, ...cargoChecks] : checks) {
    process.stdout.write(`── ${name}\n`);
    const { status, output } = await run(command, args);
    if (status === 0) continue;
    failed += 1;
    process.stdout.write(`failed: ${name}${output === '' ? ` (${command} ended with ${status})` : ''}\n`);
  }
  return { passed: 0, failed };
}

async function runCargo(): Promise<Counts> {
  process.stdout.write('── tests in Rust\n');
  const manifest = 'gateway/transport/native/Cargo.toml';
  const { status, output } = await run('cargo', ['test', '--release', '--locked', '--manifest-path', manifest]);
  return countCargo(output, status);
}

async function runVitest(): Promise<Counts> {
  process.stdout.write('── tests in TypeScript\n');
  const report = join(scratch, 'vitest.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = await run('vitest', ['run', ...reporters]);
  return countVitest(() => readFileSync(report, 'utf8'), status);
}

const all = [await runChecks(), ...(hasCargo ? [await runCargo()] : []), await runVitest()];
rmSync(scratch, { recursive: true });
const passed = all.reduce((sum, counts) => sum + counts.passed, 0);
const failed = all.reduce((sum, counts) => sum + counts.failed, 0);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
