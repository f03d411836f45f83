import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cargoPackages, npmPackages, type Package } from './packages.ts';

const root = new URL('../../', import.meta.url);
const crates = ['gateway/transport/native/'];

/** The text of a file of the repository. */
export function repositoryFile(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/**
 * Every package that the lockfiles name, native ones too. The crates must be on this machine (`cargo fetch`), nothing is asked
 * of a network.
 */
export function repositoryPackages(): Package[] {
  const native = crates.filter((folder) => existsSync(new URL(`${folder}Cargo.lock`, root)));
  return [...npmPackages(repositoryFile('package-lock.json')), ...native.flatMap(readCrates)];
}

function readCrates(folder: string): Package[] {
  const manifest = fileURLToPath(new URL(`${folder}Cargo.toml`, root));
  const args = ['metadata', '--format-version', '1', '--locked', '--offline', '--manifest-path', manifest];
  const metadata = execFileSync('cargo', args, { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  return cargoPackages(metadata, repositoryFile(`${folder}Cargo.lock`));
}
