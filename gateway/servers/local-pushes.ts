import {
  type BroadcastPushRequest,
  type BroadcastPushResponse,
  type GroupPushRequest,
  PushLevel,
  type UnicastPushRequest,
  type UnicastPushResponse,
} from '../../proto/gen/upstream.ts';
import type { HandlerContext } from '../handlers/context.ts';
import { pushToGroup, pushToMany, pushToSession } from '../handlers/push.ts';
import { errorOf } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { PushIdentity } from '../session/command.ts';
import type { BroadcastOutcome, PushOutcome } from '../session/effect.ts';
import {
  readBroadcast,
  readGroupPush,
  readUnicast,
  type ShardPlace,
  writeBroadcast,
  writeUnicast,
} from './push-conversion.ts';

/** How long a sender that asked for ACKED waits at most. */
const ackWaitMaxMs = 30_000;
/** A push that was not acknowledged in time is still queued. */
const statusAfter = {
  acked: 'ok',
  timeout: 'ok',
  expired: 'expired',
  closed: 'no-session',
  unknown: 'unknown',
} as const;

const invalidPush: PushOutcome = { kind: 'push', status: 'invalid', sessionId: '', seqId: 0, repeated: false };
const invalidBroadcast: BroadcastOutcome = {
  kind: 'broadcast',
  status: 'invalid',
  matched: 0,
  accepted: 0,
  repeated: false,
};

/** A push to a session of this gateway's shard. */
export function unicastHere(
  context: HandlerContext,
  request: UnicastPushRequest,
  identity: PushIdentity,
  done: (response: UnicastPushResponse) => void,
): void {
  const answer = (outcome: PushOutcome, acked = false) =>
    done(
      writeUnicast(request, outcome, acked ? PushLevel.PUSH_LEVEL_ACKED : context.shard.pushLevel, placeOf(context)),
    );
  const push = readUnicast(request, identity);
  if (typeof push === 'string') {
    const response = writeUnicast(request, invalidPush, PushLevel.PUSH_LEVEL_UNSPECIFIED, placeOf(context));
    return done({ ...response, error: errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: push }) });
  }
  pushToSession(context, push, (outcome) => {
    if (outcome.status !== 'ok' || request.level !== PushLevel.PUSH_LEVEL_ACKED) return answer(outcome);
    waitForAck(context, push.ttlMs, outcome, answer);
  });
}

function waitForAck(
  context: HandlerContext,
  ttlMs: number,
  outcome: PushOutcome,
  answer: (outcome: PushOutcome, acked?: boolean) => void,
): void {
  const session = context.sessions.session(outcome.sessionId);
  if (outcome.seqId !== 0 && session !== undefined && outcome.seqId <= session.ackUpTo) return answer(outcome, true);
  const waits = context.pushWaiters.add(outcome.sessionId, {
    seqId: outcome.seqId,
    hold: outcome.heldIndex ?? 0,
    deadlineMs: context.clock.nowMs() + Math.min(ttlMs === 0 ? ackWaitMaxMs : ttlMs + 1_000, ackWaitMaxMs),
    done: (end, seqId) => {
      answer({ ...outcome, status: statusAfter[end], seqId }, end === 'acked');
    },
  });
  if (!waits) answer(outcome);
}

/** A broadcast to the sessions of this gateway's shard. */
export function broadcastHere(
  context: HandlerContext,
  request: BroadcastPushRequest,
  identity: PushIdentity,
  done: (response: BroadcastPushResponse) => void,
): void {
  const push = readBroadcast(request, identity);
  if (typeof push === 'string') {
    const response = writeBroadcast(request, invalidBroadcast, PushLevel.PUSH_LEVEL_UNSPECIFIED, placeOf(context));
    return done({ ...response, error: errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: push }) });
  }
  pushToMany(context, push, (outcome) =>
    done(writeBroadcast(request, outcome, context.shard.pushLevel, placeOf(context))),
  );
}

/** A push to those of a group that are in this gateway's shard. */
export function groupPushHere(
  context: HandlerContext,
  request: GroupPushRequest,
  identity: PushIdentity,
  done: (response: BroadcastPushResponse) => void,
): void {
  const push = readGroupPush(request, identity);
  if (typeof push === 'string') {
    const response = writeBroadcast(request, invalidBroadcast, PushLevel.PUSH_LEVEL_UNSPECIFIED, placeOf(context));
    return done({ ...response, error: errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: push }) });
  }
  pushToGroup(context, push, (outcome) =>
    done(writeBroadcast(request, outcome, context.shard.pushLevel, placeOf(context))),
  );
}

function placeOf({ shard }: HandlerContext): ShardPlace {
  return { epoch: shard.epoch, shardId: shard.id, history: shard.history };
}
