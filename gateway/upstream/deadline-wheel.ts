/** What a wheel can hold: an entry is on one wheel at most. */
export interface WheelEntry {
  deadlineMs: number;
  /** The wheel's own links; null while not on a wheel. */
  wheelNext: WheelEntry | null;
  wheelPrevious: WheelEntry | null;
}

/**
 * Deadlines by one coarse timer: adding and removing are O(1) and without allocation. Pure: the owner calls `expire`.
 * An entry expires at most one tick after its deadline, never before.
 */
export class DeadlineWheel<Entry extends WheelEntry> {
  #tickMs: number;
  #buckets: WheelEntry[];
  #visitedTick = -1;
  #count = 0;

  /** @param tickMs resolution; `tickMs * buckets` should exceed common deadlines, longer ones cost a visit a round. */
  constructor(tickMs: number, buckets: number) {
    this.#tickMs = tickMs;
    this.#buckets = Array.from({ length: buckets }, newHead);
  }

  get count(): number {
    return this.#count;
  }

  add(entry: Entry): void {
    const head = this.#bucket(this.#tickOf(entry.deadlineMs));
    entry.wheelNext = head.wheelNext;
    entry.wheelPrevious = head;
    if (head.wheelNext !== null) head.wheelNext.wheelPrevious = entry;
    head.wheelNext = entry;
    this.#count += 1;
  }

  /** Does nothing for an entry that is not on the wheel. */
  remove(entry: Entry): void {
    if (entry.wheelPrevious === null) return;
    entry.wheelPrevious.wheelNext = entry.wheelNext;
    if (entry.wheelNext !== null) entry.wheelNext.wheelPrevious = entry.wheelPrevious;
    entry.wheelNext = null;
    entry.wheelPrevious = null;
    this.#count -= 1;
  }

  /** Takes off what is due at `nowMs` and hands it to `expired`, which may add and remove. */
  expire(nowMs: number, expired: (entry: Entry) => void): void {
    const tick = Math.floor(nowMs / this.#tickMs);
    const first = Math.max(this.#visitedTick + 1, tick - this.#buckets.length + 1);
    this.#visitedTick = Math.max(this.#visitedTick, tick);
    const due: Entry[] = [];
    for (let at = first; at <= tick; at += 1) {
      for (let entry = this.#bucket(at).wheelNext; entry !== null; entry = entry.wheelNext) {
        if (Math.ceil(entry.deadlineMs / this.#tickMs) <= tick) due.push(entry as Entry);
      }
    }
    for (const entry of due) {
      if (entry.wheelPrevious === null) continue;
      this.remove(entry);
      expired(entry);
    }
  }

  /** The first tick that begins at or after the deadline, and is still to be visited. */
  #tickOf(deadlineMs: number): number {
    return Math.max(Math.ceil(deadlineMs / this.#tickMs), this.#visitedTick + 1);
  }

  #bucket(tick: number): WheelEntry {
    const head = this.#buckets[tick % this.#buckets.length];
    if (head === undefined) throw new RangeError(`tick ${tick} is not a tick`);
    return head;
  }
}

function newHead(): WheelEntry {
  return { deadlineMs: 0, wheelNext: null, wheelPrevious: null };
}
