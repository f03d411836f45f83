/**
 * Fuzzes for a bounded time: `node fuzz/main.ts [MINUTES] [TARGET…]`, one minute in all by default (or $MINUTES).
 * JavaScript targets are guided by V8's coverage, the native ones by libFuzzer. A finding is kept in the corpus, named
 * finding-…, and the exit code is 1.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cacheFolder, corpusFolder, keepInput, readInputs } from './corpus.ts';
import { blockCoverage } from './coverage.ts';
import { Fuzzer, type Target } from './fuzzer.ts';
import { targets } from './targets.ts';

const nativeTargets = ['frames'];
const inputBytesMax = 4096;
const coverageFlags = [
  '--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
].join(' ');

const minutes = Number(process.argv[2] ?? process.env['MINUTES'] ?? 1);
if (!(minutes > 0 && minutes <= 10_000)) {
  console.error(`MINUTES is ${minutes}, expected more than 0 and at most 10000`);
  process.exit(2);
}
const all = [...targets.keys(), ...nativeTargets];
const chosen = process.argv.length > 3 ? process.argv.slice(3) : all;
const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`no target ${unknown.join(', ')}, expected ${all.join(', ')}`);
  process.exit(2);
}
const secondsEach = (minutes * 60) / chosen.length;
let failed = 0;
for (const name of chosen) {
  const target = targets.get(name);
  failed += (target === undefined ? fuzzNative(name) : fuzz(name, target)) ? 0 : 1;
}
process.exitCode = failed === 0 ? 0 : 1;

function fuzz(name: string, target: Target): boolean {
  const coverage = blockCoverage();
  const corpus = [...readInputs(corpusFolder, name), ...readInputs(cacheFolder, name)];
  const seed = Date.now() % 0x7fffffff;
  const fuzzer = new Fuzzer({ target, corpus, seed, inputBytesMax, coverage, batch: 64 });
  const endMs = performance.now() + secondsEach * 1000;
  let finding = fuzzer.replay();
  while (finding === undefined && performance.now() < endMs) finding = fuzzer.step();
  coverage.close();
  for (const input of fuzzer.kept) keepInput(cacheFolder, name, input);
  console.log(`${name}: seed ${seed}, ${fuzzer.runs} runs, ${fuzzer.kept.length} inputs reached something new`);
  if (finding === undefined) return true;
  console.error(`fuzz/corpus/${keepInput(corpusFolder, name, finding.input, 'finding-')}\n`, finding.error);
  return false;
}

function fuzzNative(name: string): boolean {
  const folder = fileURLToPath(new URL('native/', import.meta.url));
  const corpus = fileURLToPath(new URL(`${name}/`, corpusFolder));
  const cache = fileURLToPath(new URL(`${name}/`, cacheFolder));
  mkdirSync(cache, { recursive: true });
  const limits = [`-max_total_time=${Math.ceil(secondsEach)}`, `-max_len=${inputBytesMax}`, '-print_final_stats=1'];
  const cargo = ['run', '--release', '--locked', '--target', hostTriple(), '--bin', name, '--'];
  const ended = spawnSync('cargo', [...cargo, cache, corpus, ...limits, `-artifact_prefix=${corpus}finding-`], {
    cwd: folder,
    env: { ...process.env, RUSTFLAGS: coverageFlags },
    stdio: ['ignore', 'inherit', 'pipe'],
    encoding: 'utf8',
  });
  const lines = ended.stderr.split('\n');
  console.log(`${name}: ${lines.filter((line) => /number_of_executed_units|new_units_added/.test(line)).join(', ')}`);
  if (ended.status === 0) return true;
  console.error(lines.slice(-40).join('\n'));
  return false;
}

/** Naming the target keeps the flags away from build scripts and procedural macros. */
function hostTriple(): string {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' });
  return /^host: (.*)$/m.exec(stdout)?.[1] ?? '';
}
