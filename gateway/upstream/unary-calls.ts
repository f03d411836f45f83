import type { Buffer } from 'node:buffer';
import { type Client, type ClientUnaryCall, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import { errorMessage } from '../lib/errors.ts';
import { decodeUpstreamResponse } from './exchange-codec.ts';
import type { Abandoned, PendingRequest, RequestHolder } from './zone-request.ts';

const processPath = '/gatesvr.v1.UpstreamService/ProcessRequest';

/** How a unary call ended; every call ends once, also an abandoned one. */
export interface UnaryEvents {
  answered(pending: PendingRequest, response: UpstreamResponse): void;
  /** The zone itself said UNAVAILABLE. */
  refused(pending: PendingRequest, why: string): void;
  unknown(pending: PendingRequest, why: string): void;
  broken(pending: PendingRequest, why: string): void;
  abandoned(pending: PendingRequest): void;
}

/** The calls of a zone without Exchange: one `ProcessRequest` a request, a bounded number at a time. */
export class UnaryCalls implements RequestHolder {
  #client: Client;
  #openMax: number;
  #events: UnaryEvents;
  #open = new Map<PendingRequest, ClientUnaryCall>();

  constructor(client: Client, openMax: number, events: UnaryEvents) {
    this.#client = client;
    this.#openMax = openMax;
    this.#events = events;
  }

  get writable(): boolean {
    return this.#open.size < this.#openMax;
  }

  send(pending: PendingRequest, bytes: Buffer): void {
    const call = this.#client.makeUnaryRequest(processPath, same, same, bytes, new Metadata(), (error, answer) => {
      if (this.#open.delete(pending)) this.#done(pending, error, answer);
    });
    this.#open.set(pending, call);
    pending.holder = this;
  }

  abandon(pending: PendingRequest): Abandoned {
    const call = this.#open.get(pending);
    this.#open.delete(pending);
    call?.cancel();
    this.#events.abandoned(pending);
    return { reached: true };
  }

  /** Ends every call; each ends as unknown. */
  cancel(reason: string): void {
    const open = [...this.#open];
    this.#open.clear();
    for (const [pending, call] of open) {
      call.cancel();
      this.#events.unknown(pending, reason);
    }
  }

  #done(pending: PendingRequest, error: ServiceError | null, answer: Buffer | undefined): void {
    if (error === null && answer !== undefined) this.#decode(pending, answer);
    else if (error === null || error.code !== status.UNAVAILABLE) {
      this.#events.broken(pending, error?.details ?? 'no answer in the response');
    } else if (Object.keys(error.metadata.getMap()).length > 0) {
      // Only a zone sends trailers; the library's own UNAVAILABLE has none, and then the outcome is unknown.
      this.#events.refused(pending, error.details);
    } else this.#events.unknown(pending, error.details);
  }

  #decode(pending: PendingRequest, answer: Buffer): void {
    let response: UpstreamResponse;
    try {
      response = decodeUpstreamResponse(answer, pending.request.zoneId);
    } catch (thrown) {
      this.#events.broken(pending, errorMessage(thrown));
      return;
    }
    this.#events.answered(pending, response);
  }
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
