/** Something that is due at a time of the shard (rule 7). Ties are broken by what it is about, never by when it was added. */
export interface Deadline {
  readonly atMs: number;
  readonly kind: number;
  readonly key: string;
  readonly n: number;
  /** Position in the heap; -1 once fired or cancelled. */
  slot: number;
}

function before(a: Deadline, b: Deadline): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.kind !== b.kind) return a.kind < b.kind;
  if (a.key !== b.key) return a.key < b.key;
  return a.n < b.n;
}

/** A binary heap of deadlines, each of which knows its place: adding, cancelling and taking the next cost O(log n). */
export class Deadlines {
  #heap: Deadline[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** When the earliest is due; undefined when nothing is. */
  get nextMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  add(atMs: number, kind: number, key: string, n: number): Deadline {
    const deadline: Deadline = { atMs, kind, key, n, slot: this.#heap.length };
    this.#heap.push(deadline);
    this.#rise(deadline, deadline.slot);
    return deadline;
  }

  /** Cancelling one that fired, was cancelled or never was does nothing. */
  cancel(deadline: Deadline | undefined): void {
    if (deadline === undefined || deadline.slot < 0) return;
    const slot = deadline.slot;
    deadline.slot = -1;
    const last = this.#heap.pop() as Deadline;
    if (last === deadline) return;
    this.#put(last, slot);
    this.#rise(last, slot);
    this.#sink(last, last.slot);
  }

  /** Takes the earliest out if it is due at `nowMs`. */
  takeDue(nowMs: number): Deadline | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.cancel(first);
    return first;
  }

  clear(): void {
    for (const deadline of this.#heap) deadline.slot = -1;
    this.#heap = [];
  }

  #put(deadline: Deadline, slot: number): void {
    this.#heap[slot] = deadline;
    deadline.slot = slot;
  }

  #rise(deadline: Deadline, from: number): void {
    let slot = from;
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1;
      const parent = this.#heap[parentSlot] as Deadline;
      if (!before(deadline, parent)) break;
      this.#put(parent, slot);
      slot = parentSlot;
    }
    this.#put(deadline, slot);
  }

  #sink(deadline: Deadline, from: number): void {
    const size = this.#heap.length;
    let slot = from;
    for (;;) {
      let childSlot = slot * 2 + 1;
      if (childSlot >= size) break;
      let child = this.#heap[childSlot] as Deadline;
      const right = this.#heap[childSlot + 1];
      if (right !== undefined && before(right, child)) {
        child = right;
        childSlot += 1;
      }
      if (!before(child, deadline)) break;
      this.#put(child, slot);
      slot = childSlot;
    }
    this.#put(deadline, slot);
  }
}
