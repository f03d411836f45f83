/** What an API server can do wrong. */
export type Failure =
  /** Answers with this status. */
  | { readonly do: 'status'; readonly status: number; readonly retryAfterSeconds?: number }
  /** Takes the request and never answers. */
  | { readonly do: 'hang' }
  /** Closes the connection without an answer. */
  | { readonly do: 'reset' }
  /** Does what was asked, then closes the connection without an answer. */
  | { readonly do: 'lose-answer' }
  | { readonly do: 'slow'; readonly delayMs: number }
  /** A watch: breaks off within an event, after this many whole ones. */
  | { readonly do: 'cut'; readonly afterEvents: number }
  /** A watch: an ERROR event with this status, after this many others. */
  | { readonly do: 'error-event'; readonly status: number; readonly afterEvents: number }
  /** A watch: begins, and then says nothing ever, bookmarks neither. */
  | { readonly do: 'silent' };

export type RequestVerb = 'get' | 'list' | 'watch' | 'create' | 'replace' | 'patch' | 'delete';

export type Fault = Failure & {
  /** Any when absent. */
  readonly verbs?: readonly RequestVerb[];
  /** Any when absent; for example "leases". */
  readonly plural?: string;
  /** How many requests it hits; all when absent. */
  readonly times?: number;
};

/** The faults that are still to happen. */
export class Faults {
  #pending: { readonly fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.#pending.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#pending.length = 0;
  }

  /** The first that fits this request. */
  take(verb: RequestVerb, plural: string): Failure | undefined {
    const fits = ({ fault }: { fault: Fault }) =>
      (fault.verbs?.includes(verb) ?? true) && (fault.plural === undefined || fault.plural === plural);
    const found = this.#pending.find(fits);
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#pending.splice(this.#pending.indexOf(found), 1);
    return found.fault;
  }
}
