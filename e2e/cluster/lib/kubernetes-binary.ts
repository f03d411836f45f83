import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder } from '../../../bench/lib/toolchain.ts';
import { CommandError, isInstalled, run } from './command.ts';
import { takeLock } from './run-folder.ts';

const kubernetesVersion = 'v1.34.4';

const moduleFolder = join(import.meta.dirname, '../local/kubernetes');
const buildDeadlineMs = 40 * 60_000;
const progressMs = 30_000;

/** What the Go module makes; each is a static executable. */
interface KubernetesBinaries {
  /** etcd, the components, kubectl and CoreDNS: the first argument says which. */
  readonly kubernetes: string;
  /** For the pods' sandbox image. */
  readonly pause: string;
}

/** Builds them into the cache unless they are there. @throws Error in one line when Go or the network is missing */
export async function kubernetesBinaries(): Promise<KubernetesBinaries> {
  const folder = join(cacheFolder(process.env), `kubernetes-${kubernetesVersion}-${process.arch}-${sourceHash()}`);
  const made = { kubernetes: join(folder, 'kubernetes'), pause: join(folder, 'pause') };
  if (existsSync(folder)) return made;
  if (process.platform !== 'linux') throw new Error('a local cluster needs Linux: use a cluster of kind, or your own');
  if (!(await isInstalled('go'))) {
    throw new Error(
      'a local cluster needs Go 1.24 or newer to build Kubernetes: https://go.dev (kind needs Docker only)',
    );
  }
  mkdirSync(dirname(folder), { recursive: true });
  await takeLock(`${folder}.lock`, buildDeadlineMs);
  try {
    if (!existsSync(folder)) await build(folder);
  } finally {
    rmSync(`${folder}.lock`, { force: true });
  }
  return made;
}

function sourceHash(): string {
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum', 'main.go', 'pause/main.go'])
    hash.update(readFileSync(join(moduleFolder, name)));
  return hash.digest('hex').slice(0, 12);
}

async function build(folder: string): Promise<void> {
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 1000);
  process.stderr.write(`cluster: building Kubernetes ${kubernetesVersion} into ${folder} (about 7 minutes, once)\n`);
  const progress = setInterval(() => process.stderr.write(`cluster: still building, ${seconds()} s\n`), progressMs);
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion) ?? [];
  const variables = { gitVersion: kubernetesVersion, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(variables).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  try {
    await run('go', ['build', '-trimpath', '-ldflags', `-s -w ${flags.join(' ')}`, '-o', `${partial}/`, './...'], {
      cwd: moduleFolder,
      env: { CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
      deadlineMs: buildDeadlineMs,
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const hint = /dial tcp|no such host|i\/o timeout|lookup /.test(error.message) ? ' (no network?)' : '';
    throw new Error(`Kubernetes could not be built${hint}: ${error.message}`, { cause: error });
  } finally {
    clearInterval(progress);
  }
  renameSync(partial, folder);
  process.stderr.write(`cluster: Kubernetes is built, ${seconds()} s\n`);
}
