/** What became of a push whose sender asked for PUSH_LEVEL_ACKED. */
export type PushEnd = 'acked' | 'expired' | 'closed' | 'timeout' | 'unknown';

interface Waiter {
  seqId: number;
  /** Names a bound push until it gets its number. */
  readonly hold: number;
  readonly deadlineMs: number;
  readonly done: (end: PushEnd, seqId: number) => void;
}

const waitersMax = 100_000;

/** Senders that wait until their push is acknowledged; bounded, each with a deadline. */
export class PushWaiters {
  #bySession = new Map<string, Waiter[]>();
  #count = 0;

  get size(): number {
    return this.#count;
  }

  /** @returns false when too many wait already. */
  add(sessionId: string, waiter: Waiter): boolean {
    if (this.#count >= waitersMax) return false;
    const waiters = this.#bySession.get(sessionId);
    if (waiters === undefined) this.#bySession.set(sessionId, [waiter]);
    else waiters.push(waiter);
    this.#count += 1;
    return true;
  }

  acked(sessionId: string, upTo: number): void {
    this.#settle(sessionId, 'acked', (waiter) => waiter.seqId !== 0 && waiter.seqId <= upTo);
  }

  expired(sessionId: string, seqId: number): void {
    this.#settle(sessionId, 'expired', (waiter) => waiter.seqId === seqId);
  }

  closed(sessionId: string): void {
    this.#settle(sessionId, 'closed', () => true);
  }

  /** A bound push got its number. */
  placed(sessionId: string, hold: number, seqId: number): void {
    for (const waiter of this.#bySession.get(sessionId) ?? []) {
      if (waiter.seqId === 0 && waiter.hold === hold) waiter.seqId = seqId;
    }
  }

  /** What becomes of them is decided elsewhere from now on. */
  endAll(): void {
    for (const sessionId of this.#bySession.keys()) this.#settle(sessionId, 'unknown', () => true);
  }

  /** Ends the waits whose deadline has passed. */
  sweep(nowMs: number): void {
    if (this.#count === 0) return;
    for (const sessionId of this.#bySession.keys()) {
      this.#settle(sessionId, 'timeout', (waiter) => waiter.deadlineMs <= nowMs);
    }
  }

  #settle(sessionId: string, end: PushEnd, ends: (waiter: Waiter) => boolean): void {
    const waiters = this.#bySession.get(sessionId);
    if (waiters === undefined) return;
    const left = waiters.filter((waiter) => !ends(waiter));
    if (left.length === waiters.length) return;
    if (left.length === 0) this.#bySession.delete(sessionId);
    else this.#bySession.set(sessionId, left);
    this.#count -= waiters.length - left.length;
    for (const waiter of waiters) if (ends(waiter)) waiter.done(end, waiter.seqId);
  }
}
