/**
 * `make e2e`, `make e2e-up`, `make e2e-down`: `node e2e/cluster/main.ts run|up|down [vitest's arguments]`.
 * `run` makes a cluster, or uses the one of `up`, and ends with "N passed, N failed".
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryFolder } from '../../bench/lib/toolchain.ts';
import { type Counts, countVitest } from '../../tools/test-counts.ts';
import { type Cluster, progress } from './cluster.ts';
import { provideImages } from './images.ts';
import { clusterVariables } from './lib/suite-variables.ts';
import { chooseProvider, providerNamed } from './providers.ts';

const resultsFolder = join(repositoryFolder, '.cache', 'e2e');
/** Names the cluster that `make e2e-up` left running. */
const keptFile = join(resultsFolder, 'cluster.json');
const interruptedStatus = 130;

interface Kept {
  readonly provider: string;
  readonly name: string;
}

async function keptCluster(): Promise<Cluster | undefined> {
  if (!existsSync(keptFile)) return undefined;
  const { provider, name } = JSON.parse(readFileSync(keptFile, 'utf8')) as Kept;
  try {
    return await providerNamed(provider).attach(name);
  } catch {
    // The machine was started anew since.
    rmSync(keptFile);
    return undefined;
  }
}

async function makeCluster(keep: boolean): Promise<Cluster> {
  const provider = await chooseProvider(process.env[clusterVariables.provider]);
  return provider.up(keep);
}

async function up(): Promise<void> {
  let cluster = await keptCluster();
  if (cluster === undefined) {
    cluster = await makeCluster(true);
    mkdirSync(resultsFolder, { recursive: true });
    writeFileSync(keptFile, JSON.stringify({ provider: cluster.provider, name: cluster.name } satisfies Kept));
  }
  await provideImages(cluster);
  process.stdout.write(`export KUBECONFIG=${cluster.kubeconfigPath}\n${cluster.kubectl.join(' ')} get nodes\n`);
}

async function down(): Promise<void> {
  const cluster = await keptCluster();
  if (cluster === undefined) {
    process.stdout.write('no cluster of make e2e-up is running\n');
    return;
  }
  await cluster.down();
  rmSync(keptFile);
  progress(`${cluster.name} is gone`);
}

function vitest(cluster: Cluster, args: readonly string[]): Promise<Counts> {
  const report = join(resultsFolder, 'vitest.json');
  rmSync(report, { force: true });
  const config = join(import.meta.dirname, 'vitest.config.ts');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn('vitest', ['run', `--config=${config}`, ...reporters, ...args], {
    cwd: repositoryFolder,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      [clusterVariables.provider]: cluster.provider,
      [clusterVariables.cluster]: cluster.name,
      [clusterVariables.results]: join(resultsFolder, 'failures'),
    },
  });
  interrupted.catch(() => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.on('error', () => resolve({ passed: 0, failed: 1 }));
    child.on('close', (status) => resolve(countVitest(() => readFileSync(report, 'utf8'), status ?? 1)));
  });
}

/** What fails before the tests counts as one failure, so that the last line is always there. */
async function runTests(args: readonly string[]): Promise<Counts> {
  mkdirSync(resultsFolder, { recursive: true });
  rmSync(join(resultsFolder, 'failures'), { recursive: true, force: true });
  const kept = await keptCluster();
  const making = kept === undefined ? makeCluster(false) : Promise.resolve(kept);
  try {
    const cluster = await Promise.race([making, interrupted]);
    await Promise.race([provideImages(cluster), interrupted]);
    progress('running the tests');
    return await vitest(cluster, args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return { passed: 0, failed: 1 };
  } finally {
    if (kept === undefined) {
      // Interrupted or not, what is being made is finished first, so that all of it is known.
      const made = await making.catch(() => undefined);
      progress('removing the cluster');
      await made?.down();
    }
  }
}

/** Rejects at Ctrl-C: everything that was made is then removed. */
const interrupted = new Promise<never>((_, reject) => {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      process.exitCode = interruptedStatus;
      reject(new Error(`stopped by ${name}`));
    });
  }
});
interrupted.catch(() => {});

const [command = '', ...args] = process.argv.slice(2);
if (command === 'run') {
  const { passed, failed } = await runTests(args);
  progress('done');
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  process.exitCode ??= failed === 0 && passed > 0 ? 0 : 1;
} else if (command === 'up' || command === 'down') {
  await (command === 'up' ? up() : down()).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
} else {
  process.stderr.write(`${command}: expected run, up or down\n`);
  process.exitCode = 2;
}
