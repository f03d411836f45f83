import { crc32 } from 'node:zlib';
import type { LogIndex } from './shard.ts';

/** Commands `first` to `last`, encoded once; `hash` is the state's after the last. */
export interface LogBatch {
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly bytes: Uint8Array;
  readonly checksum: number;
  readonly hash: number;
  /** When it was sealed, in the owner's patient time. */
  readonly sealedMs: number;
}

/** In place of a batch whose memory is not needed any more. */
const released: LogBatch = { first: 0, last: 0, bytes: new Uint8Array(0), checksum: 0, hash: 0, sealedMs: 0 };

export interface CommandLogOptions<Command> {
  /** The index that was applied when this log began. */
  readonly after: LogIndex;
  readonly encode: (commands: readonly Command[]) => Uint8Array;
  readonly batchEntriesMax: number;
  /** Entries kept for followers that come back; also the lag at which the log is congested. */
  readonly bufferEntriesMax: number;
  readonly bufferBytesMax: number;
}

/** A batch larger than this is parted: peers take messages of a few megabytes. */
const batchBytesMax = 1_024 * 1_024;
/** Released batches are cut off in pieces: cutting them one by one would copy the rest each time. */
const compactFrom = 256;
/** A factor on the bounds: up to one the primary slows admission, up to the other it still takes what is under way. */
const hardFactor = 8;

/** The primary's commands since its tenure began, or as many as the bounds allow: encoded in batches, once. */
export class CommandLog<Command> {
  #options: CommandLogOptions<Command>;
  #tail: Command[] = [];
  #batches: LogBatch[] = [];
  /** Batches before this one are released. */
  #head = 0;
  #bytes = 0;
  #last: LogIndex;
  #sealed: LogIndex;
  #needed: LogIndex;

  constructor(options: CommandLogOptions<Command>) {
    this.#options = options;
    this.#last = options.after;
    this.#sealed = options.after;
    this.#needed = options.after;
  }

  get last(): LogIndex {
    return this.#last;
  }

  /** The oldest index that can still be sent. */
  get first(): LogIndex {
    return this.#batches[this.#head]?.first ?? this.#sealed + 1;
  }

  /** Followers lag by more than the buffer: admit less. */
  get congested(): boolean {
    return this.#isBeyond(1);
  }

  /** No more can be taken at all. */
  get full(): boolean {
    return this.#isBeyond(hardFactor);
  }

  append(command: Command): LogIndex {
    this.#last += 1;
    this.#tail.push(command);
    return this.#last;
  }

  /** Encodes what was appended since the last time. @param hash the state's hash now. */
  seal(hash: number, patientMs: number): void {
    const { batchEntriesMax } = this.#options;
    const tail = this.#tail;
    this.#tail = [];
    for (let from = 0; from < tail.length; from += batchEntriesMax) {
      this.#sealBatch(tail.slice(from, from + batchEntriesMax), hash, patientMs);
    }
  }

  #sealBatch(commands: readonly Command[], hash: number, sealedMs: number): void {
    const bytes = this.#options.encode(commands);
    if (bytes.length > batchBytesMax && commands.length > 1) {
      const middle = commands.length >> 1;
      this.#sealBatch(commands.slice(0, middle), hash, sealedMs);
      return this.#sealBatch(commands.slice(middle), hash, sealedMs);
    }
    const first = this.#sealed + 1;
    this.#sealed += commands.length;
    // Only at the end of the tail is the state the one after the batch; 0 says: not known here.
    const known = this.#sealed === this.#last ? hash : 0;
    this.#batches.push({ first, last: this.#sealed, bytes, checksum: crc32(bytes), hash: known, sealedMs });
    this.#bytes += bytes.length;
  }

  get hasTail(): boolean {
    return this.#tail.length > 0;
  }

  /** The batch that holds `index`; undefined when it is not sealed yet or no longer kept. */
  batchAt(index: LogIndex): LogBatch | undefined {
    let low = this.#head;
    let high = this.#batches.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const batch = this.#batches[middle] as LogBatch;
      if (index < batch.first) high = middle - 1;
      else if (index > batch.last) low = middle + 1;
      else return batch;
    }
    return undefined;
  }

  /** Nobody attached needs anything up to `index`; it is kept within the bounds for those who come back. */
  release(index: LogIndex): void {
    if (index <= this.#needed) return;
    this.#needed = index;
    const { bufferEntriesMax, bufferBytesMax } = this.#options;
    for (;;) {
      const oldest = this.#batches[this.#head];
      if (oldest === undefined || oldest.last > this.#needed) break;
      if (this.#last - oldest.first < bufferEntriesMax && this.#bytes <= bufferBytesMax) break;
      this.#bytes -= oldest.bytes.length;
      this.#batches[this.#head] = released;
      this.#head += 1;
    }
    if (this.#head < compactFrom) return;
    this.#batches.splice(0, this.#head);
    this.#head = 0;
  }

  #isBeyond(factor: number): boolean {
    const { bufferEntriesMax, bufferBytesMax } = this.#options;
    if (this.#last - this.#needed >= factor * bufferEntriesMax) return true;
    return this.#bytes >= factor * bufferBytesMax;
  }
}
