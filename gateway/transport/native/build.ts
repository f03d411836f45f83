/**
 * Builds the addon with cargo when its sources differ from the built one's. `node gateway/transport/native/build.ts`;
 * CARGO_TARGET_DIR is respected. Without cargo it warns: the transport for development
 * serves then. Exit code 1 when a build fails.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const here = import.meta.dirname;
const addon = join(here, 'gatesvr-transport.node');
const hashFile = join(here, 'gatesvr-transport.hash');

function sourcesHash(): string {
  const sources = readdirSync(join(here, 'src')).map((name) => join('src', name));
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', ...sources.sort()]) {
    hash.update(`\0${name}\0`).update(readFileSync(join(here, name)));
  }
  return hash.digest('hex');
}

function isBuilt(hash: string): boolean {
  return existsSync(addon) && existsSync(hashFile) && readFileSync(hashFile, 'utf8') === hash;
}

function end(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

/** Not a failure: the other transport needs no addon. */
function notHere(reason: string): never {
  return end(0, `warning: the quinn transport is not built: ${reason}; the quiche transport, for development, is used`);
}

function build(targetDir: string): void {
  const env = { ...process.env, CARGO_TARGET_DIR: targetDir };
  const result = spawnSync('cargo', ['build', '--release', '--locked'], { cwd: here, env, stdio: 'inherit' });
  if (result.error !== undefined) notHere('it needs cargo (Rust 1.88 or later, https://rustup.rs) and a C compiler');
  if (result.status !== 0) end(1, 'cargo could not build the quinn transport');
}

if (process.platform !== 'linux') notHere(`it is for Linux, this is ${process.platform}`);
const hash = sourcesHash();
if (!isBuilt(hash)) {
  const targetDir = process.env.CARGO_TARGET_DIR ?? join(here, 'target');
  build(targetDir);
  // A running process keeps the old file: it is replaced, never written into.
  copyFileSync(join(targetDir, 'release', 'libgatesvr_transport.so'), `${addon}.new`);
  renameSync(`${addon}.new`, addon);
  writeFileSync(hashFile, hash);
  process.stdout.write(`built ${basename(addon)}\n`);
}
