import type { ArbiterAnswer, Lease, LeaseContent } from './arbiter.ts';
import { CommandLog } from './command-log.ts';
import { MemberStream, type SnapshotSource } from './member-stream.ts';
import { type CommitLevel, Membership } from './membership.ts';
import type { PairOptions, SwitchoverResult } from './pair-options.ts';
import type { AckMessage, JoinMessage } from './peer-messages.ts';
import { type CommitLog, type LogIndex, type ReplicatedMachine, Shard } from './shard.ts';

/** A longer step of time was a stall of this process: it says nothing about the others. */
const stepMaxMs = 250;

export interface PeerHealth {
  readonly lost: boolean;
  /** Known dead: another incarnation lives there, or nobody does. */
  readonly isDead: (incarnation: string) => boolean;
}

interface HeldCommand<Command, Outcome> {
  readonly command: Command;
  readonly committed: ((outcome: Outcome) => void) | undefined;
  readonly dropped: (() => void) | undefined;
}

interface Switchover {
  readonly successor: string;
  readonly endsAtMs: number;
  readonly done: (result: SwitchoverResult) => void;
  asked: boolean;
}

/** One gateway's time as primary of one epoch: orders commands, streams them to followers, says what is committed. */
export class Tenure<Command, Outcome, Effect, Image> implements CommitLog<Command> {
  readonly membership: Membership;
  readonly log: CommandLog<Command>;
  readonly machine: ReplicatedMachine<Command, Outcome, Effect, Image>;
  readonly epoch: number;
  readonly history: string;
  commitIndex: LogIndex;
  /** Of what was committed last. */
  level: CommitLevel = 'degraded';
  /** The set cannot be shrunk, so nothing can be committed (rule 15). */
  blocked = false;
  #shard: Shard<Command, Outcome, Effect>;
  #options: PairOptions<Command, Outcome, Effect, Image>;
  #incarnation: string;
  #streams = new Map<string, MemberStream<Command>>();
  #lastTickMs: number | undefined;
  #patientMs = 0;
  #sealedMs = 0;
  #switchover: Switchover | undefined;
  #paused = false;
  #held: HeldCommand<Command, Outcome>[] = [];
  #flushAsked = false;
  #ended = false;

  constructor(
    options: PairOptions<Command, Outcome, Effect, Image>,
    lease: Lease,
    machine: ReplicatedMachine<Command, Outcome, Effect, Image>,
    applied: LogIndex,
  ) {
    this.#options = options;
    this.#incarnation = lease.holder;
    this.machine = machine;
    this.epoch = lease.epoch;
    this.history = lease.history;
    this.commitIndex = applied;
    this.membership = new Membership(lease.holder, lease);
    const { batchEntriesMax, bufferEntriesMax, bufferBytesMax } = options.limits;
    const encode = options.codec.encode;
    this.log = new CommandLog({ after: applied, encode, batchEntriesMax, bufferEntriesMax, bufferBytesMax });
    this.#shard = new Shard({ id: options.id, machine, log: this, perform: options.perform });
  }

