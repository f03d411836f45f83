import {
  ClientRequest,
  PushType,
  RequestType,
  ServerPush,
  StartRequest,
  StartResponse,
} from '../../proto/gen/message.ts';
import { NoneAuthenticator } from '../auth/authenticator.ts';
import { ConnectionTable } from '../handlers/connection.ts';
import type { HandlerContext } from '../handlers/context.ts';
import { Dispatcher } from '../handlers/dispatch.ts';
import { performEffect } from '../handlers/effects.ts';
import { ParkedStarts } from '../handlers/parked-starts.ts';
import { PushWaiters } from '../handlers/push-waiters.ts';
import { Turn } from '../handlers/turn.ts';
import { silentLogger } from '../lib/log.ts';
import { ClientRates } from '../overload/client-rates.ts';
import { defaultOverloadLimits } from '../overload/limits.ts';
import { OverloadProtector } from '../overload/protector.ts';
import { encodePushHead } from '../protocol/codec.ts';
import { SoloShard } from '../replication/solo-shard.ts';
import type { Command } from '../session/command.ts';
import { Delivery, defaultDeliveryLimits } from '../session/delivery.ts';
import type { Effect, Outcome } from '../session/effect.ts';
import { mintResumeToken, verifyResumeToken } from '../session/resume-token.ts';
import { SessionMachine } from '../session/session-machine.ts';
import type { ZoneOutcome, ZoneRequest } from '../upstream/router.ts';

const tokenKey = Buffer.alloc(32, 7);
const zoneCount = 6;

/** A request that reached the scripted zone and waits for the test's answer. */
export interface ZoneCall {
  readonly request: ZoneRequest;
  readonly answer: (outcome: ZoneOutcome) => void;
}

export interface ClosedConnection {
  readonly code: number;
  readonly reason: string;
}

/** The handlers on a virtual clock, with a transport and zones that are played by the test. */
export class HandlerHarness {
  nowMs = 1_000;
  zonesAvailable = true;
  readonly zoneCalls: ZoneCall[] = [];
  readonly sent = new Map<number, ServerPush[]>();
  readonly closed = new Map<number, ClosedConnection>();
  readonly scheduled: { readonly atMs: number; readonly run: () => void }[] = [];
  readonly context: HandlerContext;
  readonly dispatcher: Dispatcher;
  #nextConnection = 1;
  #ids = 0;

  constructor() {
    const sessions = new SessionMachine();
    const client = this.#writer();
    const shard = new SoloShard<Command, Outcome, Effect>({
      id: 's0',
      machine: sessions,
      perform: (effect) => performEffect(this.context, effect),
      incarnation: 'test',
      epoch: 1,
      history: 'h1',
    });
    const delivery = new Delivery({
      sessions,
      commitIndex: () => shard.commitIndex,
      limits: defaultDeliveryLimits,
      port: {
        send: (connection, seqId, msgId, body) => client.send(connection, encodePushHead(msgId, seqId), body),
        close: (connection, code, reason) => client.close(connection, code, reason),
      },
    });
    this.context = {
      clock: { nowMs: () => this.nowMs, wallMs: () => 1_700_000_000_000 + this.nowMs },
      log: silentLogger,
      settings,
      shard,
      sessions,
      delivery,
      router: this.#router(),
      protector: new OverloadProtector({ limits: { ...defaultOverloadLimits, enabled: false }, zoneCount }),
      rates: new ClientRates(rates),
      authenticator: new NoneAuthenticator(),
      tokens: {
        mint: (place) => mintResumeToken(tokenKey, place),
        verify: (token) => verifyResumeToken([tokenKey], token),
      },
      connections: new ConnectionTable(),
      pushWaiters: new PushWaiters(),
      parkedStarts: new ParkedStarts((delayMs, run) => this.scheduled.push({ atMs: this.nowMs + delayMs, run })),
      client,
      meter: { request: () => {}, rejected: () => {}, committed: () => {}, bytes: () => {} },
      turn: new Turn(
        (run) => run(),
        () => {},
      ),
      newId: () => {
        this.#ids += 1;
        return `session-${this.#ids}`;
      },
      schedule: (delayMs, run) => this.scheduled.push({ atMs: this.nowMs + delayMs, run }),
    };
    this.dispatcher = new Dispatcher(this.context);
    shard.submit({ kind: 'promote', epoch: 1, history: 'h1' });
    shard.submit({ kind: 'configure', limits });
  }

