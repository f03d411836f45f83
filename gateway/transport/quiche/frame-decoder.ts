/** A frame was announced that is larger than allowed. */
export class FrameTooLargeError extends Error {
  override readonly name = 'FrameTooLargeError';

  constructor(bytes: number, bytesMax: number) {
    super(`frame of ${bytes} bytes, at most ${bytesMax}`);
  }
}

const headerBytes = 4;

/**
 * Finds whole frames in a stream that arrives in pieces. Keeps only what belongs to an unfinished frame, and grows with
 * what arrived, not with what a length announces.
 */
export class FrameDecoder {
  readonly #bytesMax: number;
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  #missing = 0;
  #parts: Uint8Array[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The stream stands inside a frame, so that its end would cut one. */
  get insideFrame(): boolean {
    return this.#headerLength > 0;
  }

  /**
   * Takes the next bytes and calls `frame` with each whole frame, in order; frames may share the memory of the bytes.
   * @throws FrameTooLargeError at the length, before any byte of the frame is kept.
   */
  feed(bytes: Buffer, frame: (frame: Uint8Array) => void): void {
    let at = 0;
    while (at < bytes.length || (this.#headerLength === headerBytes && this.#missing === 0)) {
      if (this.#headerLength < headerBytes) {
        at = this.#takeHeader(bytes, at);
        continue;
      }
      const end = Math.min(bytes.length, at + this.#missing);
      const part = bytes.subarray(at, end);
      this.#missing -= end - at;
      at = end;
      if (this.#missing > 0) {
        this.#parts.push(part);
        return;
      }
      this.#headerLength = 0;
      frame(this.#parts.length === 0 ? part : this.#join(part));
    }
  }

  #join(last: Uint8Array): Buffer {
    const whole = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    return whole;
  }

  #takeHeader(bytes: Buffer, at: number): number {
    const count = Math.min(headerBytes - this.#headerLength, bytes.length - at);
    bytes.copy(this.#header, this.#headerLength, at, at + count);
    this.#headerLength += count;
    if (this.#headerLength === headerBytes) {
      const length = this.#header.readUInt32BE();
      if (length > this.#bytesMax) throw new FrameTooLargeError(length, this.#bytesMax);
      this.#missing = length;
    }
    return at + count;
  }
}
