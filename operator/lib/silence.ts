import type { Clock } from './clock.ts';

/** API servers send a bookmark about every minute; one that has sent any and is silent for this long is gone. */
const bookmarkSilenceMs = 150_000;

/** Aborts a stream on which nothing was heard for too long. */
export class Silence {
  #clock: Clock;
  #abort = new AbortController();
  #outer: AbortSignal;
  #limitMs: number;
  #cancel: () => void = () => {};
  #silent = false;
  #end = (): void => this.end();

  /**
   * @param outer aborts the stream too
   * @param limitMs how long it may be silent; it becomes shorter once bookmarks come
   */
  constructor(clock: Clock, outer: AbortSignal, limitMs: number) {
    this.#clock = clock;
    this.#outer = outer;
    this.#limitMs = limitMs;
    outer.addEventListener('abort', this.#end);
    this.heard(false);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** It was ended from here. */
  get ended(): boolean {
    return this.#abort.signal.aborted;
  }

  /** It was ended for its silence. */
  get silent(): boolean {
    return this.#silent;
  }

  heard(bookmark: boolean): void {
    if (bookmark) this.#limitMs = Math.min(this.#limitMs, bookmarkSilenceMs);
    this.#cancel();
    this.#cancel = this.#clock.after(this.#limitMs, () => {
      this.#silent = true;
      this.end();
    });
  }

  end(): void {
    this.#cancel();
    this.#outer.removeEventListener('abort', this.#end);
    this.#abort.abort();
  }
}
