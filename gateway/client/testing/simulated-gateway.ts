import {
  AckRequest,
  BusinessRequest,
  ClientRequest,
  ErrorCode,
  Goaway,
  PushType,
  RequestType,
  Error as ServerError,
  ServerPush,
  StartRequest,
  StartResponse,
} from '../../../proto/gen/message.ts';
import { encodeResponseBody } from '../../protocol/codec.ts';

export interface LedgerEntry {
  type: PushType;
  readonly body: Uint8Array;
}

/** What a gateway knows of one session; entry n of the ledger has seq_id n+1 and never changes but into a skip. */
export interface SimulatedSession {
  readonly id: string;
  readonly ledger: LedgerEntry[];
  readonly open: Map<number, string>;
  readonly answered: Map<number, number>;
  maxClientSeq: number;
  ackUpTo: number;
  binding: number;
}

export interface SimulatedConnection {
  readonly up: Uint8Array[];
  readonly down: Uint8Array[];
  session: SimulatedSession | undefined;
  closedWith: number | undefined;
}

/** A small, honest gateway for tests of the client: sessions, numbers, queues and refusals, but no time and no network. */
export class SimulatedGateway {
  readonly sessions = new Map<string, SimulatedSession>();
  /** How often each request's data was carried out. */
  readonly executions = new Map<string, number>();
  /** Requests are refused with these codes first. */
  readonly refusals: number[] = [];
  /** STARTs are answered with these errors first. */
  readonly startErrors: { code: number; redirect?: string; retryAfterMs?: number }[] = [];
  epoch = 10;
  /** The next START is accepted under a lower epoch, as a stale primary would. */
  stale = false;
  acknowledgedBeyond = false;
  /** Pushed to each new session right behind the answer to its START. */
  greeting: string | undefined;
  current: SimulatedSession | undefined;
  #made = 0;

  connect(): SimulatedConnection {
    return { up: [], down: [], session: undefined, closedWith: undefined };
  }

  receive(connection: SimulatedConnection, frame: Uint8Array): void {
    const request = ClientRequest.decode(frame);
    switch (request.type) {
      case RequestType.REQUEST_START:
        return this.#start(connection, StartRequest.decode(request.payload));
      case RequestType.REQUEST_BUSINESS:
        return this.#business(connection, request);
      case RequestType.REQUEST_HEARTBEAT:
        return this.#tell(connection, PushType.PUSH_HEARTBEAT_RESPONSE, new Uint8Array());
      case RequestType.REQUEST_ACK:
        return this.#ack(connection, Number(AckRequest.decode(request.payload).ackUpTo));
      case RequestType.REQUEST_STOP:
        if (connection.session !== undefined) this.sessions.delete(connection.session.id);
        connection.closedWith = 0;
    }
  }

  /** A zone's push. */
  push(connection: SimulatedConnection | undefined, data: string): void {
    const session = this.current;
    if (session === undefined || !this.sessions.has(session.id)) return;
    this.#append(connection, session, PushType.PUSH_NOTIFY, Buffer.from(data));
  }

  /** The zone answers the oldest open request. */
  answer(connection: SimulatedConnection | undefined): void {
    const session = this.current;
    const first = session?.open.entries().next();
    if (session === undefined || first === undefined || first.done) return;
    const [clientSeq, data] = first.value;
    session.open.delete(clientSeq);
    session.answered.set(clientSeq, session.ledger.length + 1);
    const response = encodeResponseBody({ success: true, clientSeq, data: Buffer.from(`re:${data}`) });
    this.#append(connection, session, PushType.PUSH_BUSINESS_RESPONSE, ServerPush.decode(response).payload);
  }

  /** Everything unacknowledged once more, as after an ack timeout. */
  retransmit(connection: SimulatedConnection): void {
    const { session } = connection;
    if (session === undefined) return;
    for (let seqId = session.ackUpTo + 1; seqId <= session.ledger.length; seqId += 1) this.#send(connection, seqId);
  }

  /** The newest notify that the client cannot have seen yet expires. */
  expire(connection: SimulatedConnection | undefined, clientHas: number): void {
    const session = this.current;
    const entry = session?.ledger.at(-1);
    if (session === undefined || entry?.type !== PushType.PUSH_NOTIFY) return;
    const onItsWay = connection?.down.some((frame) => Number(ServerPush.decode(frame).seqId) === session.ledger.length);
    if (session.ledger.length > clientHas && onItsWay !== true) entry.type = PushType.PUSH_SKIP;
  }

  goaway(connection: SimulatedConnection, endpoints: readonly string[], reconnectAfterMs: number): void {
    const goaway = { reason: 'drain', reconnectAfterMs, endpoints: [...endpoints], reconnect: true };
    this.#tell(connection, PushType.PUSH_GOAWAY, Goaway.encode(goaway).finish());
  }

