import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf, type ProcessIdentity } from './process-identity.ts';

const root = '/sys/fs/cgroup';
const controllersOfVersion2 = ['cpuset', 'cpu', 'io', 'memory', 'pids'];

/** The folders that hold groups: one for each controller (cgroup v1), or the root (v2). */
function hierarchies(): string[] {
  if (existsSync(join(root, 'cgroup.controllers'))) return [root];
  return readdirSync(root)
    .map((name) => join(root, name))
    .filter((folder) => existsSync(join(folder, 'cgroup.procs')));
}

/** Makes a group in every hierarchy, with all CPUs and memory, for a kubelet's `cgroupRoot`. */
export function makeCgroup(name: string): void {
  for (const hierarchy of hierarchies()) {
    if (hierarchy === root) enableControllers(root);
    const folder = join(hierarchy, name);
    mkdirSync(folder, { recursive: true });
    if (hierarchy === root) enableControllers(folder);
    // Under v1 a new cpuset is empty, and nothing can run in it.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (hierarchy === root || !existsSync(join(folder, file))) continue;
      writeFileSync(join(folder, file), readFileSync(join(hierarchy, file)));
    }
  }
}

function enableControllers(folder: string): void {
  const there = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').split(/\s+/);
  for (const controller of controllersOfVersion2.filter((name) => there.includes(name))) {
    writeFileSync(join(folder, 'cgroup.subtree_control'), `+${controller}`);
  }
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...below.flatMap((entry) => subfolders(join(folder, entry.name))), folder];
}

/** Every process in the group or in one below it. */
export function processesInCgroup(name: string): ProcessIdentity[] {
  const pids = new Set<number>();
  for (const folder of hierarchies().flatMap((hierarchy) => subfolders(join(hierarchy, name)))) {
    for (const pid of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n'))
      if (pid !== '') pids.add(Number(pid));
  }
  return [...pids].map(identityOf).filter((identity) => identity !== undefined);
}

/** The group must be empty of processes. */
export function removeCgroup(name: string): void {
  for (const folder of hierarchies().flatMap((hierarchy) => subfolders(join(hierarchy, name)))) rmdirSync(folder);
}
