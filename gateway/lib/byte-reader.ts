/** Bytes are not what their format says: where, and what was expected. */
export class CorruptBytesError extends Error {
  override readonly name = 'CorruptBytesError';
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads what a `ByteWriter` wrote; whatever does not fit is a CorruptBytesError, never a read past the end. */
export class ByteReader {
  #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw this.corrupt('one more byte');
    this.#at += 1;
    return value;
  }

  uint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 8; i += 1) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      factor *= 128;
    }
    throw this.corrupt('a whole number below 2^53');
  }

  boolean(): boolean {
    const value = this.byte();
    if (value > 1) throw this.corrupt('0 or 1');
    return value === 1;
  }

  text(): string {
    const end = this.#end('text');
    const start = this.#at;
    this.#at = end;
    for (let i = start; i < end; i += 1) {
      if ((this.#bytes[i] as number) > 127) return this.#utf8(start, end);
    }
    return this.#bytes.toString('latin1', start, end);
  }

  /** @returns a copy, so that what is kept does not hold on to the whole batch. */
  bytes(): Uint8Array {
    const end = this.#end('bytes');
    const copy = Buffer.allocUnsafe(end - this.#at);
    this.#bytes.copy(copy, 0, this.#at, end);
    this.#at = end;
    return copy;
  }

  /** One of `values` by its place in the list. */
  oneOf<Value>(values: readonly Value[]): Value {
    const value = values[this.byte()];
    if (value === undefined) throw this.corrupt(`a number below ${values.length}`);
    return value;
  }

  list<Item>(read: () => Item): Item[] {
    const count = this.uint();
    // Every item takes a byte at least: a count beyond that is corrupt, and not worth the memory.
    if (count > this.remaining) throw this.corrupt(`at least ${count} bytes for a list`);
    const items: Item[] = [];
    for (let i = 0; i < count; i += 1) items.push(read());
    return items;
  }

  /** @throws CorruptBytesError when something is left. */
  end(): void {
    if (this.remaining > 0) throw this.corrupt('the end');
  }

  corrupt(expected: string): CorruptBytesError {
    return new CorruptBytesError(`byte ${this.#at} of ${this.#bytes.length}: expected ${expected}`);
  }

  #utf8(start: number, end: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, end));
    } catch {
      throw this.corrupt('UTF-8');
    }
  }

  #end(what: string): number {
    const length = this.uint();
    if (length > this.remaining) throw this.corrupt(`${length} bytes of ${what}`);
    return this.#at + length;
  }
}
