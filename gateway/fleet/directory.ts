/** A session as it is told to the directory. */
export interface Placement {
  readonly openid: string;
  readonly sessionId: string;
  readonly pairId: string;
  /** Of the shard that holds it: a deposed primary does not overwrite its successor. */
  readonly epoch: number;
  /** Counts the user's logins; the higher one is the newer. 0: not known. */
  readonly generation: number;
  /** When the session was made: decides between two of one generation. */
  readonly createTimeMs: number;
}

/** held: this is the user's session, with the generation it has now. superseded: a newer login of the user is elsewhere. */
export type ClaimOutcome =
  | { readonly kind: 'held'; readonly generation: number }
  | { readonly kind: 'superseded'; readonly pairId: string };

/** Where each session really is, as far as somebody recorded it. All of it may be lost at any time; nothing waits for it long. */
export interface Directory {
  readonly kind: 'memory' | 'redis';
  /** The pairs that hold these users' sessions; undefined when it cannot be asked. Users without an entry are absent. Never rejects. */
  find(openids: readonly string[]): Promise<ReadonlyMap<string, string> | undefined>;
  /**
   * Says where a session is, if no newer one is known.
   * @param fresh the user has just logged in: the generation rises unless one is given.
   * @returns undefined when it could not be said. Never rejects.
   */
  claim(placement: Placement, fresh: boolean): Promise<ClaimOutcome | undefined>;
  /** Takes an entry back if it still names this session at this pair. Never rejects. */
  release(openid: string, sessionId: string, pairId: string): Promise<void>;
  /** Called when entries may have been lost: everything is to be said again. */
  onLost(listener: () => void): void;
  /** Asks whether entries were lost; called every second. Never rejects. */
  check(): Promise<void>;
  close(): void;
}

const nowhere: ReadonlyMap<string, string> = new Map();

/** The hash alone: remembers nothing, so nothing is ever wrong in it. */
export class MemoryDirectory implements Directory {
  readonly kind = 'memory';

  find(): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(nowhere);
  }

  claim({ generation }: Placement): Promise<ClaimOutcome> {
    return Promise.resolve({ kind: 'held', generation });
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  onLost(): void {}

  check(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}
