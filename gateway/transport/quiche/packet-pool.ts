const slabBytes = 128 * 1024;

/** Room for datagrams on their way out. A slab is not used again: the socket may still hold parts of it. */
export class PacketPool {
  readonly #packetBytes: number;
  #slab = Buffer.allocUnsafeSlow(slabBytes);
  #at = 0;

  constructor(packetBytes: number) {
    this.#packetBytes = packetBytes;
  }

  packet(): Buffer {
    if (this.#at + this.#packetBytes > slabBytes) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes);
      this.#at = 0;
    }
    return this.#slab.subarray(this.#at, this.#at + this.#packetBytes);
  }

  /** The last packet was given away. */
  used(bytes: number): void {
    this.#at += bytes;
  }
}
