import { type BackoffLimits, backoffMs } from './lib/backoff.ts';
import type { Clock } from './lib/clock.ts';
import { errorMessage, type Logger, silentLogger } from './lib/log.ts';
import { TokenBucket } from './lib/token-bucket.ts';

/** What is counted, under controller-runtime's names where they are exported. */
export interface QueueMetrics {
  added(queue: string): void;
  retried(queue: string): void;
  depth(queue: string, keys: number): void;
  /** Milliseconds from `add` to the start of the handle. */
  waited(queue: string, ms: number): void;
  /** A handle has ended. */
  worked(queue: string, ms: number, result: HandleResult): void;
}

export type HandleResult = 'success' | 'error' | 'requeue_after';

/** Nothing means that there is nothing more to do until the key is added again. */
export type Handle = (key: string, signal: AbortSignal) => Promise<Requeue | undefined> | Promise<void>;

export interface Requeue {
  readonly requeueAfterMs?: number;
}

export interface WorkQueueOptions {
  readonly name: string;
  /** Keys handled at the same time. */
  readonly workers: number;
  /** Brings what the key names to the desired state. Fails by throwing; it is tried again then. */
  readonly handle: Handle;
  /** A handle that takes longer fails, and its signal is aborted. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly metrics: QueueMetrics;
  readonly log?: Logger;
}

/** Those of client-go: one failing key backs off by itself, and all retries together are limited. */
const keyBackoff: BackoffLimits = { firstMs: 5, maxMs: 1_000_000 };
const retriesPerSecond = 10;
const retriesBurst = 100;
/** What a handle that ignores its signal gets beyond its timeout before the queue counts as stuck. */
const stuckGraceMs = 30_000;

interface Running {
  readonly abort: AbortController;
  readonly startedMs: number;
  /** It was added again meanwhile. */
  again: boolean;
}

interface Later {
  readonly atMs: number;
  readonly cancel: () => void;
}

/**
 * Keys that have something to do. A key waits at most once, however often it is added, and is never handled twice at the same
 * time: one added while it is handled is handled once more.
 */
export class WorkQueue {
  #options: WorkQueueOptions;
  #log: Logger;
  #retries: TokenBucket;
  /** Key → when it was added. */
  #waiting = new Map<string, number>();
  #running = new Map<string, Running>();
  /** Running handles that still hold a worker; one that timed out does not. */
  #busy = 0;
  #later = new Map<string, Later>();
  #failures = new Map<string, number>();
  #stopped = false;
  #idle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    this.#retries = new TokenBucket(retriesPerSecond, retriesBurst, options.clock.nowMs());
  }

  /** Handles the key as soon as a worker is free. */
  add(key: string): void {
    if (this.#stopped || this.#waiting.has(key)) return;
    const running = this.#running.get(key);
    if (running?.again === true) return;
    this.#options.metrics.added(this.#options.name);
    if (running !== undefined) running.again = true;
    else this.#enqueue(key);
  }

  /** Adds the key `ms` from now; of several such calls the earliest holds. */
  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    if (ms <= 0) return this.add(key);
    const { clock } = this.#options;
    const atMs = clock.nowMs() + ms;
    const earlier = this.#later.get(key);
    if (earlier !== undefined && earlier.atMs <= atMs) return;
    earlier?.cancel();
    const cancel = clock.after(ms, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { atMs, cancel });
  }

  /** Forgets a key that names nothing any more: its failures and what was to come later. */
  forget(key: string): void {
    this.#failures.delete(key);
    this.#later.get(key)?.cancel();
    this.#later.delete(key);
  }

  /** Nothing waits, runs or is to come. */
  get empty(): boolean {
    return this.#waiting.size === 0 && this.#running.size === 0 && this.#later.size === 0;
  }

