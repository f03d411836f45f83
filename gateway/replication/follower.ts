import type { LogCodec } from './pair-options.ts';
import type { FollowerMessage, PrimaryMessage } from './peer-messages.ts';
import { Replica, type ReplicaVerdict } from './replica.ts';
import type { ReplicatedMachine } from './shard.ts';

export interface FollowerOptions<Command, Outcome, Effect, Image> {
  readonly codec: LogCodec<Command, Image>;
  readonly createMachine: () => ReplicatedMachine<Command, Outcome, Effect, Image>;
  readonly newIncarnation: () => string;
  readonly send: (message: FollowerMessage) => void;
  readonly defer: (run: () => void) => void;
  /** A follower that hears nothing for this long asks again. */
  readonly rejoinAfterMs: number;
}

/** How soon a join may follow another one. */
const joinIntervalMs = 100;

/** The state this gateway holds, and its conversation with the primary it copies it from. */
export class Follower<Command, Outcome, Effect, Image> {
  #options: FollowerOptions<Command, Outcome, Effect, Image>;
  #replica: Replica<Command, Outcome, Effect, Image>;
  #stream = 0;
  #joinedMs = Number.NEGATIVE_INFINITY;
  #heardMs = Number.NEGATIVE_INFINITY;
  #ackAsked = false;

  constructor(options: FollowerOptions<Command, Outcome, Effect, Image>) {
    this.#options = options;
    this.#replica = this.#newReplica();
  }

  get replica(): Replica<Command, Outcome, Effect, Image> {
    return this.#replica;
  }

  /** Throws the state away: a new incarnation, empty. */
  discard(): void {
    this.#replica = this.#newReplica();
    this.detach();
  }

  /** The conversation is over: what still comes of it means nothing, and the next begins soon. */
  detach(): void {
    this.#replica.detach();
    this.#stream += 1;
    this.#heardMs = Number.NEGATIVE_INFINITY;
  }

  /** Asks the primary for what is missing, unless that is under way. @returns false when the state must go first. */
  follow(nowMs: number): boolean {
    const replica = this.#replica;
    if (nowMs - this.#heardMs < this.#options.rejoinAfterMs || nowMs - this.#joinedMs < joinIntervalMs) return true;
    // A copy that was interrupted cannot be gone on with.
    if (!replica.isEmpty && !replica.complete) return false;
    this.#joinedMs = nowMs;
    this.#heardMs = nowMs;
    this.#stream += 1;
    this.#options.send(replica.join(this.#stream, this.#options.codec.format));
    return true;
  }

  /** Takes a message of the primary. @returns why the state must be thrown away, if it must. */
  received(nowMs: number, message: PrimaryMessage): string | undefined {
    if (message.stream !== this.#stream) return undefined;
    this.#heardMs = nowMs;
    const verdict = this.#judge(message);
    switch (verdict.kind) {
      case 'ok':
        this.#askAck();
        return undefined;
      case 'ignored':
        return undefined;
      case 'discard':
        return verdict.reason;
      case 'again':
        if (!this.#replica.complete) return verdict.reason;
        this.detach();
        return undefined;
    }
  }

  #judge(message: PrimaryMessage): ReplicaVerdict {
    switch (message.kind) {
      case 'welcome':
        return this.#replica.welcomed(message);
      case 'batch':
        return this.#replica.batch(message);
      case 'chunk':
        return this.#replica.chunk(message);
      case 'dismiss':
        return { kind: message.discard ? 'discard' : 'again', reason: message.reason };
    }
  }

  /** One acknowledgement for all that came in one turn. */
  #askAck(): void {
    if (this.#ackAsked) return;
    this.#ackAsked = true;
    this.#options.defer(() => {
      this.#ackAsked = false;
      const ack = this.#replica.ack();
      if (ack !== undefined) this.#options.send(ack);
    });
  }

  #newReplica(): Replica<Command, Outcome, Effect, Image> {
    const { createMachine, codec, newIncarnation } = this.#options;
    return new Replica({
      machine: createMachine(),
      incarnation: newIncarnation(),
      decode: codec.decode,
      decodeImages: codec.decodeSlice,
    });
  }
}
