import type { AccessEnvironment } from './cluster-access.ts';
import { ClusterAccessError } from './cluster-access.ts';

/** As client-go does; the kubelet renews a token when a fifth of its life is left, so a minute is early enough. */
const refreshMs = 60_000;

/** A file that changes while the process runs. */
export class WatchedFile {
  #path: string;
  #environment: AccessEnvironment;
  #contents: Buffer | undefined;
  #readMs = Number.NEGATIVE_INFINITY;

  /** @throws ClusterAccessError when it cannot be read now */
  constructor(path: string, environment: AccessEnvironment) {
    this.#path = path;
    this.#environment = environment;
    this.contents();
  }

  /** At most a minute old; one that cannot be read any more keeps its last contents. */
  contents(): Buffer {
    const nowMs = this.#environment.nowMs();
    if (this.#contents !== undefined && nowMs - this.#readMs < refreshMs) return this.#contents;
    try {
      this.#contents = this.#environment.readFile(this.#path);
      this.#readMs = nowMs;
    } catch (error) {
      if (this.#contents === undefined) {
        const why = error instanceof Error ? error.message : String(error);
        throw new ClusterAccessError(`${this.#path}: cannot be read: ${why}`);
      }
    }
    return this.#contents;
  }

  /** The next `contents()` reads it again. */
  expire(): void {
    this.#readMs = Number.NEGATIVE_INFINITY;
  }
}
