import type { ForwardCall, ForwardResult } from '../../proto/gen/fleet.ts';
import type { Clock } from '../lib/clock.ts';

/**
 * Why a call has no result. unreachable: it was certainly not carried out. unknown: it may have been. overloaded: too many
 * wait already, it was not sent.
 */
export type ForwardFailure = 'unreachable' | 'unknown' | 'overloaded';

export type ForwardOutcome = ForwardResult | ForwardFailure;

export interface LinkEvents {
  readonly results: (results: readonly ForwardResult[]) => void;
  /** It takes more again. */
  readonly writable: () => void;
  /** It is gone; called once, and not after `close`. */
  readonly broken: () => void;
}

/** One stream to one gateway. */
export interface LinkStream {
  /** @returns false when it takes no more until `writable`. */
  send(calls: readonly ForwardCall[]): boolean;
  close(): void;
}

export interface CallOptions {
  readonly timeoutMs: number;
  /** The owner recognises a repeat: it may be sent again when it is not known whether it arrived. */
  readonly repeatable: boolean;
  /** About how large it is. */
  readonly bytes: number;
  readonly done: (outcome: ForwardOutcome) => void;
}

export interface LinkLimits {
  readonly callsMax: number;
  readonly bytesMax: number;
}

export interface PairLinkOptions {
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly dial: (endpoint: string, events: LinkEvents) => LinkStream;
  /** Runs something at the end of this turn. */
  readonly defer: (run: () => void) => void;
  readonly schedule: (delayMs: number, run: () => void) => void;
}

interface Pending {
  readonly call: ForwardCall;
  readonly options: CallOptions;
  readonly deadlineMs: number;
  /** On the stream that is open now. */
  sent: boolean;
  /** On an earlier stream, which broke before it was answered. */
  uncertain: boolean;
}

const batchCallsMax = 512;
const batchBytesMax = 262_144;
const retryMinMs = 50;
const retryMaxMs = 1_000;
const checkMs = 100;

/**
 * The way to one other pair: a stream to one of its gateways, kept open, that goes on to the other gateway when the first
 * one is gone or is not the primary. Calls of a turn travel together; results come in any order.
 */
export class PairLink {
  #options: PairLinkOptions;
  #endpoints: readonly string[];
  #endpoint = '';
  #stream: LinkStream | undefined;
  #streams = 0;
  /** In the order they came. */
  #pending = new Map<bigint, Pending>();
  #unsent: Pending[] = [];
  #bytes = 0;
  #nextId = 1n;
  #blocked = false;
  #flushAsked = false;
  #checking = false;
  #failures = 0;
  #waitUntilMs = 0;
  #closed = false;

