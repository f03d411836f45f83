import { Buffer } from 'node:buffer';
import {
  type BroadcastPushRequest,
  type BroadcastPushResponse,
  PushLevel,
  PushOrder,
  PushStatus,
  type UnicastPushRequest,
  type UnicastPushResponse,
} from '../../proto/gen/upstream.ts';
import { PushError, type PushFailure } from './errors.ts';

/** Whom a push is for: an openid, or a session, or both, which then must belong together. */
export type PushTarget = string | { readonly openid?: string; readonly sessionId?: string };

/** How safe a push is when its result comes: see "The promise" of the gateway. */
export type PushLevelName = 'queued' | 'committed-degraded' | 'committed' | 'acked';

export interface PushOptions {
  /** Names the push so that a repeat is recognised; made up when absent. */
  readonly pushId?: string;
  /** The client's request this push belongs to. */
  readonly bindClientSeqId?: number;
  /** Where it goes relative to the response of the request it is bound to; immediate when absent. */
  readonly order?: 'immediate' | 'before-response' | 'after-response';
  /** The level to wait for; the gateway's own when absent. */
  readonly level?: PushLevelName;
  /** How long it may wait in the session's queue; 0 or absent: for ever. */
  readonly ttlMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BroadcastOptions {
  readonly pushId?: string;
  readonly level?: PushLevelName;
  readonly ttlMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Only sessions of these zones; all when absent. */
  readonly zoneIds?: readonly string[];
  /** Only these users; all when absent. */
  readonly openids?: readonly string[];
}

export interface PushResult {
  readonly pushId: string;
  /** The session's number of it; 0 while it waits for the response it is bound to. */
  readonly seqId: number;
  readonly epoch: number;
  readonly level: PushLevelName;
}

/** What one pair of a fleet did. */
export interface PairResult {
  readonly pairId: string;
  readonly matched: number;
  readonly accepted: number;
}

export interface BroadcastResult {
  readonly pushId: string;
  /** Sessions it was meant for. */
  readonly matched: number;
  /** Sessions whose queue took it. */
  readonly accepted: number;
  readonly epoch: number;
  readonly level: PushLevelName;
  /** Of each pair; empty when there is no fleet. */
  readonly pairs: readonly PairResult[];
}

const levels: Readonly<Record<PushLevelName, PushLevel>> = {
  queued: PushLevel.PUSH_LEVEL_QUEUED,
  'committed-degraded': PushLevel.PUSH_LEVEL_COMMITTED_DEGRADED,
  committed: PushLevel.PUSH_LEVEL_COMMITTED,
  acked: PushLevel.PUSH_LEVEL_ACKED,
};
const levelNames = new Map<number, PushLevelName>(
  (Object.keys(levels) as PushLevelName[]).map((name) => [levels[name], name]),
);
const orders = {
  immediate: PushOrder.PUSH_ORDER_IMMEDIATE,
  'before-response': PushOrder.PUSH_ORDER_BEFORE_RESPONSE,
  'after-response': PushOrder.PUSH_ORDER_AFTER_RESPONSE,
} as const;
const failures = new Map<number, PushFailure>([
  [PushStatus.PUSH_STATUS_NO_SESSION, 'no-session'],
  [PushStatus.PUSH_STATUS_QUEUE_FULL, 'queue-full'],
  [PushStatus.PUSH_STATUS_TOO_LARGE, 'too-large'],
  [PushStatus.PUSH_STATUS_EXPIRED, 'expired'],
  [PushStatus.PUSH_STATUS_NOT_PRIMARY, 'not-primary'],
  [PushStatus.PUSH_STATUS_OVERLOADED, 'overloaded'],
  [PushStatus.PUSH_STATUS_INVALID, 'invalid'],
]);

export function unicastRequest(
  target: PushTarget,
  data: Uint8Array | string,
  options: PushOptions,
  pushId: string,
): UnicastPushRequest {
  const { openid = '', sessionId = '' } = typeof target === 'string' ? { openid: target } : target;
  return {
    pushId,
    openid,
    sessionId,
    data: bytesOf(data),
    headers: { ...options.headers },
    bindClientSeqId: BigInt(options.bindClientSeqId ?? 0),
    order: orders[options.order ?? 'immediate'],
    level: options.level === undefined ? PushLevel.PUSH_LEVEL_UNSPECIFIED : levels[options.level],
    ttlMs: options.ttlMs ?? 0,
  };
}

export function broadcastRequest(
  data: Uint8Array | string,
  options: BroadcastOptions,
  pushId: string,
): BroadcastPushRequest {
  return {
    pushId,
    data: bytesOf(data),
    headers: { ...options.headers },
    level: options.level === undefined ? PushLevel.PUSH_LEVEL_UNSPECIFIED : levels[options.level],
    ttlMs: options.ttlMs ?? 0,
    zoneIds: [...(options.zoneIds ?? [])],
    openids: [...(options.openids ?? [])],
  };
}

export function pushResult(pushId: string, response: UnicastPushResponse): PushResult | PushError {
  if (response.status !== PushStatus.PUSH_STATUS_OK) return refusal(pushId, response);
  const level = levelNames.get(response.level) ?? 'queued';
  return { pushId, seqId: Number(response.seqId), epoch: Number(response.epoch), level };
}

export function broadcastResult(pushId: string, response: BroadcastPushResponse): BroadcastResult | PushError {
  if (response.status !== PushStatus.PUSH_STATUS_OK) return refusal(pushId, response);
  const { matched, accepted } = response;
  return {
    pushId,
    matched,
    accepted,
    epoch: Number(response.epoch),
    level: levelNames.get(response.level) ?? 'queued',
    pairs: response.pairs,
  };
}

function refusal(pushId: string, response: UnicastPushResponse | BroadcastPushResponse): PushError {
  const failed = 'pairs' in response ? failedPairs(response) : '';
  const { message = failed || 'the gateway refused it', retryAfterMs = 0 } = response.error ?? {};
  return new PushError(failures.get(response.status) ?? 'unknown', pushId, message, retryAfterMs);
}

/** Which pairs of a fleet did not take a broadcast; the others did. */
function failedPairs({ pairs }: BroadcastPushResponse): string {
  const failed = pairs.filter(({ status }) => status !== PushStatus.PUSH_STATUS_OK);
  return failed.map(({ pairId, status }) => `${pairId}: ${failures.get(status) ?? 'unknown'}`).join(', ');
}

function bytesOf(data: Uint8Array | string): Buffer {
  return typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
