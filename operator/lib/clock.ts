/** The one way to read time and to wait; tests hand in a virtual one. */
export interface Clock {
  /** Milliseconds of a monotonic clock; its zero means nothing. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch: for timestamps in objects and for people, never for decisions. */
  wallMs(): number;
  /** Runs `run` once, `delayMs` from now. @returns how to cancel it */
  after(delayMs: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or at once when `signal` is aborted; it never throws. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal.addEventListener('abort', done);
  });
}