  constructor(options: PairLinkOptions) {
    this.#options = options;
    this.#endpoints = options.endpoints;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Changed addresses; the open stream stays if its gateway is still there. */
  setEndpoints(endpoints: readonly string[]): void {
    this.#endpoints = endpoints;
    if (this.#endpoint !== '' && !endpoints.includes(this.#endpoint)) this.#turnTo('');
  }

  /** Calls `options.done` once, later or, when it is refused, at once. */
  call(call: ForwardCall, options: CallOptions): void {
    const { callsMax, bytesMax } = this.#options.limits;
    if (this.#closed) return options.done('unreachable');
    if (this.#pending.size >= callsMax || this.#bytes + options.bytes > bytesMax) return options.done('overloaded');
    const callId = this.#nextId;
    this.#nextId += 1n;
    const pending: Pending = {
      call: { ...call, callId },
      options,
      deadlineMs: this.#options.clock.nowMs() + options.timeoutMs,
      sent: false,
      uncertain: false,
    };
    this.#pending.set(callId, pending);
    this.#bytes += options.bytes;
    this.#unsent.push(pending);
    this.#askFlush();
    this.#askCheck();
  }

  /** Nothing is sent any more; what is open ends. */
  close(): void {
    this.#closed = true;
    this.#dropStream();
    for (const pending of [...this.#pending.values()]) this.#fail(pending);
  }

  #askFlush(): void {
    if (this.#flushAsked) return;
    this.#flushAsked = true;
    this.#options.defer(() => {
      this.#flushAsked = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#closed || this.#unsent.length === 0 || this.#options.clock.nowMs() < this.#waitUntilMs) return;
    if (this.#stream === undefined) this.#connect();
    while (!this.#blocked && this.#unsent.length > 0) {
      const stream = this.#stream;
      if (stream === undefined) return;
      this.#blocked = !stream.send(this.#takeBatch());
    }
  }

  #takeBatch(): ForwardCall[] {
    const calls: ForwardCall[] = [];
    let bytes = 0;
    let taken = 0;
    for (const pending of this.#unsent) {
      if (calls.length >= batchCallsMax || bytes >= batchBytesMax) break;
      taken += 1;
      if (!this.#pending.has(pending.call.callId)) continue;
      bytes += pending.options.bytes;
      pending.sent = true;
      calls.push(pending.call);
    }
    this.#unsent.splice(0, taken);
    return calls;
  }

  #connect(): void {
    if (this.#endpoint === '') this.#endpoint = this.#endpoints[0] ?? '';
    this.#streams += 1;
    const number = this.#streams;
    const ifCurrent = (run: () => void) => () => {
      if (number === this.#streams && this.#stream !== undefined) run();
    };
    this.#blocked = false;
    this.#stream = this.#options.dial(this.#endpoint, {
      results: (results) => ifCurrent(() => this.#answered(results))(),
      writable: ifCurrent(() => {
        this.#blocked = false;
        this.#flush();
      }),
      broken: ifCurrent(() => this.#turnTo('')),
    });
  }

  #answered(results: readonly ForwardResult[]): void {
    let elsewhere: string | undefined;
    for (const result of results) {
      const pending = this.#pending.get(result.callId);
      if (pending === undefined) continue;
      if (result.notPrimary) {
        // Nothing was done there, so what it did before this stream is the only doubt left.
        pending.sent = false;
        elsewhere = result.redirect;
        continue;
      }
      this.#failures = 0;
      this.#settle(pending, result);
    }
    if (elsewhere !== undefined) this.#turnTo(elsewhere);
  }

  /** Leaves this gateway for the one named, or for the next; what was sent and not answered goes again or is unknown. */
  #turnTo(redirect: string): void {
    const last = this.#endpoint;
    this.#dropStream();
    const next = this.#endpoints[(this.#endpoints.indexOf(last) + 1) % Math.max(this.#endpoints.length, 1)] ?? '';
    this.#endpoint = redirect !== '' && redirect !== last ? redirect : next;
    const lost: Pending[] = [];
    for (const pending of this.#pending.values()) {
      pending.uncertain ||= pending.sent;
      if (pending.sent && !pending.options.repeatable) lost.push(pending);
      pending.sent = false;
    }
    for (const pending of lost) this.#fail(pending);
    // All of them in the order they came: pushes to one session keep it.
    this.#unsent = [...this.#pending.values()];
    // The other gateway is asked at once; when it is no better, with a pause.
    const pauseMs = this.#failures === 0 ? 0 : Math.min(retryMinMs * 2 ** Math.min(this.#failures, 10), retryMaxMs);
    this.#failures += 1;
    this.#waitUntilMs = this.#options.clock.nowMs() + pauseMs;
    if (pauseMs === 0) this.#askFlush();
    else this.#options.schedule(pauseMs, () => this.#askFlush());
  }

  #dropStream(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#blocked = false;
    stream?.close();
  }

  #askCheck(): void {
    if (this.#checking || this.#pending.size === 0) return;
    this.#checking = true;
    this.#options.schedule(checkMs, () => {
      this.#checking = false;
      this.#check();
      this.#askCheck();
    });
  }

  #check(): void {
    const nowMs = this.#options.clock.nowMs();
    let silent = false;
    for (const pending of [...this.#pending.values()]) {
      if (pending.deadlineMs > nowMs) continue;
      silent ||= pending.sent;
      this.#fail(pending);
    }
    // A gateway that took a call and says nothing may be stopped or cut off.
    if (silent) this.#turnTo('');
  }

  #fail(pending: Pending): void {
    this.#settle(pending, pending.sent || pending.uncertain ? 'unknown' : 'unreachable');
  }

  #settle(pending: Pending, outcome: ForwardOutcome): void {
    if (!this.#pending.delete(pending.call.callId)) return;
    this.#bytes -= pending.options.bytes;
    pending.options.done(outcome);
  }
}
