import { ErrorCode } from '../protocol/error-codes.ts';
import type { BroadcastCommand, LogIndex, PushCommand, PushGroupCommand, PushIdentity } from './command.ts';
import type { BroadcastOutcome, Effect, PushOutcome, PushRefusal } from './effect.ts';
import { hold, mustWait } from './held-pushes.ts';
import { noRequest } from './ordered-queue.ts';
import type { PushAnswer } from './push-dedupe.ts';
import type { Session } from './session.ts';
import { deadlineKind, type ShardState } from './shard-state.ts';

function pushRefused(status: PushRefusal, sessionId: string): PushOutcome {
  return { kind: 'push', status, sessionId, seqId: 0, repeated: false };
}

function broadcastRefused(status: PushRefusal): BroadcastOutcome {
  return { kind: 'broadcast', status, matched: 0, accepted: 0, repeated: false };
}

/** One push to one session: refused before it is accepted, or kept until it is acknowledged. */
export function push(state: ShardState, command: PushCommand, index: LogIndex, effects: Effect[]): PushOutcome {
  const seen = look(state, command.identity);
  if (seen === 'invalid' || seen === 'unknown' || seen === 'overloaded') return pushRefused(seen, command.sessionId);
  if (seen !== 'new') return seen.kind === 'push' ? { ...seen, repeated: true } : pushRefused('invalid', '');
  const outcome = placePush(state, command, index, effects);
  remember(state, command.identity, outcome, index);
  return outcome;
}

function placePush(state: ShardState, command: PushCommand, index: LogIndex, effects: Effect[]): PushOutcome {
  const { sessionId, openid, body, bindClientSeq, order, ttlMs } = command;
  if (sessionId === '' && openid === '') return pushRefused('invalid', '');
  if (order !== 'immediate' && bindClientSeq === 0) return pushRefused('invalid', sessionId);
  const session = sessionId === '' ? state.byOpenid.get(openid) : state.sessions.get(sessionId);
  if (session === undefined) return pushRefused('no-session', sessionId);
  if (openid !== '' && openid !== session.openid) return pushRefused('invalid', sessionId);
  const { queueBytesMax, totalQueueBytesMax } = state.limits;
  if (body.length > queueBytesMax) return pushRefused('too-large', session.sessionId);
  if (!hasRoom(state, session, body.length)) return pushRefused('queue-full', session.sessionId);
  if (state.queueBytes + body.length > totalQueueBytesMax) {
    state.totalLimitHits += 1;
    return pushRefused('overloaded', session.sessionId);
  }
  const expiresAtMs = ttlMs === 0 ? 0 : state.timeMs + ttlMs;
  if (order !== 'immediate' && mustWait(session, bindClientSeq)) {
    const { identity } = command;
    const clientSeq = bindClientSeq;
    hold(state, session, { index, clientSeq, order, body, identity, expiresAtMs, deadline: undefined });
    return { kind: 'push', status: 'ok', sessionId: session.sessionId, seqId: 0, repeated: false, heldIndex: index };
  }
  const seqId = place(state, session, body, expiresAtMs, index, effects);
  return { kind: 'push', status: 'ok', sessionId: session.sessionId, seqId, repeated: false };
}

/** One command for all sessions that match; one whose queue is full is closed (rule 8). */
export function broadcast(
  state: ShardState,
  command: BroadcastCommand,
  index: LogIndex,
  effects: Effect[],
): BroadcastOutcome {
  return toMany(state, command, () => matching(state, command), index, effects);
}

/** A broadcast to one group. */
export function pushGroup(
  state: ShardState,
  command: PushGroupCommand,
  index: LogIndex,
  effects: Effect[],
): BroadcastOutcome {
  return toMany(state, command, () => state.groups.members(command.group), index, effects);
}

function toMany(
  state: ShardState,
  command: BroadcastCommand | PushGroupCommand,
  targets: () => readonly Session[],
  index: LogIndex,
  effects: Effect[],
): BroadcastOutcome {
  const seen = look(state, command.identity);
  if (seen === 'invalid' || seen === 'unknown' || seen === 'overloaded') return broadcastRefused(seen);
  if (seen !== 'new') return seen.kind === 'broadcast' ? { ...seen, repeated: true } : broadcastRefused('invalid');
  const outcome = placeOnAll(state, command, targets(), index, effects);
  remember(state, command.identity, outcome, index);
  return outcome;
}

