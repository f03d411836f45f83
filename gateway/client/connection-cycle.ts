import type { Error as ServerError } from '../../proto/gen/message.ts';
import { ErrorCode, errorCodeName, nextStep } from '../protocol/error-codes.ts';
import type { ClientEffect, ClientState, StateDetail } from './client-effect.ts';
import { ClosedError, ConnectError, type GatesvrError, noError } from './client-errors.ts';
import { ReconnectPlan } from './reconnect-plan.ts';
import type { ClientSessionOptions, SessionTuning } from './session-options.ts';

export type Phase = 'idle' | 'waiting' | 'token' | 'dialing' | 'starting' | 'live' | 'stopping' | 'closed';

/** Why a connection, or the try to get one, is given up. */
export interface Trouble {
  /** 0: no gateway said anything. */
  readonly code: number;
  readonly reason: string;
  readonly retryAfterMs?: number;
  readonly redirect?: string;
  /** Other endpoints of where it redirects to. */
  readonly others?: readonly string[];
  /** The endpoint said nothing: others are tried first. */
  readonly silent?: boolean;
}

/** Why a START was refused; one without a code is taken as INTERNAL. */
export function startRefusal(error: ServerError | undefined, others: readonly string[] = []): Trouble {
  const { code, message, retryAfterMs, redirect } = error ?? noError;
  const reason = message === '' ? errorCodeName(code) : `${errorCodeName(code)}: ${message}`;
  return { code: code === 0 ? ErrorCode.ERROR_INTERNAL : code, reason, retryAfterMs, redirect, others };
}

/** What the cycle tells its session. */
export interface CycleOwner {
  emit(effect: ClientEffect): void;
  /** A session is held: no proof of the openid is needed. */
  holdsSession(): boolean;
  /** The connection is gone. */
  connectionDropped(): void;
  /** The gateway no longer knows the session; called before the next login is tried. */
  sessionLost(code: number, reason: string): void;
  /** The last call. */
  finished(error: GatesvrError | undefined): void;
}

const never = Number.POSITIVE_INFINITY;

/** From one connection to the next: dial, START, live; after trouble wait and again, until closed. Pure, like the session. */
export class ConnectionCycle {
  readonly plan: ReconnectPlan;
  readonly #owner: CycleOwner;
  readonly #tuning: SessionTuning;
  readonly #asksToken: boolean;
  #phase: Phase = 'idle';
  #endsMs = never;
  #giveUpMs = never;
  #attempt = 0;
  #endpoint = '';
  #everLive = false;
  #last: Trouble = { code: 0, reason: 'no endpoint answered' };

