/** The one way to read time. Core code takes a number; only the edge holds a Clock. */
export interface Clock {
  /** Milliseconds of a monotonic clock; its zero means nothing. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch, for people and for tokens' expiry only. */
  wallMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};
