import { crc32 } from 'node:zlib';
import { errorMessage } from '../lib/errors.ts';
import type { AckMessage, BatchMessage, ChunkMessage, JoinMessage, WelcomeMessage } from './peer-messages.ts';
import type { LogIndex, ReplicatedMachine } from './shard.ts';

export interface ReplicaOptions<Command, Outcome, Effect, Image> {
  readonly machine: ReplicatedMachine<Command, Outcome, Effect, Image>;
  readonly incarnation: string;
  readonly decode: (bytes: Uint8Array) => readonly Command[];
  readonly decodeImages: (bytes: Uint8Array) => readonly Image[];
}

/**
 * What a follower makes of a message. `again`: ask for what is missing. `discard`: the state is not to be trusted, a new
 * incarnation must begin empty.
 */
export type ReplicaVerdict =
  | { readonly kind: 'ok' | 'ignored' }
  | { readonly kind: 'again' | 'discard'; readonly reason: string };

const ok: ReplicaVerdict = { kind: 'ok' };
const ignored: ReplicaVerdict = { kind: 'ignored' };

/** The backup's side: checks, applies and acknowledges what the primary sends. One incarnation's state. */
export class Replica<Command, Outcome, Effect, Image> {
  readonly incarnation: string;
  readonly machine: ReplicatedMachine<Command, Outcome, Effect, Image>;
  #options: ReplicaOptions<Command, Outcome, Effect, Image>;
  #history = '';
  #epoch = 0;
  #primary = '';
  #applied: LogIndex = 0;
  #complete = false;
  #stream = 0;
  #frame = 0;
  #welcomed = false;
  #effects: Effect[] = [];

  constructor(options: ReplicaOptions<Command, Outcome, Effect, Image>) {
    this.incarnation = options.incarnation;
    this.machine = options.machine;
    this.#options = options;
  }

  get history(): string {
    return this.#history;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Incarnation of the primary it follows or followed. */
  get primary(): string {
    return this.#primary;
  }

  get applied(): LogIndex {
    return this.#applied;
  }

  /** Nothing was taken in yet. */
  get isEmpty(): boolean {
    return this.#primary === '';
  }

  /** Holds everything up to `applied`. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The primary answered the last join and nothing went wrong since. */
  get attached(): boolean {
    return this.#welcomed;
  }

  /** Asks to be sent what is missing; messages of earlier streams mean nothing from now on. */
  join(stream: number, formatMax: number): JoinMessage {
    this.#stream = stream;
    this.#frame = 0;
    this.#welcomed = false;
    return {
      kind: 'join',
      stream,
      incarnation: this.incarnation,
      history: this.#history,
      epoch: this.#epoch,
      primary: this.#primary,
      applied: this.#complete ? this.#applied : 0,
      hash: this.#complete ? this.machine.stateHash() : 0,
      formatMax,
    };
  }

  /** The link to the primary is gone. */
  detach(): void {
    this.#welcomed = false;
  }

  welcomed(welcome: WelcomeMessage): ReplicaVerdict {
    if (welcome.stream !== this.#stream || this.#welcomed) return ignored;
    if (welcome.snapshot) {
      if (!this.isEmpty) return { kind: 'discard', reason: 'the primary has no log for this state' };
      this.#history = welcome.history;
      this.#epoch = welcome.epoch;
      this.#primary = welcome.primary;
      this.#applied = welcome.after;
    } else if (welcome.after !== this.#applied) {
      return { kind: 'discard', reason: `the log goes on after ${welcome.after}: expected ${this.#applied}` };
    }
    this.#welcomed = true;
    return ok;
  }

  batch(message: BatchMessage): ReplicaVerdict {
    if (!this.#isExpected(message)) return ignored;
    const gap = this.#gap(message);
    if (gap !== undefined) return gap;
    if (message.first > this.#applied + 1) return this.#again(`entry ${this.#applied + 1} is missing`);
    let commands: readonly Command[];
    try {
      commands = this.#options.decode(message.bytes);
    } catch (error) {
      return this.#again(`batch ${message.first}: ${errorMessage(error)}`);
    }
    if (commands.length !== message.last - message.first + 1) return this.#again(`batch ${message.first}: wrong count`);
    return this.#apply(message.first, commands);
  }

  chunk(message: ChunkMessage): ReplicaVerdict {
    if (!this.#isExpected(message)) return ignored;
    const gap = this.#gap(message);
    if (gap !== undefined) return { kind: 'discard', reason: gap.reason };
    try {
      for (const image of this.#options.decodeImages(message.bytes)) this.machine.restore(image);
    } catch (error) {
      return { kind: 'discard', reason: `snapshot: ${errorMessage(error)}` };
    }
    if (!message.last) return ok;
    if (this.machine.restoring) return { kind: 'discard', reason: 'snapshot ended too early' };
    this.#complete = true;
    return ok;
  }

  /** What is processed so far; undefined when the primary is not to hear of it. */
  ack(): AckMessage | undefined {
    if (!this.#welcomed) return undefined;
    return {
      kind: 'ack',
      stream: this.#stream,
      incarnation: this.incarnation,
      history: this.#history,
      epoch: this.#epoch,
      frame: this.#frame,
      index: this.#complete ? this.#applied : 0,
      hash: this.#complete ? this.machine.stateHash() : 0,
    };
  }

  #apply(first: LogIndex, commands: readonly Command[]): ReplicaVerdict {
    try {
      for (const [i, command] of commands.entries()) {
        if (first + i <= this.#applied) continue;
        this.machine.apply(first + i, command, this.#effects);
        this.#applied = first + i;
        // What the primary does about a command is its own; a backup drops it.
        this.#effects.length = 0;
      }
      return ok;
    } catch (error) {
      return { kind: 'discard', reason: `entry ${this.#applied + 1}: ${errorMessage(error)}` };
    }
  }

  #isExpected(message: BatchMessage | ChunkMessage): boolean {
    if (!this.#welcomed || message.stream !== this.#stream) return false;
    return message.epoch === this.#epoch && message.history === this.#history;
  }

  #gap(message: BatchMessage | ChunkMessage): { kind: 'again'; reason: string } | undefined {
    if (message.frame !== this.#frame + 1) return this.#again(`frame ${this.#frame + 1} is missing`);
    if (crc32(message.bytes) !== message.checksum) return this.#again(`frame ${message.frame}: checksum`);
    this.#frame = message.frame;
    return undefined;
  }

  #again(reason: string): { kind: 'again'; reason: string } {
    this.#welcomed = false;
    return { kind: 'again', reason };
  }
}
