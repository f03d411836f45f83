import type { Buffer } from 'node:buffer';

/** A client's request as the zone's handler sees it. */
export interface ZoneRequest {
  readonly openid: string;
  readonly sessionId: string;
  readonly zoneId: string;
  /** With the session id it names the request: a repeat has the same. */
  readonly clientSeqId: number;
  readonly action: string;
  readonly data: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the gateway's shard; the server has already refused requests of an outdated one. */
  readonly epoch: number;
  readonly shardId: string;
  readonly history: string;
  /** Milliseconds the gateway still waits for the answer. */
  readonly deadlineMs: number;
}

export interface ZoneResponse {
  /** True when absent. */
  readonly success?: boolean;
  /** A string is sent as UTF-8. */
  readonly data?: Uint8Array | string;
  /** For an unsuccessful response. `code` is an ErrorCode of the interface, ZONE_FAILED when absent. */
  readonly error?: { readonly message: string; readonly code?: number; readonly retryAfterMs?: number };
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers one request. What it throws becomes an unsuccessful response with ZONE_FAILED and the message. */
export type ZoneHandler = (request: ZoneRequest) => ZoneResponse | Promise<ZoneResponse>;
