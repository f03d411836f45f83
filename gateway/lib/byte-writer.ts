const firstCapacityBytes = 4_096;
const shortTextChars = 64;
const twoTo28 = 2 ** 28;

/** Appends compact binary fields to a buffer that grows. Reusable: `take` hands out a copy and begins anew. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(firstCapacityBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    if (this.#length === this.#buffer.length) this.#grow(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  /**
   * A whole number from 0 to 2^53 - 1 in 1 to 8 bytes, seven bits each, lowest first.
   * @throws RangeError for any other number.
   */
  uint(value: number): void {
    if (value < 0 || !Number.isSafeInteger(value)) throw new RangeError(`${value}: expected a whole number from 0`);
    if (this.#length + 8 > this.#buffer.length) this.#grow(8);
    let rest = value;
    while (rest >= twoTo28) {
      this.#buffer[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    let low = rest | 0;
    while (low > 127) {
      this.#buffer[this.#length++] = (low & 127) | 128;
      low >>>= 7;
    }
    this.#buffer[this.#length++] = low;
  }

  boolean(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  /** UTF-8 behind its length in bytes. */
  text(value: string): void {
    const chars = value.length;
    if (chars > shortTextChars) return this.#longText(value);
    if (this.#length + chars + 1 > this.#buffer.length) this.#grow(chars + 1);
    const start = this.#length;
    this.#buffer[start] = chars;
    for (let i = 0; i < chars; i += 1) {
      const code = value.charCodeAt(i);
      if (code > 127) return this.#longText(value);
      this.#buffer[start + 1 + i] = code;
    }
    this.#length = start + 1 + chars;
  }

  /** Bytes behind their number. */
  bytes(value: Uint8Array): void {
    this.uint(value.length);
    if (this.#length + value.length > this.#buffer.length) this.#grow(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  list<Item>(items: readonly Item[], write: (item: Item) => void): void {
    this.uint(items.length);
    for (const item of items) write(item);
  }

  /** @returns what was written, as bytes of its own. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.#length);
    taken.set(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  #longText(value: string): void {
    const bytes = Buffer.byteLength(value);
    this.uint(bytes);
    if (this.#length + bytes > this.#buffer.length) this.#grow(bytes);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  #grow(by: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + by));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
