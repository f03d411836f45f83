import { systemClock } from '../lib/clock.ts';
import type { ClientTransportOptions, TransportStats } from '../transport/transport.ts';
import { ClientDriver } from './client-driver.ts';
import type { ClientState } from './client-effect.ts';
import type { GatesvrError } from './client-errors.ts';
import { ClientHub, type OpenClientTransport } from './client-hub.ts';
import {
  type ClientOptions,
  checkClientOptions,
  checkRequestOptions,
  type PushHandler,
  type RequestOptions,
  type ResponseWithInfo,
  type SessionResetHandler,
  type StateHandler,
} from './client-options.ts';
import { systemLookup } from './resolve.ts';
import { defaultTuning } from './session-options.ts';

export type { ClientState, SessionReset, StateDetail } from './client-effect.ts';
export {
  ClosedError,
  ConnectError,
  GatesvrError,
  ProtocolViolationError,
  RequestError,
  type RequestOutcome,
  RequestTimeoutError,
  SessionLostError,
} from './client-errors.ts';
export type { OpenClientTransport } from './client-hub.ts';
export type {
  ClientHandlers,
  ClientOptions,
  MessageInfo,
  PushHandler,
  RequestOptions,
  ResponseWithInfo,
  SessionResetHandler,
  StateHandler,
} from './client-options.ts';
export type { SessionTimings, SessionTuning } from './session-options.ts';

export interface HubOptions {
  /** PEM of the trusted authorities; `insecure` skips verification (development only). */
  readonly trust: ClientTransportOptions['trust'];
  /** Opens the transport; the QUIC one when absent. */
  readonly openTransport?: OpenClientTransport;
  /** The gateway's `max_frame_bytes`; default 65536. */
  readonly maxFrameBytes?: number;
  /** QUIC's own idle timeout; default 30000. */
  readonly idleTimeoutMs?: number;
}

export type ConnectOptions = ClientOptions & HubOptions;

const alpn = 'gatesvr/1';
const handshakeTimeoutMs = 10_000;
const shutdownMs = 2_000;
const kib = 1024;
const sendBufferBytes = { low: 64 * kib, high: 256 * kib, hard: 8 * kib * kib };
const receiveBufferBytesMax = 1_024 * kib;
const utf8 = new TextEncoder();

async function openHub(options: HubOptions): Promise<ClientHub> {
  const open = options.openTransport ?? (await import('../transport/choose.ts')).chooseTransport('auto').openClient;
  const transportOptions: ClientTransportOptions = {
    alpn,
    trust: options.trust,
    maxFrameBytes: options.maxFrameBytes ?? defaultTuning.maxFrameBytes,
    idleTimeoutMs: options.idleTimeoutMs ?? 30_000,
    handshakeTimeoutMs,
    sendBufferBytes,
    receiveBufferBytesMax,
  };
  return ClientHub.open(open, transportOptions, systemClock, systemLookup);
}

/** Many clients of one process over one UDP socket, such as those of a load generator or of a server that acts for users. */
export interface GatesvrClientHub {
  /** As `GatesvrClient.connect`; `trust` and the transport are the hub's. */
  connect(options: ClientOptions): Promise<GatesvrClient>;
  /** Sends from a fresh local port from now on; live connections migrate. */
  rebind(): void;
  stats(): TransportStats | undefined;
  /** Ends the transport; clients that are still open lose their connections without STOP. */
  shutdown(): Promise<void>;
}

/** @throws Error when the transport cannot be opened. */
export async function createClientHub(options: HubOptions): Promise<GatesvrClientHub> {
  const hub = await openHub(options);
  return {
    connect: (clientOptions) => GatesvrClient.connectThrough(hub, clientOptions),
    rebind: () => hub.rebind(),
    stats: () => hub.stats(),
    shutdown: () => hub.shutdown(shutdownMs),
  };
}

/**
 * A session with the gateway that outlives its connections: requests are answered once, pushes come once and in order, and
 * what cannot be kept is said. Everything ends in an answer, a push or a typed error.
 */
export class GatesvrClient {
  readonly #driver: ClientDriver;
  readonly #ended: Promise<GatesvrError | undefined>;

