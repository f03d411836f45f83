import type { Buffer } from 'node:buffer';
import { type Client, Metadata, status } from '@grpc/grpc-js';
import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import { errorMessage } from '../lib/errors.ts';
import { decodeExchangeResponse, type ExchangeEncoder } from './exchange-codec.ts';
import type { Abandoned, PendingRequest, RequestHolder } from './zone-request.ts';

const exchangePath = '/gatesvr.v1.UpstreamService/Exchange';
/** Ids start over long after the request that had one is gone; they stay small integers. */
const requestIdMax = 0x3fff_ffff;

type Call = ReturnType<ReturnType<Client['getChannel']>['createCall']>;

export interface StreamEnd {
  readonly code: number;
  readonly details: string;
  /** The zone does not have Exchange: nothing that was written reached it. */
  readonly unimplemented: boolean;
  /** Written and not answered. */
  readonly unanswered: readonly PendingRequest[];
}

export interface StreamEvents {
  answered(pending: PendingRequest, response: UpstreamResponse): void;
  /** A written request's deadline came. */
  abandoned(pending: PendingRequest): void;
  /** The last write was taken by the connection: write on. */
  writable(stream: ExchangeStream): void;
  ended(stream: ExchangeStream, end: StreamEnd): void;
}

/**
 * One `Exchange` call: batches out, answers in, matched by request id. It goes below grpc-js' stream objects, and has one
 * write outstanding at a time: what gathers meanwhile is the next batch, and HTTP/2 flow control holds it back.
 */
export class ExchangeStream implements RequestHolder {
  #call: Call;
  #events: StreamEvents;
  /** Of the last answer: the next one is likely of the same zone. */
  #zoneHint = '';
  #table = new Map<number, PendingRequest>();
  #lastId = 0;
  #writing = false;
  #anyAnswer = false;
  #over = false;

  constructor(client: Client, events: StreamEvents) {
    this.#events = events;
    this.#call = client.getChannel().createCall(exchangePath, Number.POSITIVE_INFINITY, null, null, null);
    this.#call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: (bytes: Buffer) => this.#received(bytes),
      onReceiveStatus: (end) => this.#ended(end.code, end.details),
    });
    this.#call.startRead();
  }

  /** A batch can be written now. */
  get writable(): boolean {
    return !this.#writing && !this.#over;
  }

  get unanswered(): number {
    return this.#table.size;
  }

  /** Adds one request to the batch that `send` writes. */
  add(encoder: ExchangeEncoder, pending: PendingRequest, nowMs: number): void {
    this.#lastId = this.#lastId >= requestIdMax ? 1 : this.#lastId + 1;
    pending.requestId = this.#lastId;
    pending.holder = this;
    this.#table.set(pending.requestId, pending);
    encoder.add(pending.request, pending.requestId, Math.max(1, Math.round(pending.deadlineMs - nowMs)));
  }

  send(encoder: ExchangeEncoder): void {
    this.#writing = true;
    const written = (): void => {
      this.#writing = false;
      if (!this.#over) this.#events.writable(this);
    };
    this.#call.sendMessageWithContext({ callback: written }, encoder.take());
  }

  abandon(pending: PendingRequest): Abandoned {
    this.#table.delete(pending.requestId);
    this.#events.abandoned(pending);
    return { reached: true };
  }

  /** Ends the stream; `ended` follows with what is unanswered. */
  cancel(reason: string): void {
    this.#call.cancelWithStatus(status.CANCELLED, reason);
  }

  #received(bytes: Buffer): void {
    this.#anyAnswer = true;
    const answers: { id: number; response: UpstreamResponse }[] = [];
    try {
      decodeExchangeResponse(bytes, this.#zoneHint, (id, response) => answers.push({ id, response }));
    } catch (thrown) {
      this.#call.cancelWithStatus(status.INTERNAL, errorMessage(thrown));
      return;
    }
    this.#zoneHint = answers.at(-1)?.response.zoneId ?? '';
    for (const { id, response } of answers) {
      const pending = this.#table.get(id);
      if (pending === undefined) continue;
      this.#table.delete(id);
      this.#events.answered(pending, response);
    }
    this.#call.startRead();
  }

  #ended(code: number, details: string): void {
    if (this.#over) return;
    this.#over = true;
    const unanswered = [...this.#table.values()];
    this.#table.clear();
    const unimplemented = code === status.UNIMPLEMENTED && !this.#anyAnswer;
    this.#events.ended(this, { code, details, unimplemented, unanswered });
  }
}