  /** The epoch's first command. */
  begin(): void {
    this.submit(this.#options.promotion(this.epoch, this.history));
  }

  /** Decides for the shard now: not paused for a switchover, able to commit. */
  get serving(): boolean {
    return !this.#ended && !this.#paused && !this.blocked;
  }

  submit(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void {
    if (this.#ended || (this.log.full && this.#options.isRefusable?.(command) === true)) dropped?.();
    else if (this.#paused) this.#hold(command, committed, dropped);
    else this.#shard.submit(command, committed, dropped);
  }

  append(command: Command): LogIndex {
    const index = this.log.append(command);
    if (this.membership.required.length === 0) this.#commitTo(index);
    this.#askFlush();
    return index;
  }

  /** A follower wants the log, or a copy. */
  join(join: JoinMessage): void {
    this.log.seal(this.machine.stateHash(), this.#patientMs);
    const { send } = this.#options;
    const { stream, applied } = join;
    const same = join.primary === this.#incarnation && join.history === this.history && join.epoch === this.epoch;
    const kept = applied > 0 && applied + 1 >= this.log.first && applied <= this.log.last;
    const snapshot = !(same && kept);
    const after = snapshot ? this.log.last : applied;
    const { epoch, history, log } = this;
    send({ kind: 'welcome', stream, primary: this.#incarnation, epoch, history, after, snapshot });
    // A copy can be made only into an empty state; one that is not comes back as a new incarnation.
    if (snapshot && join.primary !== '') return;
    const source = snapshot ? { snapshot: this.#snapshotSource(join) } : {};
    this.#streams.set(join.incarnation, new MemberStream({ join, epoch, history, log, send, after, ...source }));
    for (const [incarnation] of this.#streams) if (incarnation !== join.incarnation) this.#streams.delete(incarnation);
    this.flush();
  }

  acknowledged(ack: AckMessage): void {
    const stream = this.#streams.get(ack.incarnation);
    const named = ack.epoch === this.epoch && ack.history === this.history;
    if (stream === undefined || stream.stream !== ack.stream || !named) return;
    if (!stream.acknowledged(ack)) return this.#dismiss(stream, `state differs at entry ${ack.index}`);
    this.#advance();
    this.flush();
  }

  /** The link to the followers broke: they join again. */
  detached(): void {
    this.#streams.clear();
  }

  /** Sends what was appended. Called once at the end of a turn. */
  flush(): void {
    this.#flushAsked = false;
    if (this.#ended) return;
    const streams = [...this.#streams.values()];
    if (this.log.hasTail && (streams.length === 0 || streams.some((stream) => this.#mayLeave(stream)))) {
      this.log.seal(this.machine.stateHash(), this.#patientMs);
      this.#sealedMs = this.#patientMs;
    }
    for (const stream of streams) {
      if (!stream.pump()) this.#dismiss(stream, 'the log no longer has what is missing');
    }
    this.log.release(Math.min(this.commitIndex, ...streams.map((stream) => stream.needsAfter)));
  }

  tick(nowMs: number, peer: PeerHealth): void {
    const stepMs = this.#lastTickMs === undefined ? 0 : Math.min(Math.max(0, nowMs - this.#lastTickMs), stepMaxMs);
    this.#lastTickMs = nowMs;
    this.#patientMs += stepMs;
    this.flush();
    this.#addMembers(peer);
    this.#dropMembers(peer);
    this.#advance();
    this.#stepSwitchover(nowMs);
  }

  /** Hands the shard over to a member by the deadline, or goes on (rule 16). */
  switchover(successor: string, endsAtMs: number, done: (result: SwitchoverResult) => void): void {
    if (this.#switchover !== undefined) return done({ ok: false, reason: 'a switchover is under way' });
    if (!this.membership.confirmed.includes(successor) || successor === this.#incarnation) {
      return done({ ok: false, reason: `${successor} is not an in-sync backup` });
    }
    this.#paused = true;
    this.#switchover = { successor, endsAtMs, done, asked: false };
  }

  /** The next write this tenure needs, with `touch` one at any rate; its answer goes to `writeAnswered`. */
  nextWrite(touch = false): LeaseContent | undefined {
    const over = this.#switchover;
    if (over === undefined || over.asked) return this.membership.nextWrite(touch);
    const held = this.#streams.get(over.successor)?.acked === this.log.last && this.commitIndex === this.log.last;
    if (!held || this.membership.unsettled || this.membership.mustRead) return this.membership.nextWrite();
    over.asked = true;
    this.membership.beginOtherWrite();
    return { epoch: this.epoch + 1, history: this.history, holder: over.successor, inSync: [over.successor] };
  }

  /** The answer to the write last asked for; one to an earlier tenure's means nothing here. */
  writeAnswered(answer: ArbiterAnswer): void {
    const own = answer.kind !== 'swapped' || (answer.lease.epoch === this.epoch && this.#isMine(answer.lease));
    if (!own) return;
    this.membership.answered(answer);
    this.#advance();
  }

  /** The Lease was read. */
  sawLease(lease: Lease): void {
    if (this.#isMine(lease)) this.membership.sawLease(lease);
  }

  /** Nothing is answered any more. @param successor the Lease that follows, when it is known. */
  end(successor: Lease | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#streams.clear();
    const over = this.#switchover;
    this.#switchover = undefined;
    this.#shard.abandon();
    for (const { dropped } of this.#held.splice(0)) dropped?.();
    if (over === undefined) return;
    const done = successor?.holder === over.successor;
    over.done(done ? { ok: true, epoch: successor.epoch } : { ok: false, reason: 'no longer primary' });
  }

  /** What comes while the shard is handed over waits, and goes on here if it is not. */
  #hold(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void {
    if (this.#held.length >= this.#options.limits.bufferEntriesMax) dropped?.();
    else this.#held.push({ command, committed, dropped });
  }

  #isMine(lease: Lease): boolean {
    return lease.holder === this.#incarnation && lease.epoch === this.epoch;
  }

  #snapshotSource(join: JoinMessage): SnapshotSource {
    const { machine } = this;
    const images = machine.snapshot(this.log.last + 1);
    const hits = machine.totalLimitHits;
    return () => {
      const slice = this.#options.codec.encodeSlice(images);
      if (slice.done && machine.totalLimitHits !== hits) {
        const reason = 'a limit was hit that the copy could not see';
        this.#options.send({ kind: 'dismiss', stream: join.stream, discard: true, reason });
      }
      return slice;
    };
  }

  #dismiss(stream: MemberStream<Command>, reason: string): void {
    this.#streams.delete(stream.incarnation);
    this.#options.send({ kind: 'dismiss', stream: stream.stream, discard: true, reason });
  }

  #askFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.defer(() => this.flush());
  }

  /** An idle link is never waited for; behind two rounds under way batches grow, for a bounded time. */
  #mayLeave(stream: MemberStream<Command>): boolean {
    const waitedMs = this.#patientMs - this.#sealedMs;
    return stream.hasRoom && (stream.takesRound || waitedMs >= this.#options.limits.batchWaitMs);
  }

  #addMembers(peer: PeerHealth): void {
    for (const { incarnation, acked } of this.#streams.values()) {
      if (acked === 0 || acked < this.commitIndex || peer.lost || peer.isDead(incarnation)) continue;
      this.membership.add(incarnation);
    }
  }

  #dropMembers(peer: PeerHealth): void {
    const oldest = this.log.batchAt(this.commitIndex + 1);
    const stalledMs = oldest === undefined ? 0 : this.#patientMs - oldest.sealedMs;
    const stalls = stalledMs >= this.#options.timing.stallTimeoutMs;
    for (const member of this.membership.required) {
      const behind = (this.#streams.get(member)?.acked ?? 0) <= this.commitIndex;
      if (peer.isDead(member) || (stalls && behind)) this.membership.drop(member);
    }
    this.blocked = stalledMs >= 2 * this.#options.timing.stallTimeoutMs;
  }

  #stepSwitchover(nowMs: number): void {
    const over = this.#switchover;
    if (over === undefined) return;
    if (!over.asked) {
      if (nowMs < over.endsAtMs && this.membership.wants(over.successor)) return;
    } else if (this.membership.unsettled || this.membership.mustRead) return;
    // Nothing was written, or it is settled that this gateway still holds the Lease: go on.
    this.#switchover = undefined;
    this.#paused = false;
    for (const { command, committed, dropped } of this.#held.splice(0)) this.submit(command, committed, dropped);
    const reason = over.asked ? 'the write did not happen' : 'the successor did not catch up in time';
    over.done({ ok: false, reason });
  }

  /** Commits what every required member has applied, and lets it out. */
  #advance(): void {
    if (this.#ended) return;
    let index = this.log.last;
    for (const member of this.membership.required) {
      index = Math.min(index, this.#streams.get(member)?.acked ?? 0);
    }
    if (index > this.commitIndex) this.#commitTo(index);
    this.#shard.release();
  }

  #commitTo(index: LogIndex): void {
    this.commitIndex = index;
    this.level = this.membership.level;
  }
}
