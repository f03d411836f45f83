import { errorMessage } from '../lib/errors.ts';
import type { CloseCause, ConnectionId } from '../transport/transport.ts';
import type { ClientEffect, ClientState, StateDetail } from './client-effect.ts';
import { ClosedError, ConnectError, type GatesvrError } from './client-errors.ts';
import type { ClientHub, ConnectionOwner, HubMember } from './client-hub.ts';
import {
  type ClientOptions,
  type PushHandler,
  type RequestOptions,
  type ResponseWithInfo,
  type SessionResetHandler,
  type StateHandler,
  tuningOf,
} from './client-options.ts';
import { ClientSession } from './client-session.ts';
import { Dial } from './dial.ts';

type Waiter = PromiseWithResolvers<ResponseWithInfo>;
type Push = Extract<ClientEffect, { kind: 'push' }>;

const requestTimeoutDefaultMs = 10_000;
const noHeaders: Readonly<Record<string, string>> = {};

/** Carries out what one client's session wants: dials, sends, calls the application. */
export class ClientDriver implements ConnectionOwner, HubMember {
  wakeMs = Number.POSITIVE_INFINITY;
  wakeIndex = -1;
  readonly session: ClientSession;
  readonly pushHandlers = new Set<PushHandler>();
  readonly stateHandlers = new Set<StateHandler>();
  readonly resetHandlers = new Set<SessionResetHandler>();
  /** Resolves when the client is closed, with what ended it if `close()` did not. */
  readonly whenClosed: Promise<GatesvrError | undefined>;
  readonly #hub: ClientHub;
  readonly #options: ClientOptions;
  readonly #waiters = new Map<number, Waiter>();
  readonly #connected: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #ended: PromiseWithResolvers<GatesvrError | undefined> = Promise.withResolvers();
  #connection: ConnectionId | undefined;
  #dial: Dial | undefined;
  #nextRequestId = 1;
  #settleQueued = false;
  /** What the application is not told yet. */
  readonly #news: ClientEffect[] = [];
  #tellQueued = false;

  constructor(hub: ClientHub, options: ClientOptions) {
    this.#hub = hub;
    this.#options = options;
    this.whenClosed = this.#ended.promise;
    if (options.onPush !== undefined) this.pushHandlers.add(options.onPush);
    if (options.onStateChange !== undefined) this.stateHandlers.add(options.onStateChange);
    if (options.onSessionReset !== undefined) this.resetHandlers.add(options.onSessionReset);
    this.session = new ClientSession({
      openid: options.openid,
      clientId: options.clientId ?? '',
      endpoints: options.endpoints,
      token: typeof options.token === 'function' ? 'ask' : { value: options.token ?? '' },
      tuning: tuningOf(options),
      random: Math.random,
    });
  }

