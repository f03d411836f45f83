import { crc32 } from 'node:zlib';
import type { CommandLog, LogBatch } from './command-log.ts';
import type { AckMessage, JoinMessage, PrimaryMessage } from './peer-messages.ts';
import type { LogIndex } from './shard.ts';

/** Batches and chunks sent and not yet acknowledged on one stream. */
const framesMax = 64;
/** While this many rounds of batches are under way, what is appended waits for the next acknowledgement and makes larger batches. */
const roundsMax = 2;
const bytesMax = 4 * 1_024 * 1_024;
const chunksMax = 2;

/** Makes the next piece of a snapshot; `done` with the last. */
export type SnapshotSource = () => { readonly bytes: Uint8Array; readonly done: boolean };

export interface MemberStreamOptions<Command> {
  readonly join: JoinMessage;
  readonly epoch: number;
  readonly history: string;
  readonly log: CommandLog<Command>;
  readonly send: (message: PrimaryMessage) => void;
  /** The log goes on after this index. */
  readonly after: LogIndex;
  /** Absent when the follower needs the log only. */
  readonly snapshot?: SnapshotSource;
}

interface SentFrame {
  readonly frame: number;
  readonly bytes: number;
  readonly chunk: boolean;
  /** What left together is one round. */
  readonly round: number;
  readonly last: LogIndex;
  readonly hash: number;
}

/** What the primary sends to one follower: batches in order, and between them the chunks of a snapshot (rule 10). */
export class MemberStream<Command> {
  readonly incarnation: string;
  readonly stream: number;
  /** The last index acknowledged; 0 while the copy is not complete. */
  acked: LogIndex = 0;
  #options: MemberStreamOptions<Command>;
  #snapshot: SnapshotSource | undefined;
  #sent: SentFrame[] = [];
  #sentBytes = 0;
  #chunksOut = 0;
  #frame = 0;
  #round = 0;
  #after: LogIndex;

  constructor(options: MemberStreamOptions<Command>) {
    this.incarnation = options.join.incarnation;
    this.stream = options.join.stream;
    this.#options = options;
    this.#snapshot = options.snapshot;
    this.#after = options.after;
    if (options.snapshot === undefined) this.acked = options.after;
  }

  /** What the follower still needs of the log begins after this. */
  get needsAfter(): LogIndex {
    // A copy that breaks begins anew; one that is complete comes back for what it did not acknowledge.
    return this.acked === 0 ? this.#after : this.acked;
  }

  /** A snapshot is on its way. */
  get copying(): boolean {
    return this.#snapshot !== undefined;
  }

  get hasRoom(): boolean {
    return this.#sent.length < framesMax && this.#sentBytes < bytesMax;
  }

  /** A new round may leave without making batches smaller than they need be. */
  get takesRound(): boolean {
    const oldest = this.#sent.find(({ chunk }) => !chunk);
    return oldest === undefined || this.#round - oldest.round < roundsMax - 1;
  }

  /** Sends what there is room for; the log must be sealed. @returns false when the log no longer has what it needs. */
  pump(): boolean {
    const { log } = this.#options;
    if (this.#after < log.last) this.#round += 1;
    for (;;) {
      while (this.#after < log.last) {
        if (!this.hasRoom) return true;
        const batch = log.batchAt(this.#after + 1);
        if (batch === undefined) return this.#after + 1 >= log.first;
        this.#sendBatch(batch);
      }
      // A chunk is true only at the end of the log: all commands before it must be in the stream.
      if (this.#snapshot === undefined || this.#chunksOut >= chunksMax || !this.hasRoom) return true;
      this.#sendChunk(this.#snapshot);
    }
  }

  /** @returns false when the follower's state is not the primary's: it must begin anew. */
  acknowledged(ack: AckMessage): boolean {
    let hash: number | undefined;
    while (this.#sent[0] !== undefined && this.#sent[0].frame <= ack.frame) {
      const frame = this.#sent.shift() as SentFrame;
      this.#sentBytes -= frame.bytes;
      if (frame.chunk) this.#chunksOut -= 1;
      if (frame.last === ack.index) hash = frame.hash;
    }
    if (ack.index > this.#after) return false;
    if (ack.index > this.acked) this.acked = ack.index;
    return hash === undefined || hash === 0 || ack.index === 0 || hash === ack.hash;
  }

  #sendBatch(batch: LogBatch): void {
    const { epoch, history, send } = this.#options;
    const { first, last, bytes, checksum } = batch;
    this.#note({ bytes: bytes.length, chunk: false, last, hash: batch.hash });
    this.#after = last;
    send({ kind: 'batch', stream: this.stream, frame: this.#frame, epoch, history, first, last, bytes, checksum });
  }

  #sendChunk(snapshot: SnapshotSource): void {
    const { epoch, history, send } = this.#options;
    const { bytes, done } = snapshot();
    if (done) this.#snapshot = undefined;
    this.#note({ bytes: bytes.length, chunk: true, last: 0, hash: 0 });
    const checksum = crc32(bytes);
    send({ kind: 'chunk', stream: this.stream, frame: this.#frame, epoch, history, last: done, bytes, checksum });
  }

  #note(frame: Omit<SentFrame, 'frame' | 'round'>): void {
    this.#frame += 1;
    this.#sent.push({ frame: this.#frame, round: this.#round, ...frame });
    this.#sentBytes += frame.bytes;
    if (frame.chunk) this.#chunksOut += 1;
  }
}
