import { LatencyHistogram } from './latency-histogram.ts';

/** The body of `/performance` (interface, "HTTP"). */
export interface PerformanceReport {
  readonly window_seconds: number;
  readonly qps: number;
  readonly latency_ms: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  readonly throughput_bytes_per_second: { readonly in: number; readonly out: number };
}

interface Slot {
  startMs: number;
  requests: number;
  bytesIn: number;
  bytesOut: number;
  readonly latency: LatencyHistogram;
}

/** A slot is closed by the first `advance` that finds it this old. */
const slotMs = 1000;

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/**
 * Requests, latencies and bytes of the last seconds. Recording needs no clock: `advance` moves the window on, once a second
 * or when a report is asked for.
 */
export class PerformanceWindow {
  readonly #windowSeconds: number;
  #slots: Slot[];
  #current: Slot;

  /** @param nowMs of the monotonic clock that `advance` and `report` are given too */
  constructor(windowSeconds: number, nowMs: number) {
    this.#windowSeconds = windowSeconds;
    this.#current = newSlot(nowMs);
    this.#slots = [this.#current];
  }

  /** One request that got its answer. */
  request(): void {
    this.#current.requests += 1;
  }

  latency(durationMs: number): void {
    this.#current.latency.record(durationMs);
  }

  bytes(received: number, sent: number): void {
    this.#current.bytesIn += received;
    this.#current.bytesOut += sent;
  }

  /** Forgets what is older than the window. */
  advance(nowMs: number): void {
    if (nowMs - this.#current.startMs < slotMs) return;
    const oldestMs = nowMs - this.#windowSeconds * 1000;
    let spare: Slot | undefined;
    while (this.#slots[0] !== undefined && this.#slots[0].startMs < oldestMs) spare = this.#slots.shift();
    this.#current = spare === undefined ? newSlot(nowMs) : clearSlot(spare, nowMs);
    this.#slots.push(this.#current);
  }

  report(nowMs: number): PerformanceReport {
    this.advance(nowMs);
    const startMs = this.#slots[0]?.startMs ?? nowMs;
    const seconds = Math.max(nowMs - startMs, slotMs) / 1000;
    const total = newSlot(startMs);
    for (const slot of this.#slots) {
      total.requests += slot.requests;
      total.bytesIn += slot.bytesIn;
      total.bytesOut += slot.bytesOut;
      total.latency.add(slot.latency);
    }
    return {
      window_seconds: this.#windowSeconds,
      qps: round(total.requests / seconds),
      latency_ms: {
        p50: round(total.latency.quantileMs(0.5)),
        p90: round(total.latency.quantileMs(0.9)),
        p99: round(total.latency.quantileMs(0.99)),
        max: round(total.latency.maxMs),
      },
      throughput_bytes_per_second: { in: round(total.bytesIn / seconds), out: round(total.bytesOut / seconds) },
    };
  }
}

function newSlot(startMs: number): Slot {
  return { startMs, requests: 0, bytesIn: 0, bytesOut: 0, latency: new LatencyHistogram() };
}

function clearSlot(slot: Slot, startMs: number): Slot {
  slot.latency.clear();
  return { ...slot, startMs, requests: 0, bytesIn: 0, bytesOut: 0 };
}