function placeOnAll(
  state: ShardState,
  { body, ttlMs }: BroadcastCommand | PushGroupCommand,
  targets: readonly Session[],
  index: LogIndex,
  effects: Effect[],
): BroadcastOutcome {
  if (body.length > state.limits.queueBytesMax) return broadcastRefused('too-large');
  // For all or for none: which sessions would get it must not depend on an order.
  if (state.queueBytes + targets.length * body.length > state.limits.totalQueueBytesMax) {
    state.totalLimitHits += 1;
    return broadcastRefused('overloaded');
  }
  const expiresAtMs = ttlMs === 0 ? 0 : state.timeMs + ttlMs;
  let accepted = 0;
  for (const session of targets) {
    if (hasRoom(state, session, body.length)) {
      place(state, session, body, expiresAtMs, index, effects);
      accepted += 1;
    } else {
      state.endSession(session, ErrorCode.ERROR_SLOW_CONSUMER, 'a broadcast found the queue full', effects);
    }
  }
  return { kind: 'broadcast', status: 'ok', matched: targets.length, accepted, repeated: false };
}

function matching(state: ShardState, command: BroadcastCommand): Session[] {
  const { zoneIds, openids } = command;
  const matched: Session[] = [];
  if (openids.length > 0) {
    for (const openid of new Set(openids)) {
      const session = state.byOpenid.get(openid);
      if (session !== undefined && (zoneIds.length === 0 || zoneIds.includes(session.zoneId))) matched.push(session);
    }
    return matched;
  }
  for (const session of state.sessions.values()) {
    if (zoneIds.length === 0 || zoneIds.includes(session.zoneId)) matched.push(session);
  }
  return matched;
}

function hasRoom(state: ShardState, session: Session, bytes: number): boolean {
  const { queueMessagesMax, queueBytesMax } = state.limits;
  return session.places < queueMessagesMax && session.queueBytes + bytes <= queueBytesMax;
}

function place(
  state: ShardState,
  session: Session,
  body: Uint8Array,
  expiresAtMs: number,
  index: LogIndex,
  effects: Effect[],
): number {
  const entry = state.append(session, noRequest, body, index);
  if (expiresAtMs !== 0) {
    entry.expiry = state.deadlines.add(expiresAtMs, deadlineKind.entryExpiry, session.sessionId, entry.seqId);
  }
  if (session.connection !== undefined) effects.push(session.deliverEffect);
  return entry.seqId;
}

function look(state: ShardState, identity: PushIdentity): PushAnswer | 'new' | 'invalid' | 'unknown' | 'overloaded' {
  if (identity.kind === 'none') return 'new';
  if (identity.kind === 'id' && identity.pushId === '') return 'invalid';
  if (identity.kind === 'producer' && !(Number.isSafeInteger(identity.number) && identity.number > 0)) return 'invalid';
  const found = state.dedupe.find(identity);
  if (found === 'forgotten') return 'unknown';
  if (found !== 'new') return found;
  const { pushDedupeEntriesMax, producersMax } = state.limits;
  return state.dedupe.hasRoom(identity, pushDedupeEntriesMax, producersMax) ? 'new' : 'overloaded';
}

function remember(state: ShardState, identity: PushIdentity, answer: PushAnswer, index: LogIndex): void {
  if (identity.kind === 'none') return;
  const endMs = state.timeMs + state.limits.pushDedupeHorizonMs;
  if (identity.kind === 'id') {
    // A copy that lacks answers gets the new ones in their order, after the old ones.
    if (state.importing !== 'push-ids') state.dedupe.rememberId(identity.pushId, answer, index, endMs);
    return;
  }
  const { producerId, number } = identity;
  let producer = state.dedupe.producers.get(producerId);
  if (producer === undefined) {
    if (state.importing === 'push-ids' || state.importing === 'producers') return;
    producer = state.dedupe.addProducer(producerId);
    producer.deadline = state.deadlines.add(endMs, deadlineKind.producer, producerId, 0);
  }
  state.dedupe.rememberNumber(producer, number, answer, index, state.timeMs);
}
