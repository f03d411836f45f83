import { type Arbiter, type ArbiterAnswer, type ArbiterRequest, isNewer, type Lease } from './arbiter.ts';

export type LeasePurpose = 'read' | 'membership' | 'promote' | 'begin' | 'restore';

export interface LeaseClientOptions {
  readonly arbiter: Arbiter;
  readonly timeoutMs: number;
  readonly readIntervalMs: number;
  /** As long as the peer is lost, when a decision may come at any moment, and after a read that failed. */
  readonly urgentReadIntervalMs: number;
  /** Called with every answer, after the Lease in it was taken in. */
  readonly answered: (purpose: LeasePurpose, answer: ArbiterAnswer) => void;
}

/**
 * The arbiter no longer has the Lease that was known, nor a later one: it was deleted, or an old one was restored.
 * @property present what is there instead.
 */
export interface MissingLease {
  readonly present: Lease | undefined;
}

interface Asked {
  readonly purpose: LeasePurpose;
  readonly sinceMs: number;
}

/** What a gateway knows of its Lease, and its one request to the arbiter under way. */
export class LeaseClient {
  #options: LeaseClientOptions;
  #lease: Lease | undefined;
  #known = false;
  #seenMs = 0;
  #asked: Asked | undefined;
  #mustRead = true;
  /** Something changed after the request under way was sent. */
  #readAgain = false;
  #missing: MissingLease | undefined;
  #changedMs = 0;
  #beganEpoch = 0;
  #nextReadMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;
  #unansweredSinceMs: number | undefined;

  constructor(options: LeaseClientOptions) {
    this.#options = options;
  }

  /** The newest seen; undefined when there is none, or none is known. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** The arbiter answered at least once. */
  get known(): boolean {
    return this.#known;
  }

  /** A moment after `lease` was first seen; infinite until the tick after that. */
  get seenMs(): number {
    return this.#seenMs;
  }

  /** What is there instead of `lease`; undefined while all is well. */
  get missing(): MissingLease | undefined {
    return this.#missing;
  }

  /** How long nobody has written the Lease, as far as was read here. */
  get unchangedMs(): number {
    return this.#nowMs - this.#changedMs;
  }

  /** Its history was first seen with its epoch: it began then, or before this process looked. */
  get beginsHistory(): boolean {
    return this.#lease !== undefined && this.#lease.epoch === this.#beganEpoch;
  }

  /** How long the arbiter has left requests without an answer. */
  get silentMs(): number {
    return this.#unansweredSinceMs === undefined ? 0 : this.#nowMs - this.#unansweredSinceMs;
  }

  /** Nothing is under way, and what is known is as good as the last answer. */
  get free(): boolean {
    return this.#asked === undefined && !this.#mustRead;
  }

  /** Time passes: a request without an answer gets the outcome unknown; the Lease is read now and then. */
  tick(nowMs: number, urgent = false): void {
    this.#nowMs = nowMs;
    if (urgent) this.#nextReadMs = Math.min(this.#nextReadMs, nowMs + this.#options.urgentReadIntervalMs);
    if (this.#seenMs === Number.POSITIVE_INFINITY) this.#seenMs = nowMs;
    const asked = this.#asked;
    if (asked !== undefined && nowMs - asked.sinceMs >= this.#options.timeoutMs) this.#take(asked, { kind: 'unknown' });
    if (this.#mustRead || nowMs >= this.#nextReadMs) this.read();
  }

  /** Something may have changed: read as soon as nothing else is under way. */
  read(): void {
    this.#mustRead = true;
    if (this.#asked === undefined) this.#ask('read', { kind: 'read' });
    else this.#readAgain = true;
  }

  /** Asks for a write; only when `free`. */
  swap(purpose: Exclude<LeasePurpose, 'read'>, request: ArbiterRequest): void {
    if (this.free) this.#ask(purpose, request);
  }

  #ask(purpose: LeasePurpose, request: ArbiterRequest): void {
    const asked: Asked = { purpose, sinceMs: this.#nowMs };
    this.#asked = asked;
    this.#unansweredSinceMs ??= this.#nowMs;
    if (purpose === 'read') this.#nextReadMs = this.#nowMs + this.#options.readIntervalMs;
    this.#options.arbiter.ask(request, (answer) => {
      if (this.#asked === asked) this.#take(asked, answer);
    });
  }

  #take(asked: Asked, answer: ArbiterAnswer): void {
    this.#asked = undefined;
    if (answer.kind !== 'unknown') this.#unansweredSinceMs = undefined;
    if (answer.kind === 'lease' || answer.kind === 'swapped') this.#see(answer.lease);
    const unsettled = answer.kind === 'conflict' || (answer.kind === 'unknown' && asked.purpose !== 'read');
    const again = this.#readAgain && answer.kind !== 'unknown';
    this.#mustRead = unsettled || this.#readAgain;
    this.#readAgain = false;
    if (answer.kind === 'unknown') this.#nextReadMs = this.#nowMs + this.#options.urgentReadIntervalMs;
    this.#options.answered(asked.purpose, answer);
    if (again && this.#asked === undefined) this.read();
  }

  #see(lease: Lease | undefined): void {
    this.#known = true;
    const known = this.#lease;
    const sameWrite = lease !== undefined && lease.epoch === known?.epoch && lease.revision === known.revision;
    this.#missing = undefined;
    if (lease !== undefined && isNewer(lease, known)) {
      if (lease.history !== known?.history) this.#beganEpoch = lease.epoch;
      this.#lease = lease;
      this.#changedMs = this.#nowMs;
      // An answer may come long after the last tick, when this process was stopped in between.
      this.#seenMs = Number.POSITIVE_INFINITY;
    } else if (sameWrite && lease.holder === known?.holder) this.#lease = lease;
    else if (known !== undefined) this.#missing = { present: lease };
  }
}
