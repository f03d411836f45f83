import type { ClientTransport, ConnectionId } from '../../gateway/transport/transport.ts';
import {
  AckRequest,
  BusinessRequest,
  ClientRequest,
  Error as ErrorMessage,
  PushType,
  RequestType,
  ServerPush,
  StartRequest,
  StartResponse,
} from '../../proto/gen/message.ts';

const ackEvery = 8;
const openMax = 64;
const empty = new Uint8Array(0);

/** What became of requests, told as it happens. */
export interface Tally {
  answered(latencyMs: number): void;
  /** @param code why, as an error code of the protocol. */
  refused(code: number): void;
  failed(): void;
}

/** One session of the load: sends when told to, and says what became of it. */
export class LoadClient {
  readonly connection: ConnectionId;
  readonly openid: string;
  started = false;
  writable = true;
  #transport: ClientTransport;
  #tally: Tally;
  #payload: Uint8Array;
  #sentMs = new Map<number, number>();
  #msgId = 0;
  #clientSeq = 0;
  #received = 0;
  #acked = 0;

  constructor(transport: ClientTransport, connection: ConnectionId, openid: string, dataBytes: number, tally: Tally) {
    this.#transport = transport;
    this.connection = connection;
    this.openid = openid;
    this.#tally = tally;
    const business = { action: 'echo', data: Buffer.alloc(dataBytes, 1) };
    this.#payload = BusinessRequest.encode(business).finish();
  }

  get open(): number {
    return this.#sentMs.size;
  }

  /** Whether another request may be sent: the window is not full, and the connection takes bytes. */
  get ready(): boolean {
    return this.started && this.writable && this.#sentMs.size < openMax;
  }

  start(): void {
    const start = StartRequest.fromPartial({ openid: this.openid, clientId: 'load' });
    this.#send(RequestType.REQUEST_START, 0, StartRequest.encode(start).finish());
  }

  request(nowMs: number): void {
    this.#clientSeq += 1;
    this.#send(RequestType.REQUEST_BUSINESS, this.#clientSeq, this.#payload);
    this.#sentMs.set(this.#msgId, nowMs);
  }

  heartbeat(): void {
    this.#send(RequestType.REQUEST_HEARTBEAT, 0, empty);
  }

  received(frame: Uint8Array, nowMs: number): void {
    const push = ServerPush.decode(frame);
    if (push.seqId > 0n) this.#count(Number(push.seqId));
    if (push.type === PushType.PUSH_START_RESPONSE) {
      this.started = StartResponse.decode(push.payload).success;
      return;
    }
    const sentMs = this.#sentMs.get(push.msgId);
    if (sentMs === undefined) return;
    this.#sentMs.delete(push.msgId);
    if (push.type === PushType.PUSH_BUSINESS_RESPONSE) this.#tally.answered(nowMs - sentMs);
    else if (push.type === PushType.PUSH_ERROR) this.#tally.refused(ErrorMessage.decode(push.payload).code);
    else this.#tally.failed();
  }

  #count(seqId: number): void {
    this.#received = Math.max(this.#received, seqId);
    if (this.#received < this.#acked + ackEvery) return;
    this.#acked = this.#received;
    const ack = AckRequest.encode({ ackUpTo: BigInt(this.#received) }).finish();
    this.#send(RequestType.REQUEST_ACK, 0, ack);
  }

  #send(type: RequestType, seqId: number, payload: Uint8Array): void {
    this.#msgId += 1;
    const request = ClientRequest.fromPartial({
      msgId: this.#msgId,
      seqId: BigInt(seqId),
      type,
      payload: Buffer.from(payload),
    });
    this.writable = this.#transport.send(this.connection, ClientRequest.encode(request).finish());
  }
}
