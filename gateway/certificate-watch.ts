import { createHash } from 'node:crypto';
import type { Config } from './config.ts';

/** Long enough to cost nothing, short beside the minute a kubelet takes to bring a changed Secret. */
const intervalMs = 5_000;

/** The files whose change is a new certificate or a new authority. */
export function certificateFiles({ server }: Config): string[] {
  const files = [server.certFile, server.keyFile, server.grpcCertFile, server.grpcKeyFile, server.caFile];
  return files.filter((file) => file !== undefined);
}

/**
 * Calls `changed` when what is in the files has become another. They are read, not watched: a Secret's files are links that
 * are moved, and other file systems tell nothing.
 * @returns how to stop
 */
export function watchFiles(
  files: readonly string[],
  readFile: (path: string) => string,
  changed: () => void,
  everyMs = intervalMs,
): () => void {
  let known = fingerprint(files, readFile);
  const timer = setInterval(() => {
    const found = fingerprint(files, readFile);
    if (found === known) return;
    known = found;
    changed();
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function fingerprint(files: readonly string[], readFile: (path: string) => string): string {
  const hash = createHash('sha256');
  for (const file of files) {
    try {
      hash.update(readFile(file));
    } catch {
      // One that is being replaced; it is read again.
    }
    hash.update('\0');
  }
  return hash.digest('hex');
}
