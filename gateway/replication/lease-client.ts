import { type Arbiter, type ArbiterAnswer, type ArbiterRequest, isNewer, type Lease } from './arbiter.ts';

export type LeasePurpose = 'read' | 'membership' | 'promote' | 'begin';

export interface LeaseClientOptions {
  readonly arbiter: Arbiter;
  readonly timeoutMs: number;
  readonly readIntervalMs: number;
  /** Called with every answer, after the Lease in it was taken in. */
  readonly answered: (purpose: LeasePurpose, answer: ArbiterAnswer) => void;
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
  #nextReadMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;
  #answeredMs = 0;

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

  /** How long the arbiter has not answered at all. */
  get silentMs(): number {
    return this.#nowMs - this.#answeredMs;
  }

  /** Nothing is under way, and what is known is as good as the last answer. */
  get free(): boolean {
    return this.#asked === undefined && !this.#mustRead;
  }

  /** Time passes: a request without an answer gets the outcome unknown; the Lease is read now and then. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#seenMs === Number.POSITIVE_INFINITY) this.#seenMs = nowMs;
    const asked = this.#asked;
    if (asked !== undefined && nowMs - asked.sinceMs >= this.#options.timeoutMs) this.#take(asked, { kind: 'unknown' });
    if (this.#mustRead || nowMs >= this.#nextReadMs) this.read();
  }

  /** Something may have changed: read as soon as nothing else is under way. */
  read(): void {
    this.#mustRead = true;
    if (this.#asked === undefined) this.#ask('read', { kind: 'read' });
  }

  /** Asks for a write; only when `free`. */
  swap(purpose: Exclude<LeasePurpose, 'read'>, request: ArbiterRequest): void {
    if (this.free) this.#ask(purpose, request);
  }

  #ask(purpose: LeasePurpose, request: ArbiterRequest): void {
    const asked: Asked = { purpose, sinceMs: this.#nowMs };
    this.#asked = asked;
    if (purpose === 'read') this.#nextReadMs = this.#nowMs + this.#options.readIntervalMs;
    this.#options.arbiter.ask(request, (answer) => {
      if (this.#asked === asked) this.#take(asked, answer);
    });
  }

  #take(asked: Asked, answer: ArbiterAnswer): void {
    this.#asked = undefined;
    if (answer.kind !== 'unknown') this.#answeredMs = this.#nowMs;
    if (answer.kind === 'lease' || answer.kind === 'swapped') this.#see(answer.lease);
    this.#mustRead = answer.kind === 'conflict' || (answer.kind === 'unknown' && asked.purpose !== 'read');
    if (answer.kind === 'unknown') this.#nextReadMs = this.#nowMs + this.#options.readIntervalMs;
    this.#options.answered(asked.purpose, answer);
  }

  #see(lease: Lease | undefined): void {
    this.#known = true;
    if (lease === undefined) return;
    const sameWrite = lease.epoch === this.#lease?.epoch && lease.revision === this.#lease.revision;
    if (isNewer(lease, this.#lease)) {
      this.#lease = lease;
      // An answer may come long after the last tick, when this process was stopped in between.
      this.#seenMs = Number.POSITIVE_INFINITY;
    } else if (sameWrite && lease.holder === this.#lease?.holder) this.#lease = lease;
  }
}
