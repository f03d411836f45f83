import { ErrorCode, nextStep } from '../protocol/error-codes.ts';
import { encodeBusiness } from './client-codec.ts';
import { RequestError, RequestTimeoutError, SessionLostError } from './client-errors.ts';
import { fullJitterMs } from './reconnect-plan.ts';

export interface RequestLimits {
  readonly openRequestsMax: number;
  readonly waitingRequestsMax: number;
  readonly waitingBytesMax: number;
  readonly maxFrameBytes: number;
}

export interface NewRequest {
  readonly id: number;
  readonly action: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Try again when the gateway refuses for now; otherwise the refusal is the result. */
  readonly retry: boolean;
}

export interface RequestFailure {
  readonly id: number;
  readonly error: Error;
}

interface Entry extends NewRequest {
  readonly deadlineMs: number;
  seqId: number;
  /** Sent this often, and refused this often: while the two are equal, it reached no zone for certain. */
  sends: number;
  refusals: number;
  onThisConnection: boolean;
  retryAtMs: number;
  lastRefusal: RequestError | undefined;
}

const retryBackoff = { backoffBaseMs: 100, backoffMaxMs: 5_000 };
const frameOverheadBytes = 64;
const never = Number.POSITIVE_INFINITY;

/** Refusals that pass by themselves even where the gateway gives no hint when. */
const passing = new Set<number>([
  ErrorCode.ERROR_OVERLOADED,
  ErrorCode.ERROR_RATE_LIMITED,
  ErrorCode.ERROR_QUEUE_FULL,
  ErrorCode.ERROR_ZONE_UNAVAILABLE,
]);
const lasting = new Set<number>([ErrorCode.ERROR_BAD_MESSAGE, ErrorCode.ERROR_TOO_LARGE]);

function isPassing(code: number, retryAfterMs: number): boolean {
  const step = nextStep(code);
  if (step === 'stay') return passing.has(code) || (retryAfterMs > 0 && !lasting.has(code));
  return step === 'reconnect';
}

function outcomeOf(entry: Entry): 'refused' | 'unknown' {
  return entry.sends > entry.refusals ? 'unknown' : 'refused';
}

function requestBytes(request: NewRequest): number {
  let bytes = request.data.length + request.action.length * 3;
  for (const [key, value] of Object.entries(request.headers)) bytes += (key.length + value.length) * 3 + 8;
  return bytes;
}

/**
 * A client's requests from call to answer. At most `openRequestsMax` are open, and no open number is that far below the highest
 * (rule 6); the rest waits, bounded. A request keeps its number over resumes and refusals, so that it is carried out once.
 */
export class RequestBook {
  readonly #limits: RequestLimits;
  readonly #random: () => number;
  /** By client seq, rising. */
  readonly #open = new Map<number, Entry>();
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  /** Timed out here, but still counted by the gateway until answered or the connection ends. */
  readonly #abandoned = new Set<number>();
  #nextSeqId = 1;
  #dueMs = never;
  #resend = false;