  /** For how long each handle has been running. */
  runningMs(nowMs: number): number[] {
    return [...this.#running.values()].map(({ startedMs }) => nowMs - startedMs);
  }

  /** The keys of handles that ignore their signal and are long past their timeout. */
  stuckKeys(nowMs: number): string[] {
    const limitMs = this.#options.timeoutMs + stuckGraceMs;
    return [...this.#running].filter(([, { startedMs }]) => nowMs - startedMs > limitMs).map(([key]) => key);
  }

  /** Takes nothing more and aborts what runs. @returns when all handles have ended, or `withinMs` has passed */
  stop(withinMs = 5000): Promise<void> {
    this.#stopped = true;
    for (const { cancel } of this.#later.values()) cancel();
    this.#later.clear();
    this.#waiting.clear();
    this.#options.metrics.depth(this.#options.name, 0);
    for (const { abort } of this.#running.values()) abort.abort(new QueueStoppedError(this.#options.name));
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(withinMs, resolve);
      this.#idle.push(() => {
        cancel();
        resolve();
      });
    });
  }

  #enqueue(key: string): void {
    this.#waiting.set(key, this.#options.clock.nowMs());
    this.#options.metrics.depth(this.#options.name, this.#waiting.size);
    this.#next();
  }

  #next(): void {
    while (!this.#stopped && this.#busy < this.#options.workers) {
      const first = this.#waiting.entries().next();
      if (first.done) return;
      const [key, addedMs] = first.value;
      this.#waiting.delete(key);
      const { metrics, name, clock } = this.#options;
      metrics.depth(name, this.#waiting.size);
      metrics.waited(name, clock.nowMs() - addedMs);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    const { clock, timeoutMs, name, metrics } = this.#options;
    const running: Running = { abort: new AbortController(), startedMs: clock.nowMs(), again: false };
    this.#running.set(key, running);
    this.#busy += 1;
    const ended = this.#call(key, running.abort.signal);
    const timedOut = new Promise<Outcome>((resolve) => {
      const cancel = clock.after(timeoutMs, () => {
        const error = new HandleTimeoutError(key, timeoutMs);
        resolve({ error });
        running.abort.abort(error);
      });
      void ended.then(cancel);
    });
    const outcome = await Promise.race([ended, timedOut]);
    this.#busy -= 1;
    const tookMs = clock.nowMs() - running.startedMs;
    metrics.worked(name, tookMs, resultOf(outcome));
    if (outcome.error !== undefined && !this.#stopped) {
      this.#log.warn({ queue: name, key, error: errorMessage(outcome.error) }, 'reconcile failed');
    }
    this.#next();
    // The key stays taken until the handle has really ended, even if that is long after its timeout.
    await ended;
    this.#running.delete(key);
    this.#after(key, running, outcome);
  }

  /** Never throws. */
  async #call(key: string, signal: AbortSignal): Promise<Outcome> {
    try {
      const requeue: Requeue | undefined = (await this.#options.handle(key, signal)) ?? undefined;
      return { requeueAfterMs: requeue?.requeueAfterMs };
    } catch (error) {
      return { error: error ?? new Error('nothing was thrown') };
    }
  }

  #after(key: string, running: Running, outcome: Outcome): void {
    if (this.#stopped) {
      if (this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    if (outcome.error === undefined) this.#failures.delete(key);
    else this.#retry(key);
    if (outcome.requeueAfterMs !== undefined) this.addAfter(key, outcome.requeueAfterMs);
    if (running.again) this.#enqueue(key);
  }

  #retry(key: string): void {
    const { clock, random, metrics, name } = this.#options;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    metrics.retried(name);
    this.addAfter(key, Math.max(backoffMs(keyBackoff, failures, random()), this.#retries.take(clock.nowMs())));
  }
}

interface Outcome {
  readonly error?: unknown;
  readonly requeueAfterMs?: number | undefined;
}

function resultOf({ error, requeueAfterMs }: Outcome): HandleResult {
  if (error !== undefined) return 'error';
  return requeueAfterMs === undefined ? 'success' : 'requeue_after';
}

class HandleTimeoutError extends Error {
  override readonly name = 'HandleTimeoutError';

  constructor(key: string, timeoutMs: number) {
    super(`${key}: not done within ${timeoutMs} ms`);
  }
}

class QueueStoppedError extends Error {
  override readonly name = 'QueueStoppedError';

  constructor(queue: string) {
    super(`${queue}: the queue was stopped`);
  }
}
