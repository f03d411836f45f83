import type { Goaway, Error as ServerError, StartResponse } from '../../proto/gen/message.ts';
import { ErrorCode, errorCodeName } from '../protocol/error-codes.ts';
import type { CloseCause } from '../transport/transport.ts';
import {
  counter,
  decodeServerFrame,
  encodeAck,
  encodeStart,
  heartbeatFrame,
  type ServerMessage,
  stopFrame,
} from './client-codec.ts';
import type { ClientEffect, ClientState } from './client-effect.ts';
import {
  ClosedError,
  closedRequest,
  type GatesvrError,
  ProtocolViolationError,
  RequestError,
  responseError,
} from './client-errors.ts';
import { ConnectionCycle, startRefusal } from './connection-cycle.ts';
import { Liveness } from './liveness.ts';
import { ReceiveGuard } from './receive-guard.ts';
import { type NewRequest, RequestBook, type RequestFailure } from './request-book.ts';
import type { ClientSessionOptions } from './session-options.ts';
import { SessionPlace } from './session-place.ts';

const never = Number.POSITIVE_INFINITY;
/** Clients that are asked to go at the same moment spread over up to this long. */
const moveSpreadMs = 1_000;
const heartbeatDefaultMs = 10_000;

/**
 * One client's side of the protocol (design §3), without sockets, clock or randomness of its own: events come in by the methods,
 * with the monotonic time in milliseconds, and what to do about them goes out by `takeEffects`.
 */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #cycle: ConnectionCycle;
  readonly #book: RequestBook;
  readonly #guard: ReceiveGuard;
  readonly #liveness: Liveness;
  readonly #place = new SessionPlace();
  #effects: ClientEffect[] = [];
  #moveMs = never;
  #token: string;
  #writable = true;
  #ended: GatesvrError | undefined;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.#token = options.token === 'ask' ? '' : options.token.value;
    this.#book = new RequestBook(options.tuning, options.random);
    this.#guard = new ReceiveGuard(options.tuning);
    this.#liveness = new Liveness(options.tuning.heartbeatTimeoutMs);
    this.#cycle = new ConnectionCycle(options, {
      emit: (effect) => this.#effects.push(effect),
      holdsSession: () => this.#place.sessionId !== '',
      connectionDropped: () => this.#connectionDropped(),
      sessionLost: (code, reason) => this.#sessionLost(code, reason),
      finished: (error) => this.#finished(error),
    });
  }

  get state(): ClientState {
    return this.#cycle.state;
  }

  get sessionId(): string {
    return this.#place.sessionId;
  }

  get epoch(): number {
    return this.#place.epoch;
  }

  get receivedSeqId(): number {
    return this.#guard.receivedSeqId;
  }

  get endpoint(): string {
    return this.#cycle.endpoint;
  }

  get unansweredRequests(): number {
    return this.#book.size;
  }

  /** When `tick` wants to be called; earlier or more often does no harm. */
  get dueMs(): number {
    const live = this.#live ? Math.min(this.#moveMs, this.#liveness.dueMs, this.#guard.ackDueMs) : never;
    return Math.min(live, this.#cycle.dueMs, this.#book.dueMs);
  }

  get #live(): boolean {
    return this.#cycle.phase === 'live';
  }

  takeEffects(): ClientEffect[] {
    const effects = this.#effects;
    if (effects.length > 0) this.#effects = [];
    return effects;
  }

  open(nowMs: number): void {
    this.#cycle.open(nowMs);
  }

  tokenReady(attempt: number, token: string, nowMs: number): void {
    if (!this.#cycle.awaits('token', attempt)) return;
    this.#token = token;
    this.#cycle.dial(nowMs);
  }

  connectionOpened(attempt: number, nowMs: number): void {
    if (!this.#cycle.awaits('dialing', attempt)) return;
    this.#cycle.startSent(nowMs);
    this.#writable = true;
    const { openid, clientId } = this.#options;
    const place = this.#place.forStart(this.#guard.receivedSeqId);
    const authToken = place.sessionId === '' ? this.#token : '';
    this.#send(encodeStart({ openid, clientId, authToken, ...place }));
  }

  /** The dial or the token function failed; `reason` is for people. */
  attemptFailed(attempt: number, reason: string, nowMs: number): void {
    const silent = this.#cycle.awaits('dialing', attempt);
    if (silent || this.#cycle.awaits('token', attempt)) this.#cycle.retry({ code: 0, reason, silent }, nowMs);
  }

  /** The connection that `dial` led to is gone; not called for one that was dropped by `disconnect`. */
  connectionClosed(cause: CloseCause, nowMs: number): void {
    if (this.#cycle.phase === 'stopping') return this.#cycle.finish(undefined);
    if (this.#cycle.phase !== 'starting' && !this.#live) return;
    const trouble = { code: cause.code, reason: cause.reason || errorCodeName(cause.code) };
    if (cause.origin === 'peer') this.#cycle.follow(trouble, nowMs);
    else this.#cycle.retry({ code: 0, reason: cause.reason || cause.origin, silent: cause.origin === 'lost' }, nowMs);
  }

  frameReceived(frame: Uint8Array, nowMs: number): void {
    if (this.#cycle.phase !== 'starting' && !this.#live) return;
    this.#liveness.received();
    try {
      this.#handle(decodeServerFrame(frame), frame.length, nowMs);
    } catch (error) {
      this.#violated(`undecodable frame: ${error instanceof Error ? error.message : error}`, nowMs);
    }
  }

  /** Sends what may go. All frames that came together were given: the moment to acknowledge them. */
  batchEnded(nowMs: number): void {
    if (!this.#live || !this.#writable) return;
    const ackUpTo = this.#guard.takeAck(nowMs);
    if (ackUpTo !== undefined) this.#send(encodeAck(ackUpTo));
    for (let frame = this.#book.takeFrame(nowMs); frame !== undefined; frame = this.#book.takeFrame(nowMs)) {
      this.#send(frame);
    }
  }

  /** The transport buffers too much: nothing is sent until `writable`. */
  blocked(): void {
    this.#writable = false;
  }

  writable(nowMs: number): void {
    this.#writable = true;
    this.batchEnded(nowMs);
  }

  /** The answer comes as the effect `answer` or `fail` with the request's id. */
  request(request: NewRequest, nowMs: number): void {
    const error = this.#cycle.ended ? closedRequest(this.#ended, 'refused') : this.#book.add(request, nowMs);
    if (error === undefined) this.batchEnded(nowMs);
    else this.#fail([{ id: request.id, error }]);
  }

  /** Leaves the connection and resumes on a new one, such as after a change of networks. */
  reconnect(nowMs: number): void {
    if (this.#cycle.ended || this.#cycle.phase === 'idle') return;
    this.#cycle.plan.prefer([this.#cycle.endpoint]);
    this.#cycle.move('reconnect asked for', nowMs);
  }

  /** Ends the session with STOP where there is one, and the client in any case. */
  close(nowMs: number): void {
    if (this.#cycle.ended) return;
    if (!this.#live) return this.#cycle.finish(undefined);
    this.#send(stopFrame);
    this.#cycle.stopSent(nowMs);
    this.#fail(this.#book.clear((outcome) => closedRequest(this.#ended, outcome)));
  }

  /** There is no network any more: ends the client without telling the gateway. */
  abandon(): void {
    this.#cycle.finish(new ClosedError(0, 'the hub was shut down'));
  }

  /** Carries out everything that is due. */
  tick(nowMs: number): void {
    this.#fail(this.#book.tick(nowMs));
    if (nowMs >= this.#cycle.dueMs) this.#cycle.tick(nowMs);
    if (!this.#live) return;
    if (nowMs >= this.#moveMs) return this.#cycle.move('the gateway asked to go', nowMs);
    const life = this.#liveness.tick(nowMs);
    if (life === 'dead')
      return this.#cycle.retry({ code: 0, reason: 'a heartbeat got no answer', silent: true }, nowMs);
    if (life === 'beat') this.#send(heartbeatFrame);
    this.batchEnded(nowMs);
  }

  #send(frame: Uint8Array): void {
    this.#effects.push({ kind: 'send', frame });
  }

  #fail(failures: readonly RequestFailure[]): void {
    for (const failure of failures) this.#effects.push({ kind: 'fail', ...failure });
  }

  #handle(message: ServerMessage, bytes: number, nowMs: number): void {
    if (message.kind === 'goaway') return this.#goaway(message.goaway, nowMs);
    if (message.kind === 'error') return this.#refused(message.msgId, message.error, nowMs);
    if (message.kind === 'started' && !this.#live) return this.#answeredStart(message.response, nowMs);
    if (message.kind === 'started' || !this.#live) return this.#violated(`${message.kind} out of place`, nowMs);
    if (message.kind === 'heartbeat') return;
    const { seqId } = message;
    const verdict = this.#guard.accept(seqId, bytes, nowMs);
    if (verdict === 'gap') return this.#violated(`seq_id ${seqId} after ${this.#guard.receivedSeqId}`, nowMs);
    if (verdict === 'repeat' || message.kind === 'skip') return;
    if (message.kind === 'notify') {
      this.#effects.push({ kind: 'push', seqId, data: message.data, headers: message.headers });
      return;
    }
    const { success, data, error, clientSeqId } = message.response;
    const id = this.#book.answered(counter(clientSeqId, 'client_seq_id'));
    if (id === undefined) return;
    if (success) this.#effects.push({ kind: 'answer', id, seqId, data, headers: message.headers });
    else this.#fail([{ id, error: responseError(error) }]);
  }

  #answeredStart(response: StartResponse, nowMs: number): void {
    if (!response.success) return this.#cycle.follow(startRefusal(response.error, response.endpoints), nowMs);
    const nextSeqId = counter(response.nextSeqId, 'next_seq_id');
    const arrival = this.#place.judge(response, this.#guard.receivedSeqId);
    if (nextSeqId === 0 || response.sessionId === '') return this.#violated('START accepted without a session', nowMs);
    if (arrival === 'lower-epoch') {
      return this.#violated(`epoch ${response.epoch} after ${this.#place.epoch}`, nowMs);
    }
    if (arrival !== 'same') {
      this.#sessionLost(ErrorCode.ERROR_SESSION_RESET, 'the gateway began a new session');
      this.#guard.begin(nextSeqId - 1);
    } else {
      this.#guard.begin(this.#guard.receivedSeqId);
    }
    this.#place.take(response);
    this.#book.sessionBegun(counter(response.maxClientSeq, 'max_client_seq'));
    this.#liveness.begin(response.heartbeatIntervalMs || heartbeatDefaultMs, nowMs, this.#options.random());
    this.#cycle.live(response.resumed, response.endpoints, nowMs);
    this.batchEnded(nowMs);
  }

  #goaway(goaway: Goaway, nowMs: number): void {
    if (!goaway.reconnect) return this.#cycle.finish(new ClosedError(ErrorCode.ERROR_REPLACED, goaway.reason));
    this.#cycle.plan.prefer(goaway.endpoints);
    const waitMs = goaway.reconnectAfterMs;
    this.#moveMs = nowMs + waitMs + this.#options.random() * Math.min(waitMs, moveSpreadMs);
  }

  #refused(msgId: number, error: ServerError, nowMs: number): void {
    const { code, message, retryAfterMs } = error;
    if (msgId !== 0) this.#fail(this.#book.refused(msgId, code, message, retryAfterMs, nowMs));
    else this.#effects.push({ kind: 'warning', error: new RequestError(code, message, 'refused', retryAfterMs) });
  }

  #violated(message: string, nowMs: number): void {
    this.#effects.push({ kind: 'warning', error: new ProtocolViolationError(message) });
    this.#cycle.retry({ code: 0, reason: message, silent: true }, nowMs);
  }

  #connectionDropped(): void {
    this.#moveMs = never;
    this.#liveness.end();
    this.#book.connectionLost();
  }

  #sessionLost(code: number, reason: string): void {
    if (this.#place.sessionId === '') return;
    const lost = this.#book.sessionLost(code);
    this.#place.drop();
    this.#guard.begin(0);
    this.#fail(lost);
    const reset = { code, codeName: errorCodeName(code), reason, lostRequests: lost.length };
    this.#effects.push({ kind: 'reset', reset });
  }

  #finished(error: GatesvrError | undefined): void {
    this.#ended = error;
    this.#fail(this.#book.clear((outcome) => closedRequest(this.#ended, outcome)));
  }
}
