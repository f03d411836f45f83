import type { AckOptions } from './receive-guard.ts';
import type { BackoffOptions } from './reconnect-plan.ts';
import type { RequestLimits } from './request-book.ts';

export interface SessionTimings {
  /** For one dial: name lookup, UDP, TLS. */
  readonly connectTimeoutMs: number;
  /** For the answer to START. */
  readonly startTimeoutMs: number;
  /** For the application's token function. */
  readonly tokenTimeoutMs: number;
  /** For the first session, over all endpoints and tries. */
  readonly connectDeadlineMs: number;
  /** For getting back to a session once it was had; Infinity: never give up. */
  readonly reconnectDeadlineMs: number;
  /** How long a heartbeat may stay without any frame from the gateway before the connection counts as dead. */
  readonly heartbeatTimeoutMs: number;
  /** For the gateway's close after STOP. */
  readonly closeTimeoutMs: number;
}

/** All of it has defaults; times in milliseconds. */
export interface SessionTuning extends SessionTimings, RequestLimits, AckOptions, BackoffOptions {}

export const defaultTuning: SessionTuning = {
  connectTimeoutMs: 3_000,
  startTimeoutMs: 5_000,
  tokenTimeoutMs: 10_000,
  connectDeadlineMs: 15_000,
  reconnectDeadlineMs: Number.POSITIVE_INFINITY,
  heartbeatTimeoutMs: 5_000,
  closeTimeoutMs: 2_000,
  openRequestsMax: 64,
  waitingRequestsMax: 1_024,
  waitingBytesMax: 4 * 1024 * 1024,
  maxFrameBytes: 65_536,
  ackMessages: 32,
  ackBytes: 64 * 1024,
  ackDelayMs: 50,
  backoffBaseMs: 250,
  backoffMaxMs: 10_000,
};

export interface ClientSessionOptions {
  readonly openid: string;
  readonly clientId: string;
  /** "host:port", at least one. */
  readonly endpoints: readonly string[];
  /** `ask`: the edge is asked for a proof before each login. */
  readonly token: { readonly value: string } | 'ask';
  readonly tuning: SessionTuning;
  /** 0..1, for jitter only. */
  readonly random: () => number;
}
