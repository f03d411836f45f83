/** A running 32-bit hash of what commands did to the numbers of the state: two members that applied the same agree. */
export class StateHash {
  #value = 0x811c9dc5 | 0;

  get value(): number {
    return this.#value >>> 0;
  }

  set value(value: number) {
    this.#value = value | 0;
  }

  /** Takes in the low 32 bits of a whole number. */
  mix(number: number): void {
    const mixed = Math.imul(this.#value ^ (number | 0), 0x9e3779b1);
    this.#value = mixed ^ (mixed >>> 15);
  }

  mixText(text: string): void {
    for (let i = 0; i < text.length; i += 1) this.mix(text.charCodeAt(i));
  }
}
