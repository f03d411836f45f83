/** Position in a shard's log, from 1. */
export type LogIndex = number;

/** A deterministic state machine: the same commands in the same order give the same state, outcomes and effects. */
export interface Machine<Command, Outcome, Effect> {
  /** Applies one command and appends what the primary must do about it to `effects`. */
  apply(index: LogIndex, command: Command, effects: Effect[]): Outcome;
}

/** A machine that can be copied to another gateway while commands go on (rule 10). */
export interface ReplicatedMachine<Command, Outcome, Effect, Image> extends Machine<Command, Outcome, Effect> {
  /** The state piece by piece; `startIndex` is the index of the next command that will be applied. */
  snapshot(startIndex: LogIndex): Iterator<Image>;
  /** Takes one image into a machine that began empty. */
  restore(image: Image): void;
  /** Not all images were restored yet. */
  readonly restoring: boolean;
  /** A copy during whose snapshot this rose is not good. */
  readonly totalLimitHits: number;
  /** Equal for two members that applied the same commands (rule 9). */
  stateHash(): number;
}

export type ShardRole = 'standby' | 'backup' | 'primary' | 'deposed';

/** Orders commands and says when they are committed. A shard without a pair commits at once. */
export interface CommitLog<Command> {
  /** @returns the index given to the command. */
  append(command: Command): LogIndex;
  /** Everything up to and including this index is committed. */
  readonly commitIndex: LogIndex;
}

/** The log of a shard without a pair: what is applied is committed. */
export class SoloLog<Command> implements CommitLog<Command> {
  commitIndex = 0;

  append(_command: Command): LogIndex {
    this.commitIndex += 1;
    return this.commitIndex;
  }
}

interface Pending<Outcome, Effect> {
  readonly index: LogIndex;
  readonly outcome: Outcome;
  readonly effects: readonly Effect[];
  readonly committed: ((outcome: Outcome) => void) | undefined;
  readonly dropped: (() => void) | undefined;
}

const noEffects: readonly never[] = [];
/** Released entries are cut off in pieces: cutting one at a time would cost a copy of the rest each. */
const compactFrom = 1_024;

export interface ShardOptions<Command, Outcome, Effect> {
  readonly id: string;
  readonly machine: Machine<Command, Outcome, Effect>;
  readonly log: CommitLog<Command>;
  /** Carries out one committed effect. */
  readonly perform: (effect: Effect) => void;
}

/**
 * The unit of replication on the gateway that is primary for it: orders commands, applies them at once, and lets
 * outcomes and effects out only when they are committed (I3), in order.
 */
export class Shard<Command, Outcome, Effect> {
  readonly id: string;
  #machine: Machine<Command, Outcome, Effect>;
  #log: CommitLog<Command>;
  #perform: (effect: Effect) => void;
  #pending: Pending<Outcome, Effect>[] = [];
  #head = 0;
  #releasing = false;

  constructor(options: ShardOptions<Command, Outcome, Effect>) {
    this.id = options.id;
    this.#machine = options.machine;
    this.#log = options.log;
    this.#perform = options.perform;
  }

  get commitIndex(): LogIndex {
    return this.#log.commitIndex;
  }

  /**
   * Applies `command` now; `committed` hears the outcome once it may leave the gateway. `dropped` is called instead when
   * the gateway stops being primary before that: the outcome is unknown.
   */
  submit(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void {
    const index = this.#log.append(command);
    const effects: Effect[] = [];
    const outcome = this.#machine.apply(index, command, effects);
    this.#pending.push({ index, outcome, effects: effects.length === 0 ? noEffects : effects, committed, dropped });
    this.release();
  }

  /** Lets out what is committed; called when the commit index rose. A callback may submit again: order is kept. */
  release(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    try {
      for (;;) {
        const next = this.#pending[this.#head];
        if (next === undefined || next.index > this.#log.commitIndex) break;
        this.#head += 1;
        next.committed?.(next.outcome);
        for (const effect of next.effects) this.#perform(effect);
      }
      this.#compact();
    } finally {
      this.#releasing = false;
    }
  }

  /** This gateway is not primary any more: nothing is released from now on, and those who wait are told. */
  abandon(): void {
    const waiting = this.#pending.slice(this.#head);
    this.#pending = [];
    this.#head = 0;
    for (const { dropped } of waiting) dropped?.();
  }

  #compact(): void {
    if (this.#head === this.#pending.length) this.#pending = [];
    else if (this.#head < compactFrom) return;
    else this.#pending.splice(0, this.#head);
    this.#head = 0;
  }
}