  constructor(options: ClientSessionOptions, owner: CycleOwner) {
    this.#owner = owner;
    this.#tuning = options.tuning;
    this.#asksToken = options.token === 'ask';
    this.plan = new ReconnectPlan(options.endpoints, options.tuning, options.random);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get state(): ClientState {
    if (this.#phase === 'closed') return 'closed';
    if (this.#phase === 'live' || this.#phase === 'stopping') return 'connected';
    return this.#everLive ? 'reconnecting' : 'connecting';
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  get ended(): boolean {
    return this.#phase === 'closed' || this.#phase === 'stopping';
  }

  get dueMs(): number {
    return Math.min(this.#endsMs, this.#giveUpMs);
  }

  open(nowMs: number): void {
    this.#giveUpMs = nowMs + this.#tuning.connectDeadlineMs;
    this.#setState('connecting', {});
    this.#begin(nowMs);
  }

  /** @returns whether this is an answer to the last `token` or `dial` effect. */
  awaits(phase: 'token' | 'dialing', attempt: number): boolean {
    return this.#phase === phase && this.#attempt === attempt;
  }

  dial(nowMs: number): void {
    this.#enter('dialing', nowMs + this.#tuning.connectTimeoutMs);
    this.#owner.emit({ kind: 'dial', attempt: this.#attempt, endpoint: this.#endpoint });
  }

  startSent(nowMs: number): void {
    this.#enter('starting', nowMs + this.#tuning.startTimeoutMs);
  }

  /** @param learned the session's endpoints as the gateway knows them. */
  live(resumed: boolean, learned: readonly string[], nowMs: number): void {
    this.#enter('live', never);
    this.#giveUpMs = never;
    this.#everLive = true;
    this.plan.succeeded(this.#endpoint, learned, nowMs);
    this.#setState('connected', { endpoint: this.#endpoint, resumed });
  }

  stopSent(nowMs: number): void {
    this.#enter('stopping', nowMs + this.#tuning.closeTimeoutMs);
  }

  /** Does what the code's thousands digit asks for (interface, "Error codes"); code 0 is the session's normal end. */
  follow(trouble: Trouble, nowMs: number): void {
    switch (nextStep(trouble.code)) {
      case 'end':
        return this.finish(new ClosedError(0, `the gateway ended the session: ${trouble.reason}`));
      case 'stop':
        return this.finish(this.#terminal(trouble));
      case 'login': {
        const held = this.#owner.holdsSession();
        // A fixed token that has expired will never be taken.
        const hopeless = trouble.code === ErrorCode.ERROR_TOKEN_EXPIRED && !held && !this.#asksToken;
        if (hopeless) return this.finish(this.#terminal(trouble));
        this.#owner.sessionLost(trouble.code, trouble.reason);
        return held ? this.#again({ ...trouble, retryAfterMs: 0 }, 0, nowMs) : this.retry(trouble, nowMs);
      }
      default:
        return this.retry(trouble, nowMs);
    }
  }

  /** Drops what there is, and tries again after a pause with jitter. */
  retry(trouble: Trouble, nowMs: number): void {
    if (trouble.silent === true) this.plan.failed(this.#endpoint, nowMs);
    this.#again(
      trouble,
      this.plan.delayMs(nowMs, trouble.retryAfterMs ?? 0, trouble.redirect ?? '', trouble.others),
      nowMs,
    );
  }

  /** Changes to another connection now; nothing is wrong. */
  move(reason: string, nowMs: number): void {
    this.#again({ code: 0, reason }, 0, nowMs);
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#giveUpMs) return this.#giveUp();
    if (nowMs < this.#endsMs) return;
    switch (this.#phase) {
      case 'waiting':
        return this.#begin(nowMs);
      case 'token':
        return this.retry({ code: 0, reason: 'the token function did not answer in time' }, nowMs);
      case 'dialing':
        return this.retry({ code: 0, reason: `${this.#endpoint} does not answer`, silent: true }, nowMs);
      case 'starting':
        return this.retry({ code: 0, reason: `${this.#endpoint} does not answer START`, silent: true }, nowMs);
      default:
        return this.finish(undefined);
    }
  }

  /** @param error absent when `close()` asked for it. */
  finish(error: GatesvrError | undefined): void {
    if (this.#phase === 'closed') return;
    this.#drop(error?.message ?? 'closed');
    this.#enter('closed', never);
    this.#giveUpMs = never;
    const detail = error === undefined ? {} : { code: error.code, reason: error.message, error };
    this.#setState('closed', detail);
    this.#owner.finished(error);
  }

  #begin(nowMs: number): void {
    this.#attempt += 1;
    this.#endpoint = this.plan.choose(nowMs);
    if (!this.#asksToken || this.#owner.holdsSession()) return this.dial(nowMs);
    this.#enter('token', nowMs + this.#tuning.tokenTimeoutMs);
    this.#owner.emit({ kind: 'token', attempt: this.#attempt });
  }

  #again(trouble: Trouble, delayMs: number, nowMs: number): void {
    this.#drop(trouble.reason);
    this.#last = trouble;
    if (this.#giveUpMs === never) this.#giveUpMs = nowMs + this.#tuning.reconnectDeadlineMs;
    const { code, reason } = trouble;
    this.#setState(this.#everLive ? 'reconnecting' : 'connecting', { delayMs, code, reason, endpoint: this.#endpoint });
    if (delayMs <= 0) return this.#begin(nowMs);
    this.#enter('waiting', nowMs + delayMs);
  }

  #drop(reason: string): void {
    if (
      this.#phase === 'dialing' ||
      this.#phase === 'starting' ||
      this.#phase === 'live' ||
      this.#phase === 'stopping'
    ) {
      this.#owner.emit({ kind: 'disconnect', code: 0, reason });
    }
    this.#owner.connectionDropped();
  }

  #giveUp(): void {
    const { code, reason } = this.#last;
    this.finish(
      new ConnectError(code, this.#everLive ? `could not come back: ${reason}` : `cannot connect: ${reason}`),
    );
  }

  #terminal(trouble: Trouble): GatesvrError {
    return this.#everLive
      ? new ClosedError(trouble.code, trouble.reason)
      : new ConnectError(trouble.code, trouble.reason);
  }

  #enter(phase: Phase, endsMs: number): void {
    this.#phase = phase;
    this.#endsMs = endsMs;
  }

  #setState(state: ClientState, detail: StateDetail): void {
    this.#owner.emit({ kind: 'state', state, detail });
  }
}