  constructor(limits: RequestLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** The earliest moment at which `tick` may have something to do. */
  get dueMs(): number {
    return this.#dueMs;
  }

  get size(): number {
    return this.#open.size + this.#waiting.length;
  }

  /** @returns why the request cannot be taken, if so. */
  add(request: NewRequest, nowMs: number): RequestError | undefined {
    const bytes = requestBytes(request);
    if (bytes + frameOverheadBytes > this.#limits.maxFrameBytes) {
      const message = `request of ${bytes} bytes is larger than a frame of ${this.#limits.maxFrameBytes}`;
      return new RequestError(ErrorCode.ERROR_TOO_LARGE, message, 'refused');
    }
    if (
      this.#waiting.length >= this.#limits.waitingRequestsMax ||
      this.#waitingBytes + bytes > this.#limits.waitingBytesMax
    ) {
      const message = `${this.#waiting.length} requests of ${this.#waitingBytes} bytes wait already`;
      return new RequestError(ErrorCode.ERROR_QUEUE_FULL, message, 'refused');
    }
    const deadlineMs = nowMs + request.timeoutMs;
    this.#waiting.push({
      ...request,
      deadlineMs,
      seqId: 0,
      sends: 0,
      refusals: 0,
      onThisConnection: false,
      retryAtMs: 0,
      lastRefusal: undefined,
    });
    this.#waitingBytes += bytes;
    this.#dueMs = Math.min(this.#dueMs, deadlineMs);
    return undefined;
  }

  /** A START was accepted: numbers go on above what the session has seen, and everything unanswered is sent again. */
  sessionBegun(maxClientSeq: number): void {
    this.#nextSeqId = Math.max(this.#nextSeqId, maxClientSeq + 1);
    this.#resend = true;
  }

  connectionLost(): void {
    this.#abandoned.clear();
    for (const entry of this.#open.values()) entry.onThisConnection = false;
  }

  /** The numbers mean nothing any more. What reached no zone for certain waits for the next session, the rest fails. */
  sessionLost(code: number): RequestFailure[] {
    const lost: RequestFailure[] = [];
    const kept: Entry[] = [];
    for (const entry of this.#open.values()) {
      if (outcomeOf(entry) === 'unknown') lost.push({ id: entry.id, error: new SessionLostError(code) });
      else kept.push({ ...entry, seqId: 0, sends: 0, refusals: 0, onThisConnection: false });
    }
    for (const entry of kept) this.#waitingBytes += requestBytes(entry);
    this.#waiting = [...kept, ...this.#waiting];
    this.#open.clear();
    this.#abandoned.clear();
    // Numbers are never used again: the next login may find a session of the same id, whose zone remembers the old ones.
    return lost;
  }

  /** Ends all of them, for a client that closes. `error` is asked for each outcome. */
  clear(error: (outcome: 'refused' | 'unknown') => Error): RequestFailure[] {
    const all = [...this.#open.values(), ...this.#waiting];
    this.#open.clear();
    this.#abandoned.clear();
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#dueMs = never;
    return all.map((entry) => ({ id: entry.id, error: error(outcomeOf(entry)) }));
  }

  /** The next frame to send, if any may go now. Taking it means sending it. */
  takeFrame(nowMs: number): Uint8Array | undefined {
    const entry = (this.#resend ? this.#nextUnsent(nowMs) : undefined) ?? this.#admit(nowMs);
    if (entry === undefined) return undefined;
    entry.sends += 1;
    entry.onThisConnection = true;
    return encodeBusiness({ ...entry, msgId: entry.seqId >>> 0 });
  }

  /** @returns the id of the request that this answers; none when it was given up, or made by a process before this one. */
  answered(clientSeqId: number): number | undefined {
    const entry = this.#open.get(clientSeqId);
    this.#open.delete(clientSeqId);
    this.#abandoned.delete(clientSeqId);
    return entry?.id;
  }

  /** PUSH_ERROR: refused before it reached a zone. @returns its failure unless it is tried again later. */
  refused(msgId: number, code: number, message: string, retryAfterMs: number, nowMs: number): RequestFailure[] {
    const entry = this.#byMsgId(msgId);
    if (entry === undefined) return [];
    entry.refusals += 1;
    entry.onThisConnection = false;
    const error = new RequestError(code, message, outcomeOf(entry), retryAfterMs);
    const waitMs = retryAfterMs + fullJitterMs(entry.refusals - 1, retryBackoff, this.#random);
    if (!entry.retry || !isPassing(code, retryAfterMs) || nowMs + waitMs >= entry.deadlineMs) {
      this.#open.delete(entry.seqId);
      return [{ id: entry.id, error }];
    }
    entry.lastRefusal = error;
    entry.retryAtMs = nowMs + waitMs;
    this.#dueMs = Math.min(this.#dueMs, entry.retryAtMs);
    return [];
  }

  /** Fails what is past its deadline and makes due what waited for its next try. */
  tick(nowMs: number): RequestFailure[] {
    if (nowMs < this.#dueMs) return [];
    const failures: RequestFailure[] = [];
    let dueMs = never;
    const look = (entry: Entry): boolean => {
      if (entry.deadlineMs <= nowMs) {
        failures.push({ id: entry.id, error: timeoutOf(entry) });
        return false;
      }
      dueMs = Math.min(dueMs, entry.deadlineMs, entry.retryAtMs > nowMs ? entry.retryAtMs : never);
      if (!entry.onThisConnection && entry.seqId > 0) this.#resend = true;
      return true;
    };
    for (const entry of this.#open.values()) {
      if (look(entry)) continue;
      this.#open.delete(entry.seqId);
      if (entry.onThisConnection) this.#abandoned.add(entry.seqId);
    }
    this.#waiting = this.#waiting.filter(look);
    this.#waitingBytes = this.#waiting.reduce((sum, entry) => sum + requestBytes(entry), 0);
    this.#dueMs = dueMs;
    return failures;
  }

  #byMsgId(msgId: number): Entry | undefined {
    const entry = this.#open.get(msgId);
    if (entry !== undefined) return entry;
    this.#abandoned.delete(msgId);
    for (const [seqId, candidate] of this.#open) if (seqId >>> 0 === msgId) return candidate;
    return undefined;
  }

  #nextUnsent(nowMs: number): Entry | undefined {
    for (const entry of this.#open.values()) if (!entry.onThisConnection && entry.retryAtMs <= nowMs) return entry;
    this.#resend = false;
    return undefined;
  }

  #admit(nowMs: number): Entry | undefined {
    const entry = this.#waiting[0];
    if (entry === undefined || entry.retryAtMs > nowMs) return undefined;
    if (this.#open.size + this.#abandoned.size >= this.#limits.openRequestsMax) return undefined;
    const lowest = this.#open.keys().next();
    if (!lowest.done && this.#nextSeqId - lowest.value >= this.#limits.openRequestsMax) return undefined;
    this.#waiting.shift();
    this.#waitingBytes -= requestBytes(entry);
    entry.seqId = this.#nextSeqId;
    this.#nextSeqId += 1;
    this.#open.set(entry.seqId, entry);
    return entry;
  }
}

function timeoutOf(entry: Entry): RequestError {
  const outcome = outcomeOf(entry);
  return outcome === 'refused' && entry.lastRefusal !== undefined
    ? entry.lastRefusal
    : new RequestTimeoutError(outcome, entry.timeoutMs);
}
