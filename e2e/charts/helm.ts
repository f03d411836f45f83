import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const helmModule = 'helm.sh/helm/v3/cmd/helm@latest';
const installDeadlineMs = 1_800_000;

export interface HelmResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The helm of this machine, or one built from its Go module into the cache, which takes minutes.
 * @throws Error in one line when there is neither helm nor Go.
 */
export function helmProgram(env: NodeJS.ProcessEnv): string {
  if (spawnSync('helm', ['version', '--short']).status === 0) return 'helm';
  const folder = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gatesvr', 'bin');
  const program = join(folder, 'helm');
  if (existsSync(program)) return program;
  if (spawnSync('go', ['version']).status !== 0) {
    throw new Error('missing: helm (https://helm.sh), or Go to build it with');
  }
  mkdirSync(folder, { recursive: true });
  const options = { env: { ...env, GOBIN: folder }, stdio: 'ignore', timeout: installDeadlineMs } as const;
  execFileSync('go', ['install', helmModule], options);
  return program;
}

/** Runs helm to its end. */
export function helm(program: string, args: readonly string[], input = ''): HelmResult {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input, maxBuffer: 64 * 1024 * 1024 });
  return { status: status ?? 1, stdout, stderr };
}