  private constructor(driver: ClientDriver, ended: Promise<GatesvrError | undefined>) {
    this.#driver = driver;
    this.#ended = ended;
  }

  /**
   * Connects and logs in. Give `onPush` here or register it in the turn in which this resolves: pushes without a handler are
   * dropped.
   * @throws {ConnectError} with code 0 when no session could be had within `connectDeadlineMs`, or a gateway's refusal;
   *   {TypeError} or {RangeError} for wrong options.
   */
  static async connect(options: ConnectOptions): Promise<GatesvrClient> {
    checkClientOptions(options);
    const hub = await openHub(options);
    return GatesvrClient.#begin(hub, options, () => hub.shutdown(shutdownMs));
  }

  /** What `GatesvrClientHub.connect` does. */
  static async connectThrough(hub: ClientHub, options: ClientOptions): Promise<GatesvrClient> {
    checkClientOptions(options);
    return GatesvrClient.#begin(hub, options, async () => {});
  }

  static async #begin(hub: ClientHub, options: ClientOptions, endHub: () => Promise<void>): Promise<GatesvrClient> {
    const driver = new ClientDriver(hub, options);
    const ended = driver.whenClosed.then(async (error) => {
      await endHub();
      return error;
    });
    try {
      await driver.open();
    } catch (error) {
      await ended;
      throw error;
    }
    return new GatesvrClient(driver, ended);
  }

  get state(): ClientState {
    return this.#driver.session.state;
  }

  /** Empty while there is no session. */
  get sessionId(): string {
    return this.#driver.session.sessionId;
  }

  /** Of the shard, as last heard. */
  get epoch(): number {
    return this.#driver.session.epoch;
  }

  /** Everything up to here was handed to the application, or had expired. */
  get receivedSeqId(): number {
    return this.#driver.session.receivedSeqId;
  }

  /** The "host:port" it is connected to, or tries. */
  get endpoint(): string {
    return this.#driver.session.endpoint;
  }

  /** Requests without an answer yet, waiting ones included. */
  get unansweredRequests(): number {
    return this.#driver.session.unansweredRequests;
  }

  /** Resolves when the client is closed, with what ended it unless `close()` did. */
  get closed(): Promise<GatesvrError | undefined> {
    return this.#ended;
  }

  /**
   * Sends a request to the session's zone. It may be called while the client reconnects; what was sent and not answered is
   * sent again after a resume, under the same number, so that it is carried out once.
   * @throws {RequestError} the zone's error, or a refusal; {RequestTimeoutError}; {SessionLostError}. `outcome` says whether it
   *   may have been carried out.
   */
  async request(action: string, data: Uint8Array | string = '', options: RequestOptions = {}): Promise<Uint8Array> {
    return (await this.requestWithInfo(action, data, options)).data;
  }

  /** As `request`, with the response's headers and number. */
  async requestWithInfo(
    action: string,
    data: Uint8Array | string = '',
    options: RequestOptions = {},
  ): Promise<ResponseWithInfo> {
    checkRequestOptions(options);
    return this.#driver.request(action, typeof data === 'string' ? utf8.encode(data) : data, options);
  }

  /** @returns takes the handler away again. */
  onPush(handler: PushHandler): () => void {
    return register(this.#driver.pushHandlers, handler);
  }

  /** @returns takes the handler away again. */
  onStateChange(handler: StateHandler): () => void {
    return register(this.#driver.stateHandlers, handler);
  }

  /** The gateway no longer knew the session: pushes may be missing, and a new session is made. @returns takes the handler away again. */
  onSessionReset(handler: SessionResetHandler): () => void {
    return register(this.#driver.resetHandlers, handler);
  }

  /** Leaves the connection and resumes on a new one, such as after a change of networks. */
  reconnect(): void {
    this.#driver.reconnect();
  }

  /** Ends the session with STOP and waits for the gateway's close, at most `closeTimeoutMs`. Open requests fail. */
  async close(): Promise<void> {
    await this.#driver.close();
    await this.#ended;
  }
}

function register<T>(handlers: Set<T>, handler: T): () => void {
  handlers.add(handler);
  return () => {
    handlers.delete(handler);
  };
}