  #start(connection: SimulatedConnection, start: StartRequest): void {
    const error = this.startErrors.shift();
    if (error !== undefined) return this.#failStart(connection, error);
    const place = this.sessions.get(start.sessionId);
    if (start.sessionId !== '' && place === undefined) {
      return this.#failStart(connection, { code: ErrorCode.ERROR_SESSION_NOT_FOUND });
    }
    const received = Number(start.receivedSeqId);
    if (place !== undefined && (received < place.ackUpTo || received > place.ledger.length)) {
      return this.#failStart(connection, { code: ErrorCode.ERROR_RESUME_GAP });
    }
    const session = place ?? this.#newSession();
    session.ackUpTo = received;
    session.binding += 1;
    connection.session = session;
    this.current = session;
    const epoch = this.stale ? this.epoch - 1 : this.epoch;
    this.stale = false;
    this.#tellStart(connection, {
      success: true,
      sessionId: session.id,
      resumed: place !== undefined,
      resumeToken: Buffer.from(`${session.id}/${session.binding}`),
      nextSeqId: BigInt(received + 1),
      maxClientSeq: BigInt(session.maxClientSeq),
      heartbeatIntervalMs: 10_000,
      epoch: BigInt(epoch),
      shardId: 's',
      history: 'h',
    });
    for (let seqId = received + 1; seqId <= session.ledger.length; seqId += 1) this.#send(connection, seqId);
    if (place === undefined && this.greeting !== undefined) this.push(connection, this.greeting);
  }

  #newSession(): SimulatedSession {
    this.#made += 1;
    const id = `session-${this.#made}`;
    const session = { id, ledger: [], open: new Map(), answered: new Map(), maxClientSeq: 0, ackUpTo: 0, binding: 0 };
    this.sessions.set(id, session);
    return session;
  }

  #business(connection: SimulatedConnection, request: ClientRequest): void {
    const { session } = connection;
    if (session === undefined) return;
    const clientSeq = Number(request.seqId);
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return this.#refuse(connection, request.msgId, refusal);
    if (session.open.has(clientSeq)) return;
    const answeredAs = session.answered.get(clientSeq);
    if (answeredAs !== undefined) {
      if (answeredAs > session.ackUpTo) this.#send(connection, answeredAs);
      return;
    }
    if (clientSeq < session.maxClientSeq - 64 || session.open.size >= 64) {
      return this.#refuse(connection, request.msgId, ErrorCode.ERROR_BAD_MESSAGE);
    }
    session.maxClientSeq = Math.max(session.maxClientSeq, clientSeq);
    const data = BusinessRequest.decode(request.payload).data.toString();
    session.open.set(clientSeq, data);
    this.executions.set(data, (this.executions.get(data) ?? 0) + 1);
  }

  #refuse(connection: SimulatedConnection, msgId: number, code: number): void {
    const error = { code: code as ErrorCode, message: 'no', retryAfterMs: 100, redirect: '' };
    this.#tell(connection, PushType.PUSH_ERROR, ServerError.encode(error).finish(), msgId);
  }

  #ack(connection: SimulatedConnection, upTo: number): void {
    const { session } = connection;
    if (session === undefined) return;
    if (upTo > session.ledger.length) this.acknowledgedBeyond = true;
    session.ackUpTo = Math.max(session.ackUpTo, upTo);
  }

  #append(
    connection: SimulatedConnection | undefined,
    session: SimulatedSession,
    type: PushType,
    body: Uint8Array,
  ): void {
    session.ledger.push({ type, body });
    if (connection?.session === session) this.#send(connection, session.ledger.length);
  }

  #send(connection: SimulatedConnection, seqId: number): void {
    const entry = connection.session?.ledger[seqId - 1];
    if (entry === undefined) return;
    const payload = entry.type === PushType.PUSH_SKIP ? Buffer.alloc(0) : Buffer.from(entry.body);
    const push = ServerPush.encode({ msgId: 0, seqId: BigInt(seqId), type: entry.type, payload, headers: {} });
    connection.down.push(push.finish());
  }

  #failStart(
    connection: SimulatedConnection,
    { code, redirect = '', retryAfterMs = 0 }: SimulatedGateway['startErrors'][number],
  ): void {
    const error = { code: code as ErrorCode, message: 'no', retryAfterMs, redirect };
    this.#tellStart(connection, { success: false, error });
    connection.closedWith = code;
  }

  #tellStart(connection: SimulatedConnection, response: Partial<StartResponse>): void {
    const payload = StartResponse.encode(StartResponse.fromPartial(response)).finish();
    this.#tell(connection, PushType.PUSH_START_RESPONSE, payload);
  }

  #tell(connection: SimulatedConnection, type: PushType, payload: Uint8Array, msgId = 0): void {
    const push = { msgId, seqId: 0n, type, payload: Buffer.from(payload), headers: {} };
    connection.down.push(ServerPush.encode(push).finish());
  }
}