  /** @throws {ConnectError} */
  open(): Promise<void> {
    this.#hub.add(this);
    this.session.open(this.#nowMs());
    this.#settleSoon();
    return this.#connected.promise;
  }

  request(action: string, data: Uint8Array, options: RequestOptions): Promise<ResponseWithInfo> {
    const waiter: Waiter = Promise.withResolvers();
    const id = this.#nextRequestId;
    this.#nextRequestId += 1;
    this.#waiters.set(id, waiter);
    const given = options.headers ?? noHeaders;
    const headers = options.priority === 'high' ? { ...given, priority: 'high' } : given;
    const timeoutMs = options.timeoutMs ?? requestTimeoutDefaultMs;
    this.session.request({ id, action, data, headers, timeoutMs, retry: options.retry ?? true }, this.#nowMs());
    this.#settleSoon();
    return waiter.promise;
  }

  reconnect(): void {
    this.session.reconnect(this.#nowMs());
    this.#settleSoon();
  }

  close(): Promise<GatesvrError | undefined> {
    this.session.close(this.#nowMs());
    this.#settleSoon();
    return this.whenClosed;
  }

  opened(): void {}

  frame(_connection: ConnectionId, frame: Uint8Array): void {
    this.session.frameReceived(frame, this.#nowMs());
    this.#settleSoon();
  }

  writable(): void {
    this.session.writable(this.#nowMs());
    this.#settleSoon();
  }

  /** Of ConnectionOwner: the connection is gone. */
  closed(_connection: ConnectionId, cause: CloseCause): void {
    this.#connection = undefined;
    this.session.connectionClosed(cause, this.#nowMs());
    this.#settleSoon();
  }

  abandon(): void {
    this.session.abandon();
    this.#settleSoon();
  }

  tick(nowMs: number): void {
    this.session.tick(nowMs);
  }

  settle(nowMs: number): void {
    this.#settleQueued = false;
    this.session.batchEnded(nowMs);
    for (let effects = this.session.takeEffects(); effects.length > 0; effects = this.session.takeEffects()) {
      for (const effect of effects) if (!this.#perform(effect)) this.#news.push(effect);
      this.#tell();
    }
    if (this.session.state === 'closed') this.#hub.remove(this);
    else this.#hub.schedule(this, this.session.dueMs);
  }

  #nowMs(): number {
    return this.#hub.clock.nowMs();
  }

  #settleSoon(): void {
    if (this.#settleQueued) return;
    this.#settleQueued = true;
    this.#hub.settleSoon(this);
  }

  /** @returns false for what the application is told. */
  #perform(effect: ClientEffect): boolean {
    switch (effect.kind) {
      case 'send':
        if (this.#connection !== undefined && !this.#hub.send(this.#connection, effect.frame)) this.session.blocked();
        return true;
      case 'token':
        this.#askToken(effect.attempt);
        return true;
      case 'dial':
        this.#startDial(effect.attempt, effect.endpoint);
        return true;
      case 'disconnect':
        this.#disconnect(effect.code, effect.reason);
        return true;
      default:
        return false;
    }
  }

  /**
   * Tells the application in order. Who waits for a promise goes on before anything that follows is told: a push bound behind
   * a response is seen behind it, and whoever waits for `connect` can register a handler.
   */
  #tell(): void {
    if (this.#tellQueued) return;
    let told = 0;
    let awaited = false;
    for (const effect of this.#news) {
      const answers = effect.kind === 'answer' || effect.kind === 'fail';
      if (awaited && !answers) {
        this.#tellQueued = true;
        queueMicrotask(() => process.nextTick(() => this.#tellAgain()));
        break;
      }
      told += 1;
      awaited = this.#tellOne(effect) || awaited;
    }
    this.#news.splice(0, told);
  }

  /** A tick that is queued by a microtask runs when all microtasks have. */
  #tellAgain(): void {
    this.#tellQueued = false;
    this.#tell();
    this.#settleSoon();
  }

  /** @returns whether somebody waits for this. */
  #tellOne(effect: ClientEffect): boolean {
    switch (effect.kind) {
      case 'push':
        this.#deliver(effect);
        return false;
      case 'answer': {
        const { data, headers, seqId } = effect;
        this.#takeWaiter(effect.id)?.resolve({ data, info: { headers, seqId } });
        return true;
      }
      case 'fail':
        this.#takeWaiter(effect.id)?.reject(effect.error);
        return true;
      case 'state':
        this.#changeState(effect.state, effect.detail);
        return effect.state === 'connected';
      case 'reset':
        for (const handler of this.resetHandlers) this.#guarded(() => handler(effect.reset));
        return false;
      case 'warning':
        this.#options.onWarning?.(effect.error);
        return false;
      default:
        return false;
    }
  }

  #takeWaiter(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    return waiter;
  }

  #deliver(push: Push): void {
    for (const handler of this.pushHandlers) {
      this.#guarded(() => handler(push.data, { headers: push.headers, seqId: push.seqId }));
    }
  }

  /** A handler's mistake is the application's: it must not stop the session. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (this.#options.onWarning === undefined) queueMicrotask(() => Promise.reject(error));
      else this.#options.onWarning(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #askToken(attempt: number): void {
    const { token } = this.#options;
    if (typeof token !== 'function') return;
    const failed = (error: unknown): void => {
      this.session.attemptFailed(attempt, `token: ${errorMessage(error)}`, this.#nowMs());
      this.#settleSoon();
    };
    // In a promise, so that a function that throws is one that failed.
    Promise.resolve()
      .then(token)
      .then((value) => {
        this.session.tokenReady(attempt, value, this.#nowMs());
        this.#settleSoon();
      })
      .catch(failed);
  }

  #startDial(attempt: number, endpoint: string): void {
    this.#dial = new Dial(this.#hub, endpoint, this.#options.serverName ?? '', {
      opened: (connection) => {
        this.#dial = undefined;
        this.#connection = connection;
        this.#hub.handOver(connection, this);
        this.session.connectionOpened(attempt, this.#nowMs());
        this.#settleSoon();
      },
      failed: (reason) => {
        this.#dial = undefined;
        this.session.attemptFailed(attempt, `${endpoint}: ${reason}`, this.#nowMs());
        this.#settleSoon();
      },
    });
  }

  #disconnect(code: number, reason: string): void {
    this.#dial?.cancel();
    this.#dial = undefined;
    if (this.#connection !== undefined) this.#hub.close(this.#connection, code, reason);
    this.#connection = undefined;
  }

  #changeState(state: ClientState, detail: StateDetail): void {
    if (state === 'connected') this.#connected.resolve();
    for (const handler of this.stateHandlers) this.#guarded(() => handler(state, detail));
    if (state !== 'closed') return;
    const error = detail.error ?? new ClosedError(0, 'closed before it was connected');
    this.#connected.reject(error instanceof ConnectError ? error : new ConnectError(error.code, error.message));
    this.#ended.resolve(detail.error);
  }
}
