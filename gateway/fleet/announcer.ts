import type { Directory } from './directory.ts';

/** A session that is at this gateway, as the announcer needs to know it. */
export interface LocalSession {
  readonly sessionId: string;
  readonly openid: string;
  readonly createTimeMs: number;
}

export interface AnnouncerOptions {
  readonly pairId: string;
  readonly directory: Directory;
  /** All sessions here; none when this gateway does not lead. */
  readonly sessions: () => Iterable<LocalSession>;
  readonly session: (sessionId: string) => LocalSession | undefined;
  readonly epoch: () => number;
  /** A newer login of this session's user is at another pair. */
  readonly superseded: (sessionId: string, pairId: string) => void;
  /** Announcements at a time. */
  readonly concurrency: number;
  readonly defer: (run: () => void) => void;
}

interface Known {
  readonly openid: string;
  generation: number;
}

/**
 * Tells the directory where this gateway's sessions are: each when it starts, and all of them again when entries may be
 * lost, a bounded number at a time. What could not be told stays due.
 */
export class Announcer {
  #options: AnnouncerOptions;
  /** What was told of each session, for taking it back and for the generation. */
  #known = new Map<string, Known>();
  /** Sessions to be told of, and whether their users have just logged in. */
  #due = new Map<string, boolean>();
  #open = 0;
  #flushAsked = false;
  #closed = false;
  #closers: (() => void)[] = [];

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    options.directory.onLost(() => this.announceAll());
  }

  /** Sessions that are not told yet. */
  get due(): number {
    return this.#due.size + this.#open;
  }

  started(openid: string, sessionId: string, fresh: boolean, generation: number): void {
    if (this.#options.directory.kind === 'memory') return;
    const before = this.#known.get(sessionId)?.generation ?? 0;
    this.#known.set(sessionId, { openid, generation: Math.max(before, generation) });
    this.#due.set(sessionId, fresh);
    this.#askFlush();
  }

  ended(sessionId: string): void {
    const known = this.#known.get(sessionId);
    this.#known.delete(sessionId);
    this.#due.delete(sessionId);
    if (known === undefined) return;
    void this.#options.directory.release(known.openid, sessionId, this.#options.pairId);
  }

  announceAll(): void {
    if (this.#options.directory.kind === 'memory') return;
    for (const { sessionId, openid } of this.#options.sessions()) {
      if (!this.#known.has(sessionId)) this.#known.set(sessionId, { openid, generation: 0 });
      if (!this.#due.has(sessionId)) this.#due.set(sessionId, false);
    }
    this.#askFlush();
  }

  /** Tries again what could not be told; called every second. */
  retry(): void {
    if (this.#due.size > 0) this.#askFlush();
  }

  /** Also called when it is closed. */
  onClose(listener: () => void): void {
    this.#closers.push(listener);
  }

  close(): void {
    this.#closed = true;
    for (const listener of this.#closers) listener();
    this.#due.clear();
  }

  #askFlush(): void {
    if (this.#flushAsked || this.#closed) return;
    this.#flushAsked = true;
    this.#options.defer(() => {
      this.#flushAsked = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const [sessionId, fresh] of this.#due) {
      if (this.#open >= this.#options.concurrency) return;
      this.#due.delete(sessionId);
      void this.#tell(sessionId, fresh);
    }
  }

  async #tell(sessionId: string, fresh: boolean): Promise<void> {
    const { pairId, directory, session, epoch, superseded } = this.#options;
    const [here, known] = [session(sessionId), this.#known.get(sessionId)];
    if (here === undefined || known === undefined) {
      this.#known.delete(sessionId);
      return;
    }
    const { openid, createTimeMs } = here;
    const placement = { openid, sessionId, pairId, epoch: epoch(), generation: known.generation, createTimeMs };
    this.#open += 1;
    const outcome = await directory.claim(placement, fresh);
    this.#open -= 1;
    if (outcome === undefined) {
      // Not before the next second: the directory is away.
      if (this.#known.has(sessionId) && !this.#due.has(sessionId)) this.#due.set(sessionId, fresh);
      return;
    }
    if (outcome.kind === 'held') known.generation = outcome.generation;
    else superseded(sessionId, outcome.pairId);
    // Ended while it was told: what was just written is taken back.
    if (!this.#known.has(sessionId)) void directory.release(openid, sessionId, pairId);
    this.#askFlush();
  }
}
