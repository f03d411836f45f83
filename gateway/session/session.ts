import type { Connection, LogIndex, MessageBody, PushIdentity } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { Effect } from './effect.ts';
import { epochEndsMax, returnedRequestsMax } from './limits.ts';
import { type AnsweredRequest, OrderedQueue } from './ordered-queue.ts';
import { RequestWindow } from './request-window.ts';

/** Inited: authenticated. Normal: a zone's first success activated it. A closed session is not in the table any more. */
export type SessionState = 'inited' | 'normal' | 'closed';

/** A bound push that waits for the response it belongs to. */
export interface HeldPush {
  /** The command that made it; names it until it gets its number. */
  readonly index: LogIndex;
  readonly clientSeq: number;
  readonly order: 'before' | 'after';
  readonly body: MessageBody;
  readonly identity: PushIdentity;
  /** Shard time at which it becomes a skip; 0: never. */
  readonly expiresAtMs: number;
  /** The end of the wait, or of the push. */
  deadline: Deadline | undefined;
}

/** Where a session stood when an epoch began; what was given before is the same in all epochs (I5). */
export interface EpochEnd {
  readonly epoch: number;
  readonly endSeqId: number;
}

export interface SessionInit {
  readonly sessionId: string;
  readonly ordinal: number;
  readonly openid: string;
  readonly createTimeMs: number;
  readonly createdEpoch: number;
}

/** One user's session; plain state, changed by commands only. */
export class Session {
  readonly sessionId: string;
  /** Counts the sessions ever made in this history: a stable order for listing. */
  readonly ordinal: number;
  readonly openid: string;
  readonly createTimeMs: number;
  clientId = '';
  userIp = '';
  state: SessionState = 'inited';
  /** '' until a zone activated the session. */
  zoneId = '';

  /** The newest binding; a START makes the next one. */
  binding = 0;
  /** The newest binding whose token the client has proved to hold. Tokens of these two are valid, no others (rule 12). */
  heldBinding = 0;
  /** The connection of the newest binding; undefined when detached. */
  connection: Connection | undefined;
  /** The end of the resume window while detached. */
  resumeDeadline: Deadline | undefined;

  readonly queue = new OrderedQueue();
  readonly requests = new RequestWindow();
  /** Requests that were forwarded and have no response yet, in the order they came; each holds a place in the queue. */
  open: Map<number, AnsweredRequest> | undefined;
  held: HeldPush[] | undefined;
  heldBytes = 0;
  /** Numbers that were given back (withdrawn, or open when a primary died): they may be sent again. */
  returned: Set<number> | undefined;
  /** The groups it is in; undefined when there are none. */
  groups: Set<string> | undefined;
  epochEnds: EpochEnd[] = [];
  /** For older epochs than this the end is not known. */
  endsKnownFrom: number;

  /** One object for all deliveries: effects of the same kind need no more. */
  readonly deliverEffect: Effect;

  constructor(init: SessionInit) {
    this.sessionId = init.sessionId;
    this.ordinal = init.ordinal;
    this.openid = init.openid;
    this.createTimeMs = init.createTimeMs;
    this.endsKnownFrom = init.createdEpoch;
    this.deliverEffect = { kind: 'deliver', sessionId: init.sessionId };
  }

  get connected(): boolean {
    return this.connection !== undefined;
  }

  get openCount(): number {
    return this.open === undefined ? 0 : this.open.size;
  }

  get heldCount(): number {
    return this.held === undefined ? 0 : this.held.length;
  }

  /** Places taken in the queue: messages, responses to come, pushes that wait. */
  get places(): number {
    return this.queue.length + this.openCount + this.heldCount;
  }

  get maxClientSeq(): number {
    return this.requests.max;
  }

  get nextSeqId(): number {
    return this.queue.nextSeqId;
  }

  get ackUpTo(): number {
    return this.queue.ackUpTo;
  }

  get queueBytes(): number {
    return this.queue.bytes + this.heldBytes;
  }

  /** Lets a number that was not answered be sent again, also when the window moves past it. */
  giveBack(clientSeq: number): void {
    this.returned ??= new Set();
    this.returned.add(clientSeq);
    if (this.returned.size <= returnedRequestsMax) return;
    for (const oldest of this.returned) {
      this.returned.delete(oldest);
      return;
    }
  }

  /** Keeps where the session stands as the end of everything before `epoch` (rule 5). */
  keepEnd(epoch: number): void {
    const endSeqId = this.queue.nextSeqId - 1;
    const last = this.epochEnds.at(-1);
    if (last !== undefined && last.endSeqId === endSeqId) this.epochEnds.pop();
    this.epochEnds.push({ epoch, endSeqId });
    if (this.epochEnds.length <= epochEndsMax) return;
    const dropped = this.epochEnds.shift();
    if (dropped !== undefined) this.endsKnownFrom = dropped.epoch;
  }

  /**
   * The last number a client of `epoch` can have seen.
   * @returns undefined when that is not known (the session is younger, or the epoch too long ago).
   */
  endOf(epoch: number): number | undefined {
    if (epoch < this.endsKnownFrom) return undefined;
    for (const end of this.epochEnds) {
      if (end.epoch > epoch) return end.endSeqId;
    }
    return this.queue.nextSeqId - 1;
  }
}
