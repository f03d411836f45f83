import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import type { WheelEntry } from './deadline-wheel.ts';
import type { EndpointState } from './endpoint-set.ts';

/** One request of a client on its way to a zone. `data` must not change until the request is done. */
export interface ZoneRequest {
  readonly openid: string;
  readonly sessionId: string;
  readonly zoneId: string;
  /** With the session id the key by which a zone recognises a repeat. */
  readonly clientSeq: number;
  readonly action: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly epoch: number;
  readonly shardId: string;
  readonly history: string;
  /** Instead of the router's own timeout. */
  readonly timeoutMs?: number;
}

/**
 * What became of a request. `answered` is the zone's word, success or not; its `data` shares memory with its batch, so
 * copy what is kept, and its `requestId` is the stream's own and always 0. `failed` is the gateway's word: with `reached`
 * the zone may have carried the request out, without it the zone has not.
 */
export type ZoneOutcome =
  | { readonly kind: 'answered'; readonly response: UpstreamResponse }
  | {
      readonly kind: 'failed';
      readonly code: number;
      readonly message: string;
      readonly retryAfterMs: number;
      readonly reached: boolean;
    };

export type ZoneResult = 'ok' | 'error' | 'timeout' | 'unavailable';

/** A request between its arrival and its outcome. */
export interface PendingRequest extends WheelEntry {
  readonly request: ZoneRequest;
  readonly startedMs: number;
  /** Bytes it counts for in an endpoint's queue. */
  readonly bytes: number;
  /** On the stream it was written to. */
  requestId: number;
  /** Addresses that had their chance. */
  tried: readonly string[];
  /** The endpoint it was given to, and who hears what becomes of it there. */
  state: EndpointState | null;
  owner: RequestOwner | null;
  /** The one call that ends it; null once it has its outcome. */
  done: ((outcome: ZoneOutcome) => void) | null;
  /** Takes it off the link that holds it when its deadline comes. */
  holder: RequestHolder | null;
}

/** Where a pending request waits: a link's queue or a stream's table. */
export interface RequestHolder {
  /** The request's deadline came: let go of it. */
  abandon(pending: PendingRequest): Abandoned;
}

export interface Abandoned {
  /** It had been written: the zone may have carried it out. */
  readonly reached: boolean;
}

/** Hears, once, what became of a request at the endpoint it was given to. */
export interface RequestOwner {
  answered(pending: PendingRequest, response: UpstreamResponse): void;
  /** Never written: it may go elsewhere. */
  unwritten(pending: PendingRequest, why: string): void;
  /** The zone said it did not take it. */
  refused(pending: PendingRequest, why: string): void;
  /** Written, and no answer will come. */
  unknown(pending: PendingRequest, why: string): void;
  /** The zone answered with a gRPC error. */
  broken(pending: PendingRequest, why: string): void;
}
