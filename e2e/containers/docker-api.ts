import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where an engine answers as Docker does. */
export interface DockerApi {
  /** Which program builds images for it. */
  readonly tool: 'docker' | 'podman';
  /** Variables for testcontainers. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const socketDeadlineMs = 30_000;
const stopDeadlineMs = 10_000;
/** runc and these limits work without systemd, without rights on limits, and with cgroups of either version. */
const podmanSettings = `[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=1000:1000"]
`;

/** The engine of this machine's docker, or podman's service started for this run. @returns why not, in one line, when there is none */
export async function findDockerApi(): Promise<DockerApi | string> {
  if (answers('docker', ['info'])) return { tool: 'docker', env: {}, stop: async () => {} };
  if (!answers('podman', ['--version'])) return 'no Docker API: neither docker with its engine nor podman is there';
  if (process.getuid?.() === 0 && !answers('runc', ['--version'])) return 'no Docker API: podman is there, runc is not';
  return startPodman();
}

function answers(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

async function startPodman(): Promise<DockerApi | string> {
  const folder = mkdtempSync(join(tmpdir(), 'gatesvr-podman-'));
  const socket = join(folder, 'podman.sock');
  const settings = join(folder, 'containers.conf');
  writeFileSync(settings, podmanSettings);
  const env = process.getuid?.() === 0 ? { ...process.env, CONTAINERS_CONF: settings } : process.env;
  const args = ['system', 'service', '--time', '0', `unix://${socket}`];
  const service = spawn('podman', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  service.stderr.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const ended = new Promise<void>((resolve) => service.on('close', () => resolve()));
  const stop = async (): Promise<void> => {
    service.kill('SIGTERM');
    await Promise.race([ended, sleep(stopDeadlineMs).then(() => service.kill('SIGKILL'))]);
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + socketDeadlineMs;
  while (!existsSync(socket)) {
    if (service.exitCode !== null || performance.now() > deadline) {
      await stop();
      return `no Docker API: podman's service does not start: ${output.trim().split('\n').at(-1)}`;
    }
    await sleep(100);
  }
  // Without ryuk, whose image may be out of reach: what a run makes it removes itself.
  const variables = { DOCKER_HOST: `unix://${socket}`, TESTCONTAINERS_RYUK_DISABLED: 'true' };
  return { tool: 'podman', env: variables, stop };
}
