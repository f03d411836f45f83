import { type ClientRequest, RequestType } from '../../proto/gen/message.ts';
import { errorMessage } from '../lib/errors.ts';
import { rateExceeded } from '../overload/client-rates.ts';
import { decodeClientRequest } from '../protocol/client-request.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { CloseCause, ConnectionId, PeerInfo, TransportListener } from '../transport/transport.ts';
import { handleAck } from './ack.ts';
import { handleBusiness } from './business.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { endSession } from './end-session.ts';
import { handleHeartbeat } from './heartbeat.ts';
import { closeConnection, refuse } from './replies.ts';
import { handleStart } from './start.ts';
import { handleStop } from './stop.ts';

/** Of the frames kept while a START is being decided or a client is being slowed. */
const waitingFramesMax = 1_024;
const waitingBytesMax = 262_144;

/** What the transport tells, sorted by what it is and by the state of its connection. */
export class Dispatcher implements TransportListener {
  #context: HandlerContext;

  constructor(context: HandlerContext) {
    this.#context = context;
  }

  connectionOpened(id: ConnectionId, peer: PeerInfo): void {
    const context = this.#context;
    const nowMs = context.clock.nowMs();
    const connection = context.connections.open(id, peer, context.rates.open(peer.address), nowMs);
    const verdict = context.protector.admit(nowMs, 'connect');
    context.protector.connectionOpened();
    if (!verdict.ok) closeConnection(context, connection, ErrorCode.ERROR_TRY_LATER, verdict.reason);
  }

  frameReceived(id: ConnectionId, frame: Uint8Array): void {
    const context = this.#context;
    const connection = context.connections.get(id);
    if (connection === undefined || connection.phase === 'closing') return;
    const nowMs = context.clock.nowMs();
    connection.lastFrameMs = nowMs;
    context.meter.bytes(frame.length, 0);
    const aheadMs = connection.rate.charge(nowMs, frame.length);
    if (aheadMs === rateExceeded) {
      return closeConnection(context, connection, ErrorCode.ERROR_RATE_EXCEEDED, 'more messages or bytes than allowed');
    }
    if (aheadMs > 0 || connection.waiting.length > 0 || connection.phase === 'starting') {
      return this.#hold(connection, frame, aheadMs);
    }
    this.#process(connection, frame);
  }

  peerMoved(id: ConnectionId, peer: PeerInfo): void {
    const connection = this.#context.connections.get(id);
    if (connection !== undefined) connection.peer = peer;
  }

  connectionWritable(id: ConnectionId): void {
    this.#context.delivery.writable(id, this.#context.clock.nowMs());
    this.#context.turn.ask();
  }

  connectionClosed(id: ConnectionId, cause: CloseCause): void {
    const context = this.#context;
    const connection = context.connections.remove(id);
    if (connection === undefined) return;
    context.protector.connectionClosed();
    connection.phase = 'closing';
    context.log.debug({ connection: id, ...cause }, 'connection closed');
    if (connection.sessionId === '') return;
    context.delivery.unbind(id);
    context.shard.submit({ kind: 'detach', sessionId: connection.sessionId, binding: connection.binding });
  }

  batchEnded(): void {
    this.#context.turn.ask();
  }

  #process(connection: ClientConnection, frame: Uint8Array): void {
    if (connection.phase === 'closing') return;
    let request: ClientRequest;
    try {
      request = decodeClientRequest(frame);
    } catch {
      return this.#violated(connection, 'frame: not a ClientRequest');
    }
    if (connection.phase === 'await-start') return this.#first(connection, request);
    this.#next(connection, request);
  }

  /** Keeps a frame until START is decided, or until the client is within its rate again. */
  #hold(connection: ClientConnection, frame: Uint8Array, aheadMs: number): void {
    if (connection.waiting.length >= waitingFramesMax || connection.waitingBytes + frame.length > waitingBytesMax) {
      return closeConnection(this.#context, connection, ErrorCode.ERROR_RATE_EXCEEDED, 'too many messages at once');
    }
    connection.waiting.push(frame.slice());
    connection.waitingBytes += frame.length;
    if (connection.phase !== 'starting' && connection.waiting.length === 1) {
      this.#context.schedule(aheadMs, () => this.#release(connection));
    }
  }

  #release(connection: ClientConnection): void {
    const { waiting } = connection;
    connection.waiting = [];
    connection.waitingBytes = 0;
    for (const frame of waiting) this.#process(connection, frame);
    this.#context.turn.ask();
  }

  #first(connection: ClientConnection, request: ClientRequest): void {
    if (request.type !== RequestType.REQUEST_START) return this.#violated(connection, 'first message: expected START');
    handleStart(this.#context, connection, request, () => this.#release(connection));
  }

  #next(connection: ClientConnection, request: ClientRequest): void {
    const context = this.#context;
    if (request.type === RequestType.REQUEST_START) return this.#violated(connection, 'second START');
    if (!connection.confirmed) {
      connection.confirmed = true;
      context.shard.submit({ kind: 'confirm', sessionId: connection.sessionId, binding: connection.binding });
    }
    if (!this.#admitted(connection, request)) return;
    try {
      this.#handle(connection, request);
    } catch (error) {
      context.log.error({ error: errorMessage(error), type: request.type }, 'handler failed');
      refuse(context, connection, request.msgId, { code: ErrorCode.ERROR_INTERNAL, message: 'internal error' });
    }
  }

  #handle(connection: ClientConnection, request: ClientRequest): void {
    switch (request.type) {
      case RequestType.REQUEST_BUSINESS:
        return handleBusiness(this.#context, connection, request);
      case RequestType.REQUEST_ACK:
        return handleAck(this.#context, connection, request);
      case RequestType.REQUEST_HEARTBEAT:
        return handleHeartbeat(this.#context, connection, request);
      default:
        return handleStop(this.#context, connection);
    }
  }

  /** The rules every message after START obeys: a known type, seq_id 0 on all but BUSINESS. */
  #admitted(connection: ClientConnection, request: ClientRequest): boolean {
    const { type } = request;
    let problem = '';
    if (type < RequestType.REQUEST_STOP || type > RequestType.REQUEST_ACK) problem = `type: ${type}: expected 1 to 5`;
    else if (type !== RequestType.REQUEST_BUSINESS && request.seqId !== 0n) {
      problem = `seq_id: ${request.seqId}: expected 0 on all but BUSINESS`;
    }
    if (problem === '') return true;
    refuse(this.#context, connection, request.msgId, { code: ErrorCode.ERROR_BAD_MESSAGE, message: problem });
    return false;
  }

  #violated(connection: ClientConnection, problem: string): void {
    this.#context.meter.rejected(ErrorCode.ERROR_PROTOCOL);
    if (connection.sessionId === '') closeConnection(this.#context, connection, ErrorCode.ERROR_PROTOCOL, problem);
    else endSession(this.#context, connection, ErrorCode.ERROR_PROTOCOL, problem);
  }
}
