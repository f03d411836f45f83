import type { CommitLog, LogIndex } from '../../replication/shard.ts';
import type { Command } from '../../session/command.ts';
import type { Effect } from '../../session/effect.ts';
import type { SessionMachine } from '../../session/session-machine.ts';
import type { SnapshotImage } from '../../session/snapshot-images.ts';
import type { Random } from '../random.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { check } from './ledger.ts';

type StreamItem =
  | { readonly kind: 'command'; readonly index: LogIndex; readonly command: Command; hash: number }
  | { readonly kind: 'image'; readonly image: SnapshotImage }
  | { readonly kind: 'join' };

/** A copy of the state on the other gateway: a snapshot among commands, then commands (rule 10). */
export class SimReplica {
  readonly machine: SessionMachine;
  appliedIndex: LogIndex = 0;
  inSync = false;
  gone = false;

  constructor(machine: SessionMachine) {
    this.machine = machine;
  }

  take(item: StreamItem): void {
    if (item.kind === 'image') return this.machine.restore(item.image);
    if (item.kind === 'join') return;
    const effects: Effect[] = [];
    this.machine.apply(item.index, item.command, effects);
    this.appliedIndex = item.index;
    check(this.machine.restoring || this.machine.stateHash() === item.hash, 'rule 9', () => {
      return `the copy differs after command ${item.index} (${item.command.kind})`;
    });
  }
}

export interface SimLogOptions {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly machine: SessionMachine;
  /** A machine without state, for a copy. */
  readonly newMachine: () => SessionMachine;
  readonly lastIndex: LogIndex;
}

/** The log of a primary whose commands are committed once an in-sync replica has applied them. */
export class SimLog implements CommitLog<Command> {
  commitIndex: LogIndex;
  lastIndex: LogIndex;
  released: () => void = () => {};
  #clock: VirtualClock;
  #random: Random;
  #newMachine: () => SessionMachine;
  #hitsBefore = 0;
  #machine: SessionMachine;
  #replica: SimReplica | undefined;
  /** The replica's acknowledgement counts, from before it is in-sync (rule 1). */
  #required = false;
  #images: Generator<SnapshotImage, void, void> | undefined;
  #lastArrivalMs = 0;
  #dead = false;
  /** The replica got all images, and has yet to apply what was committed meanwhile. */
  #joinPending = false;
  #lastItem: { hash: number } | undefined;

  constructor(options: SimLogOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#machine = options.machine;
    this.#newMachine = options.newMachine;
    this.lastIndex = options.lastIndex;
    this.commitIndex = options.lastIndex;
  }

  get replica(): SimReplica | undefined {
    return this.#replica;
  }

  append(command: Command): LogIndex {
    this.lastIndex += 1;
    const index = this.lastIndex;
    if (this.#replica === undefined) {
      this.commitIndex = index;
      return index;
    }
    // The state's hash is known only after this command was applied, which is done by the time it arrives.
    const item = { kind: 'command' as const, index, command, hash: 0 };
    this.#lastItem = item;
    this.#send(item, this.#replica);
    if (!this.#required) this.commitIndex = index;
    return index;
  }

  /** The command appended last was applied here. */
  applied(): void {
    if (this.#lastItem !== undefined) this.#lastItem.hash = this.#machine.stateHash();
  }

  /** Begins to copy the state to the other gateway. */
  addReplica(): void {
    const replica = new SimReplica(this.#newMachine());
    this.#replica = replica;
    this.#images = this.#machine.snapshot(this.lastIndex + 1);
    this.#hitsBefore = this.#machine.totalLimitHits;
    this.#nextImages();
  }

  /** The backup died: the set shrinks, and what waited is committed. */
  dropReplica(): void {
    if (this.#replica !== undefined) this.#replica.gone = true;
    this.#replica = undefined;
    this.#required = false;
    this.#joinPending = false;
    this.#images = undefined;
    this.commitIndex = this.lastIndex;
    this.released();
  }

  /** This process died: what is under way is lost. */
  die(): void {
    this.#dead = true;
  }

  #nextImages(): void {
    const images = this.#images;
    const replica = this.#replica;
    if (images === undefined || replica === undefined || this.#dead) return;
    for (let n = this.#random.between(1, 3); n > 0; n -= 1) {
      const next = images.next();
      if (next.done === true && this.#machine.totalLimitHits !== this.#hitsBefore) return this.#beginAnew();
      if (next.done === true) {
        this.#images = undefined;
        this.#required = true;
        this.#send({ kind: 'join' }, replica);
        return;
      }
      this.#send({ kind: 'image', image: next.value }, replica);
    }
    this.#clock.schedule(this.#random.between(1, 20), () => this.#nextImages());
  }

  /** A refusal because of all queues together cannot be seen by a copy that lacks some. */
  #beginAnew(): void {
    this.dropReplica();
    this.addReplica();
  }

  #send(item: StreamItem, replica: SimReplica): void {
    const arrivalMs = Math.max(this.#lastArrivalMs, this.#clock.nowMs() + this.#random.between(0, 12));
    this.#lastArrivalMs = arrivalMs;
    this.#clock.schedule(arrivalMs - this.#clock.nowMs(), () => {
      if (this.#dead || replica.gone) return;
      replica.take(item);
      const upTo = replica.appliedIndex;
      this.#clock.schedule(this.#random.between(0, 12), () => this.#acknowledged(replica, upTo, item.kind === 'join'));
    });
  }

  #acknowledged(replica: SimReplica, upTo: LogIndex, joined: boolean): void {
    if (this.#dead || replica !== this.#replica) return;
    if (joined || this.#joinPending) {
      this.#joinPending = upTo < this.commitIndex;
      if (!this.#joinPending) replica.inSync = true;
    }
    if (!this.#required || upTo <= this.commitIndex) return;
    this.commitIndex = upTo;
    this.released();
  }
}
