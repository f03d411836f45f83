import type { LogIndex, MessageBody } from './command.ts';
import type { Deadline } from './deadlines.ts';

/** The body of an expired push: an encoded `ServerPush` whose type is PUSH_SKIP, and nothing else. */
export const skipBody: MessageBody = Uint8Array.of(0x18, 0x07);

/** One message the client has not acknowledged. It changes once at most, into its skip. */
export interface QueueEntry {
  readonly seqId: number;
  /** The request it answers; 0 for a push. */
  readonly clientSeq: number;
  readonly msgId: number;
  /** The binding under which the request it answers was admitted; 0 for a push. */
  readonly binding: number;
  body: MessageBody;
  /** The command that made it what it is: it may be sent once this is committed (I3). */
  logIndex: LogIndex;
  /** When it becomes a skip. */
  expiry: Deadline | undefined;
}

/** What a response keeps of its request. */
export interface AnsweredRequest {
  readonly clientSeq: number;
  readonly msgId: number;
  /** The binding under which it was admitted. */
  readonly binding: number;
}

/** What a push answers: nothing. */
export const noRequest: AnsweredRequest = { clientSeq: 0, msgId: 0, binding: 0 };

const compactFrom = 32;

/** The unacknowledged messages of a session, `ackUpTo + 1` to `nextSeqId - 1`, without holes. */
export class OrderedQueue {
  ackUpTo = 0;
  nextSeqId = 1;
  /** Bytes of the bodies; a skip counts none. */
  bytes = 0;
  #entries: QueueEntry[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** @returns undefined when `seqId` is acknowledged or not yet given. */
  entry(seqId: number): QueueEntry | undefined {
    return seqId <= this.ackUpTo ? undefined : this.#entries[this.#head + seqId - this.ackUpTo - 1];
  }

  append(request: AnsweredRequest, body: MessageBody, logIndex: LogIndex): QueueEntry {
    const { clientSeq, msgId, binding } = request;
    const entry = { seqId: this.nextSeqId, clientSeq, msgId, binding, body, logIndex, expiry: undefined };
    this.nextSeqId += 1;
    if (body !== skipBody) this.bytes += body.length;
    this.#entries.push(entry);
    return entry;
  }

  /** Acknowledges the oldest message. */
  shift(): QueueEntry | undefined {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return undefined;
    this.ackUpTo = entry.seqId;
    if (entry.body !== skipBody) this.bytes -= entry.body.length;
    this.#head += 1;
    this.#compact();
    return entry;
  }

  /** Turns an entry into its skip (rule 8). @returns the bytes this freed. */
  skip(entry: QueueEntry, logIndex: LogIndex): number {
    const freed = entry.body.length;
    this.bytes -= freed;
    entry.body = skipBody;
    entry.logIndex = logIndex;
    entry.expiry = undefined;
    return freed;
  }

  /** The queued response to a request, if it is still unacknowledged. */
  responseTo(clientSeq: number): QueueEntry | undefined {
    for (let i = this.#entries.length - 1; i >= this.#head; i -= 1) {
      const entry = this.#entries[i];
      if (entry?.clientSeq === clientSeq) return entry;
    }
    return undefined;
  }

  /** All unacknowledged messages, in order. */
  *entries(): Generator<QueueEntry, void, void> {
    for (let seqId = this.ackUpTo + 1; seqId < this.nextSeqId; seqId += 1) {
      const entry = this.entry(seqId);
      if (entry !== undefined) yield entry;
    }
  }

  /** An empty queue goes on after what is acknowledged already. */
  beginAt(ackUpTo: number): void {
    this.ackUpTo = ackUpTo;
    this.nextSeqId = ackUpTo + 1;
  }

  #compact(): void {
    if (this.#head === this.#entries.length) {
      this.#entries.length = 0;
      this.#head = 0;
    } else if (this.#head >= compactFrom && this.#head * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
