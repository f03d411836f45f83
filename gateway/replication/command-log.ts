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

export interface CommandLogOptions<Command> {
  /** The index that was applied when this log began. */
  readonly after: LogIndex;
  readonly encode: (commands: readonly Command[]) => Uint8Array;
  readonly batchEntriesMax: number;
  /** Entries kept for followers that come back; also the lag at which the log is congested. */
  readonly bufferEntriesMax: number;
  readonly bufferBytesMax: number;
}

/** A factor on the bounds: up to one the primary slows admission, up to the other it still takes what is under way. */
const hardFactor = 8;

/** The primary's commands since its tenure began, or as many as the bounds allow: encoded in batches, once. */
export class CommandLog<Command> {
  #options: CommandLogOptions<Command>;
  #tail: Command[] = [];
  #batches: LogBatch[] = [];
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
    return this.#batches[0]?.first ?? this.#sealed + 1;
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
    const { batchEntriesMax, encode } = this.#options;
    for (let from = 0; from < this.#tail.length; from += batchEntriesMax) {
      const commands = this.#tail.slice(from, from + batchEntriesMax);
      const bytes = encode(commands);
      const first = this.#sealed + 1;
      this.#sealed += commands.length;
      // Only at the end of the tail is the state the one after the batch; 0 says: not known here.
      const known = this.#sealed === this.#last ? hash : 0;
      this.#batches.push({
        first,
        last: this.#sealed,
        bytes,
        checksum: crc32(bytes),
        hash: known,
        sealedMs: patientMs,
      });
      this.#bytes += bytes.length;
    }
    this.#tail = [];
  }

  get hasTail(): boolean {
    return this.#tail.length > 0;
  }

  /** The batch that holds `index`; undefined when it is not sealed yet or no longer kept. */
  batchAt(index: LogIndex): LogBatch | undefined {
    let low = 0;
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
    let dropped = 0;
    for (const batch of this.#batches) {
      if (batch.last > this.#needed) break;
      if (this.#last - batch.first < bufferEntriesMax && this.#bytes <= bufferBytesMax) break;
      this.#bytes -= batch.bytes.length;
      dropped += 1;
    }
    if (dropped > 0) this.#batches.splice(0, dropped);
  }

  #isBeyond(factor: number): boolean {
    const { bufferEntriesMax, bufferBytesMax } = this.#options;
    if (this.#last - this.#needed >= factor * bufferEntriesMax) return true;
    return this.#bytes >= factor * bufferBytesMax;
  }
}
