import type { PushLevel as PushLevelValue, PushStatus as PushStatusValue } from '../../proto/gen/upstream.ts';
import {
  type BroadcastPushRequest,
  type BroadcastPushResponse,
  type GroupPushRequest,
  PushLevel,
  PushStatus,
  type UnicastPushRequest,
  type UnicastPushResponse,
} from '../../proto/gen/upstream.ts';
import type { BroadcastRequest, GroupPush, PushRequest } from '../handlers/push.ts';
import { pushIdBytesMax } from '../handlers/push.ts';
import { safeNumber } from '../protocol/codec.ts';
import type { PushIdentity } from '../session/command.ts';
import type { BroadcastOutcome, PushOutcome, PushRefusal } from '../session/effect.ts';

const broadcastListMax = 10_000;
const groupBytesMax = 128;

const statusOf: Readonly<Record<'ok' | PushRefusal, PushStatusValue>> = {
  ok: PushStatus.PUSH_STATUS_OK,
  'no-session': PushStatus.PUSH_STATUS_NO_SESSION,
  'queue-full': PushStatus.PUSH_STATUS_QUEUE_FULL,
  'too-large': PushStatus.PUSH_STATUS_TOO_LARGE,
  overloaded: PushStatus.PUSH_STATUS_OVERLOADED,
  invalid: PushStatus.PUSH_STATUS_INVALID,
  'not-primary': PushStatus.PUSH_STATUS_NOT_PRIMARY,
  expired: PushStatus.PUSH_STATUS_EXPIRED,
  unknown: PushStatus.PUSH_STATUS_UNKNOWN,
};

const orderOf = { 0: 'immediate', 1: 'before', 2: 'after' } as const;

export interface ShardPlace {
  readonly epoch: number;
  readonly shardId: string;
  readonly history: string;
}

/** A wrong request as a sentence, or the request the handlers take. */
export function readUnicast(request: UnicastPushRequest, identity: PushIdentity): PushRequest | string {
  const order = orderOf[request.order as keyof typeof orderOf];
  const bindClientSeq = safeNumber(request.bindClientSeqId);
  if (order === undefined) return `order: ${request.order}: expected 0, 1 or 2`;
  if (bindClientSeq === undefined) return `bind_client_seq_id: ${request.bindClientSeqId}: expected at most 2^53 - 1`;
  if (order !== 'immediate' && bindClientSeq === 0) return 'bind_client_seq_id: 0: expected a request to be bound to';
  if (request.openid === '' && request.sessionId === '') return 'openid: expected openid or session_id';
  if (tooLong(request.pushId)) return `push_id: expected at most ${pushIdBytesMax} bytes`;
  const { openid, sessionId, data, headers, ttlMs } = request;
  return { identity, openid, sessionId, data, headers, bindClientSeq, order, ttlMs };
}

export function readBroadcast(request: BroadcastPushRequest, identity: PushIdentity): BroadcastRequest | string {
  if (tooLong(request.pushId)) return `push_id: expected at most ${pushIdBytesMax} bytes`;
  if (request.openids.length > broadcastListMax) return `openids: expected at most ${broadcastListMax}`;
  const { data, headers, ttlMs, zoneIds, openids } = request;
  return { identity, data, headers, ttlMs, zoneIds, openids };
}

export function readGroupPush(request: GroupPushRequest, identity: PushIdentity): GroupPush | string {
  const problem = groupProblem(request.group);
  if (problem !== '') return problem;
  if (tooLong(request.pushId)) return `push_id: expected at most ${pushIdBytesMax} bytes`;
  const { group, data, headers, ttlMs } = request;
  return { identity, group, data, headers, ttlMs };
}

/** @returns '' for the name of a group. */
export function groupProblem(group: string): string {
  const bytes = Buffer.byteLength(group);
  return bytes >= 1 && bytes <= groupBytesMax ? '' : `group: ${bytes} bytes: expected 1 to ${groupBytesMax}`;
}

function tooLong(pushId: string): boolean {
  return Buffer.byteLength(pushId) > pushIdBytesMax;
}

export function identityOf(pushId: string): PushIdentity {
  return pushId === '' ? { kind: 'none' } : { kind: 'id', pushId };
}

export function writeUnicast(
  request: UnicastPushRequest,
  outcome: PushOutcome,
  level: PushLevelValue,
  place: ShardPlace,
): UnicastPushResponse {
  return {
    status: statusOf[outcome.status],
    seqId: BigInt(outcome.seqId),
    epoch: BigInt(place.epoch),
    level: outcome.status === 'ok' ? level : PushLevel.PUSH_LEVEL_UNSPECIFIED,
    error: undefined,
    pushId: request.pushId,
    shardId: place.shardId,
    history: place.history,
  };
}

export function writeBroadcast(
  request: Pick<BroadcastPushRequest, 'pushId'>,
  outcome: BroadcastOutcome,
  level: PushLevelValue,
  place: ShardPlace,
): BroadcastPushResponse {
  return {
    status: statusOf[outcome.status],
    matched: outcome.matched,
    epoch: BigInt(place.epoch),
    level: outcome.status === 'ok' ? level : PushLevel.PUSH_LEVEL_UNSPECIFIED,
    error: undefined,
    pushId: request.pushId,
    accepted: outcome.accepted,
    pairs: [],
  };
}
