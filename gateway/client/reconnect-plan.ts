export interface BackoffOptions {
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
}

/** Full jitter: a random share of an exponentially rising, capped bound. */
export function fullJitterMs(attempt: number, options: BackoffOptions, random: () => number): number {
  return random() * Math.min(options.backoffMaxMs, options.backoffBaseMs * 2 ** Math.min(attempt, 30));
}

const silenceMs = 5_000;
const redirectsMax = 4;
const endpointsMax = 32;
/** A connection that lived this long ends the row of failures before it. */
const stableMs = 5_000;

/** Which endpoint to try next, and when. Endpoints are "host:port". */
export class ReconnectPlan {
  readonly #configured: readonly string[];
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #learned: readonly string[] = [];
  #preferred: string[] = [];
  #silentUntilMs = new Map<string, number>();
  #last = '';
  #failures = 0;
  #redirects = 0;
  #succeededMs = Number.POSITIVE_INFINITY;

  constructor(endpoints: readonly string[], options: BackoffOptions, random: () => number) {
    this.#configured = endpoints;
    this.#options = options;
    this.#random = random;
  }

  /** The next endpoint: what a gateway named first, then in turn; those that lately did not answer come last. */
  choose(nowMs: number): string {
    const all = [...new Set([...this.#learned, ...this.#configured])].slice(0, endpointsMax);
    const preferred = this.#preferred.shift();
    const start = all.indexOf(this.#last) + 1;
    const turn = [...all.slice(start), ...all.slice(0, start)];
    const choice = preferred ?? turn.find((endpoint) => !this.#silent(endpoint, nowMs)) ?? turn[0] ?? '';
    this.#last = choice;
    return choice;
  }

  /** This endpoint does not answer. */
  failed(endpoint: string, nowMs: number): void {
    if (this.#silentUntilMs.size >= endpointsMax * 2) this.#silentUntilMs.clear();
    this.#silentUntilMs.set(endpoint, nowMs + silenceMs);
  }

  /** A START was accepted there; `learned` are the session's own endpoints. */
  succeeded(endpoint: string, learned: readonly string[], nowMs: number): void {
    this.#silentUntilMs.delete(endpoint);
    this.#learned = learned.slice(0, endpointsMax);
    this.#preferred = [];
    this.#redirects = 0;
    this.#last = endpoint;
    this.#succeededMs = nowMs;
  }

  /** A GOAWAY named where to go. */
  prefer(endpoints: readonly string[]): void {
    this.#preferred = endpoints.slice(0, endpointsMax);
  }

  /**
   * @param redirect where the gateway says the session is; followed at once, unless that endpoint is silent or the redirects go on.
   * @param others further endpoints of the same place, for when that one is silent.
   * @returns milliseconds to wait before the next try, at least `retryAfterMs`.
   */
  delayMs(nowMs: number, retryAfterMs: number, redirect: string, others: readonly string[] = []): number {
    const named = redirect === '' ? [] : [...new Set([redirect, ...others])];
    const targets = named.filter((endpoint) => !this.#silent(endpoint, nowMs)).slice(0, endpointsMax);
    if (targets.length > 0 && this.#redirects < redirectsMax) {
      this.#redirects += 1;
      this.#preferred = targets;
      return retryAfterMs;
    }
    if (nowMs - this.#succeededMs >= stableMs) this.#failures = 0;
    this.#succeededMs = Number.POSITIVE_INFINITY;
    const jitterMs = fullJitterMs(this.#failures, this.#options, this.#random);
    this.#failures += 1;
    return retryAfterMs + jitterMs;
  }

  #silent(endpoint: string, nowMs: number): boolean {
    return (this.#silentUntilMs.get(endpoint) ?? 0) > nowMs;
  }
}
