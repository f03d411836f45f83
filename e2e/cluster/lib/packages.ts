import { existsSync } from 'node:fs';
import { progress } from '../cluster.ts';
import { isInstalled, run } from './command.ts';

/** Debian's packages by a program (or the path of a file) of each. */
export type Packages = Readonly<Record<string, string>>;

const installDeadlineMs = 15 * 60_000;

async function isThere(program: string): Promise<boolean> {
  return program.startsWith('/') ? existsSync(program) : isInstalled(program);
}

async function absent(packages: Packages): Promise<string[]> {
  const names: string[] = [];
  for (const [program, name] of Object.entries(packages)) if (!(await isThere(program))) names.push(name);
  return names;
}

async function mayInstall(): Promise<boolean> {
  return process.getuid?.() === 0 && (await isInstalled('apt-get'));
}

/** @returns what cannot be installed from here, in one line; undefined when nothing is in the way */
export async function aptMissing(packages: Packages): Promise<string | undefined> {
  const names = await absent(packages);
  if (names.length === 0 || (await mayInstall())) return undefined;
  return `not installed: ${names.join(', ')} (Debian's names; root and apt-get would do it)`;
}

/** Installs what is absent. @throws CommandError when apt-get fails */
export async function installPackages(packages: Packages): Promise<void> {
  const names = await absent(packages);
  if (names.length === 0) return;
  progress(`installing ${names.join(', ')}`);
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, deadlineMs: installDeadlineMs };
  await run('apt-get', ['update', '-q'], options);
  await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...names], options);
}
