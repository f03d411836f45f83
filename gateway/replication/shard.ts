/** Position in a shard's log, from 1. */
export type LogIndex = number;

/** A deterministic state machine: the same commands in the same order give the same state, outcomes and effects. */
export interface Machine<Command, Outcome, Effect> {
  /** Applies one command and appends what the primary must do about it to `effects`. */
  apply(index: LogIndex, command: Command, effects: Effect[]): Outcome;
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
}

const noEffects: readonly never[] = [];

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

  /** Applies `command` now; `committed` hears the outcome once it may leave the gateway. */
  submit(command: Command, committed?: (outcome: Outcome) => void): void {
    const index = this.#log.append(command);
    const effects: Effect[] = [];
    const outcome = this.#machine.apply(index, command, effects);
    this.#pending.push({ index, outcome, effects: effects.length === 0 ? noEffects : effects, committed });
    this.release();
  }

  /** Lets out what is committed; called when the commit index rose. A callback may submit again: order is kept. */
  release(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    try {
      let done = 0;
      for (; done < this.#pending.length; done += 1) {
        const next = this.#pending[done];
        if (next === undefined || next.index > this.#log.commitIndex) break;
        next.committed?.(next.outcome);
        for (const effect of next.effects) this.#perform(effect);
      }
      this.#pending.splice(0, done);
    } finally {
      this.#releasing = false;
    }
  }
}
