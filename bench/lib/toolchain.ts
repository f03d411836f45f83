import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ChildError, runChild } from './child.ts';

export const repositoryFolder = join(import.meta.dirname, '..', '..');

/** A program the tests and benches need is not on this machine. */
export class MissingToolError extends Error {
  override readonly name = 'MissingToolError';
}

/** Where built and installed things are kept between runs. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const folder = join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gatesvr');
  mkdirSync(folder, { recursive: true });
  return folder;
}

async function need(command: string, args: readonly string[], what: string): Promise<void> {
  try {
    await runChild(command, args);
  } catch (error) {
    if (!(error instanceof ChildError)) throw error;
    throw new MissingToolError(`this needs ${what}, and \`${command} ${args.join(' ')}\` failed: ${error.message}`);
  }
}

/**
 * Generates a Go module's protobuf code and builds its programs.
 * @param module its folder in the repository, with a buf.gen.yaml.
 * @param packages the main packages, relative to the module.
 * @returns the folder that holds the programs, each named like its package's folder, or the module for ".".
 * @throws MissingToolError without Go, ChildError with the compiler's words.
 */
export async function buildGo(module: string, packages: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  await need('go', ['version'], 'Go 1.26 or newer');
  const buf = join(repositoryFolder, 'node_modules', '.bin', 'buf');
  await runChild(buf, ['generate', '--template', join(module, 'buf.gen.yaml')], { cwd: repositoryFolder, env });
  const programs = join(cacheFolder(env), 'go', module.replaceAll('/', '-'));
  mkdirSync(programs, { recursive: true });
  await runChild('go', ['build', '-o', `${programs}/`, ...packages.map((name) => `./${name}`)], {
    cwd: join(repositoryFolder, module),
    env,
  });
  return programs;
}

/**
 * Installs a requirements.txt from the package index, once, into the cache.
 * @returns the folder to put on PYTHONPATH.
 * @throws MissingToolError without Python or pip.
 */
export async function installPython(requirements: string, env: NodeJS.ProcessEnv): Promise<string> {
  await need('python3', ['-c', 'import sys; assert sys.version_info >= (3, 11), sys.version'], 'Python 3.11 or newer');
  await need('python3', ['-m', 'pip', '--version'], 'pip for Python');
  const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const folder = join(cacheFolder(env), `python-${wanted}`);
  if (existsSync(folder)) return folder;
  // Renamed when complete, so that a broken or concurrent install is never used.
  const partial = `${folder}.${process.pid}`;
  await runChild('python3', ['-m', 'pip', 'install', '--quiet', '--target', partial, '-r', requirements], { env });
  if (existsSync(folder)) rmSync(partial, { recursive: true });
  else renameSync(partial, folder);
  return folder;
}
