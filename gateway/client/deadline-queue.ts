/** Something that wants to be woken at a time; the queue keeps its own notes in the two fields. */
export interface Sleeper {
  /** Wanted time as last scheduled; Infinity when not in the queue. */
  wakeMs: number;
  /** Place in the heap, -1 when not in it. */
  wakeIndex: number;
}

/** A binary heap by time, so that thousands of clients share one timer. */
export class DeadlineQueue<T extends Sleeper> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest time in the queue. */
  get nextMs(): number {
    return this.#heap[0]?.wakeMs ?? Number.POSITIVE_INFINITY;
  }

  /** Adds or moves one. */
  schedule(sleeper: T, wakeMs: number): void {
    if (wakeMs === Number.POSITIVE_INFINITY) return this.remove(sleeper);
    const before = sleeper.wakeMs;
    sleeper.wakeMs = wakeMs;
    if (sleeper.wakeIndex < 0) {
      sleeper.wakeIndex = this.#heap.push(sleeper) - 1;
      this.#up(sleeper);
    } else if (wakeMs < before) this.#up(sleeper);
    else this.#down(sleeper);
  }

  remove(sleeper: T): void {
    const index = sleeper.wakeIndex;
    if (index < 0) return;
    sleeper.wakeIndex = -1;
    sleeper.wakeMs = Number.POSITIVE_INFINITY;
    const last = this.#heap.pop();
    if (last === undefined || last === sleeper) return;
    this.#heap[index] = last;
    last.wakeIndex = index;
    this.#up(last);
    this.#down(last);
  }

  /** Takes out the earliest one that is due. */
  take(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.wakeMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #up(sleeper: T): void {
    let index = sleeper.wakeIndex;
    while (index > 0) {
      const parent = this.#heap[(index - 1) >> 1];
      if (parent === undefined || parent.wakeMs <= sleeper.wakeMs) break;
      this.#put(parent, index);
      index = (index - 1) >> 1;
    }
    this.#put(sleeper, index);
  }

  #down(sleeper: T): void {
    let index = sleeper.wakeIndex;
    for (;;) {
      const left = this.#heap[index * 2 + 1];
      const right = this.#heap[index * 2 + 2];
      const child = right !== undefined && left !== undefined && right.wakeMs < left.wakeMs ? right : left;
      if (child === undefined || child.wakeMs >= sleeper.wakeMs) break;
      const next = child.wakeIndex;
      this.#put(child, index);
      index = next;
    }
    this.#put(sleeper, index);
  }

  #put(sleeper: T, index: number): void {
    this.#heap[index] = sleeper;
    sleeper.wakeIndex = index;
  }
}
