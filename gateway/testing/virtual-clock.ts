import type { Clock } from '../lib/clock.ts';

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Time that passes only when told; what is scheduled for the same moment runs in the order it was scheduled. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #heap: Scheduled[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  /** @returns how to cancel it. */
  schedule(delayMs: number, run: () => void): () => void {
    this.#order += 1;
    const scheduled: Scheduled = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, run };
    this.#push(scheduled);
    return () => {
      scheduled.run = undefined;
    };
  }

  /** Lets `ms` pass and runs everything that falls due, calling `after` after each step. */
  advance(ms: number, after: () => void): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > endMs) break;
      this.#pop();
      const { run } = first;
      if (run === undefined) continue;
      this.#nowMs = first.atMs;
      run();
      after();
    }
    this.#nowMs = endMs;
  }

  #push(item: Scheduled): void {
    const heap = this.#heap;
    let slot = heap.length;
    heap.push(item);
    while (slot > 0) {
      const parent = (slot - 1) >> 1;
      const above = heap[parent] as Scheduled;
      if (!isBefore(item, above)) break;
      heap[slot] = above;
      slot = parent;
    }
    heap[slot] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const item = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let slot = 0;
    for (;;) {
      let child = slot * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child += 1;
      if (!isBefore(heap[child] as Scheduled, item)) break;
      heap[slot] = heap[child] as Scheduled;
      slot = child;
    }
    heap[slot] = item;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
