/** Chunks up to this size are joined, so that many small frames cost one call into the bindings. */
const joinedBytesMax = 64 * 1024;

/** Bytes of a stream that QUIC has not taken yet. Chunks are kept by reference: a body shared by many is kept once. */
export class OutQueue {
  #chunks: Uint8Array[] = [];
  #first = 0;
  bytes = 0;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Offers chunks until one is not taken whole. @param write answers how many bytes it took. */
  drain(write: (chunk: Uint8Array) => number): void {
    while (this.bytes > 0) {
      const chunk = this.#take();
      const taken = write(chunk);
      this.bytes -= taken;
      if (taken < chunk.length) {
        this.#first -= 1;
        this.#chunks[this.#first] = chunk.subarray(taken);
        return;
      }
    }
    this.clear();
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.bytes = 0;
  }

  #take(): Uint8Array {
    const start = this.#first;
    let length = 0;
    while (this.#first < this.#chunks.length) {
      const next = this.#chunks[this.#first]?.length ?? 0;
      if (length > 0 && length + next > joinedBytesMax) break;
      length += next;
      this.#first += 1;
    }
    const parts = this.#chunks.slice(start, this.#first);
    // What was taken is not kept, however long the queue never runs empty.
    if (this.#first > 1024) {
      this.#chunks = [new Uint8Array(0), ...this.#chunks.slice(this.#first)];
      this.#first = 1;
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, length);
  }
}
