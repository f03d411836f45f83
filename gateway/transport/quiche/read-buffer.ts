const slabBytes = 64 * 1024;
const leastBytes = 4 * 1024;

/** Room to read into; what was read is handed on without a copy, so that it is never written again. */
export class ReadBuffer {
  #slab = Buffer.allocUnsafeSlow(slabBytes);
  #at = 0;

  space(): Buffer {
    if (slabBytes - this.#at < leastBytes) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#at = 0;
    }
    return this.#slab.subarray(this.#at);
  }

  used(bytes: number): void {
    this.#at += bytes;
  }
}