  #writer(): HandlerContext['client'] {
    return {
      send: (connection, head, body) => {
        const push = ServerPush.decode(Buffer.concat([head, body ?? new Uint8Array(0)]));
        const pushes = this.sent.get(connection) ?? [];
        this.sent.set(connection, [...pushes, push]);
        return true;
      },
      flush: () => {},
      close: (connection, code, reason) => {
        if (!this.closed.has(connection)) this.closed.set(connection, { code, reason });
      },
    };
  }

  #router(): HandlerContext['router'] {
    return {
      available: () => this.zonesAvailable,
      request: (request, answer) => this.zoneCalls.push({ request, answer }),
      setEndpoints: () => {},
      setTimeoutMs: () => {},
      status: () => new Map(),
      close: () => Promise.resolve(),
    };
  }

  /** A connection whose handshake is done. */
  connect(): number {
    const id = this.#nextConnection;
    this.#nextConnection += 1;
    this.dispatcher.connectionOpened(id, { address: '127.0.0.1', port: 40_000 + id, resumed: false });
    return id;
  }

  send(connection: number, request: Partial<ClientRequest>): void {
    this.dispatcher.frameReceived(connection, ClientRequest.encode(ClientRequest.fromPartial(request)).finish());
  }

  /** Connects and sends START. @returns the connection and the gateway's answer. */
  start(start: Partial<StartRequest>): { connection: number; response: StartResponse } {
    const { connection, answer } = this.tryStart(start);
    const response = answer();
    if (response === undefined) throw new Error('no START response');
    return { connection, response };
  }

  /** As `start`; the answer may come later. */
  tryStart(start: Partial<StartRequest>): { connection: number; answer: () => StartResponse | undefined } {
    const connection = this.connect();
    const payload = Buffer.from(StartRequest.encode(StartRequest.fromPartial(start)).finish());
    this.send(connection, { msgId: 1, type: RequestType.REQUEST_START, payload });
    const answer = () => {
      const push = this.pushes(connection).find(({ type }) => type === PushType.PUSH_START_RESPONSE);
      return push === undefined ? undefined : StartResponse.decode(push.payload);
    };
    return { connection, answer };
  }

  pushes(connection: number): ServerPush[] {
    return this.sent.get(connection) ?? [];
  }

  /** The zone answers the request of this number, counted from 0, with success. */
  answerZone(index: number, text = 'hi'): void {
    const call = this.zoneCalls[index];
    if (call === undefined) throw new Error(`no zone call ${index}`);
    const data = Buffer.from(text);
    call.answer({
      kind: 'answered',
      response: { success: true, data, error: undefined, zoneId: '003', requestId: 1n, headers: {} },
    });
  }

  /** Forgets what was sent so far. */
  clear(): void {
    this.sent.clear();
  }
}

const rates = {
  sessionMessagesPerSecond: 1_000,
  sessionBytesPerSecond: 10_000_000,
  addressMessagesPerSecond: 10_000,
  addressBytesPerSecond: 100_000_000,
  closeAfterMs: 3_000,
  addressesMax: 100,
};

const settings: HandlerContext['settings'] = {
  startTimeoutMs: 5_000,
  idleTimeoutMs: 30_000,
  sessionTimeoutMs: 300_000,
  heartbeatIntervalMs: 10_000,
  resumeWindowMs: 30_000,
  replacedGraceMs: 5_000,
  secondLogin: 'resume',
  maxFrameBytes: 65_536,
  zoneCount,
  zoneLeaseMs: 30_000,
  endpoints: [],
  upstreamEndpoints: [],
};

const limits = {
  sessionsMax: 1_000,
  queueMessagesMax: 256,
  queueBytesMax: 262_144,
  totalQueueBytesMax: 100_000_000,
  openRequestsMax: 64,
  resumeWindowMs: 30_000,
  bindWaitMs: 5_000,
  pushDedupeHorizonMs: 60_000,
  pushDedupeEntriesMax: 1_000,
  producersMax: 10,
};
