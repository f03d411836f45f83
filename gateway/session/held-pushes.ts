import type { LogIndex, MessageBody } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { Effect } from './effect.ts';
import { type AnsweredRequest, noRequest } from './ordered-queue.ts';
import type { HeldPush, Session } from './session.ts';
import { deadlineKind, type ShardState } from './shard-state.ts';

/** A push waits for its response while the request is open or has not come yet. */
export function mustWait(session: Session, clientSeq: number): boolean {
  if (clientSeq > session.requests.max) return true;
  if (session.open?.has(clientSeq) === true || session.returned?.has(clientSeq) === true) return true;
  return !session.requests.isBelow(clientSeq) && !session.requests.isAnswered(clientSeq);
}

export function hold(state: ShardState, session: Session, push: HeldPush): void {
  push.deadline = heldDeadline(state, session, push);
  session.held ??= [];
  session.held.push(push);
  session.heldBytes += push.body.length;
  state.queueMessages += 1;
  state.queueBytes += push.body.length;
  state.hash.mix(session.ordinal);
  state.hash.mix(push.clientSeq);
}

/** The wait ends with its bound or with the push itself, whichever comes first. */
export function heldDeadline(state: ShardState, session: Session, push: HeldPush): Deadline {
  const waitEndMs = state.timeMs + state.limits.bindWaitMs;
  const atMs = push.expiresAtMs !== 0 && push.expiresAtMs < waitEndMs ? push.expiresAtMs : waitEndMs;
  return state.deadlines.add(atMs, deadlineKind.heldPush, session.sessionId, push.index);
}

/** BEFORE pushes, the response, AFTER pushes: each kind in the order it came. */
export function answerWithHeld(
  state: ShardState,
  session: Session,
  request: AnsweredRequest,
  body: MessageBody,
  index: LogIndex,
  effects: Effect[],
): void {
  const waiting = session.held?.filter((push) => push.clientSeq === request.clientSeq) ?? [];
  for (const push of waiting) if (push.order === 'before') release(state, session, push, index, effects);
  state.append(session, request, body, index);
  for (const push of waiting) if (push.order === 'after') release(state, session, push, index, effects);
}

/** The wait is over without a response: the push goes out on its own, or as a skip if it expired. */
export function heldIsDue(
  state: ShardState,
  sessionId: string,
  pushIndex: LogIndex,
  index: LogIndex,
  effects: Effect[],
): void {
  const session = state.sessions.get(sessionId);
  const push = session?.held?.find((candidate) => candidate.index === pushIndex);
  if (session === undefined || push === undefined) return;
  release(state, session, push, index, effects);
  if (session.connection !== undefined) effects.push(session.deliverEffect);
}

/** Gives a held push its number. */
function release(state: ShardState, session: Session, push: HeldPush, index: LogIndex, effects: Effect[]): void {
  state.deadlines.cancel(push.deadline);
  const rest = (session.held ?? []).filter((other) => other !== push);
  session.held = rest.length === 0 ? undefined : rest;
  session.heldBytes -= push.body.length;
  state.queueMessages -= 1;
  state.queueBytes -= push.body.length;
  const entry = state.append(session, noRequest, push.body, index);
  state.dedupe.placed(push.identity, entry.seqId, index);
  effects.push({ kind: 'placed', sessionId: session.sessionId, seqId: entry.seqId, pushIndex: push.index });
  if (push.expiresAtMs === 0) return;
  if (push.expiresAtMs <= state.timeMs) skipEntry(state, session, entry.seqId, index, effects);
  else entry.expiry = state.deadlines.add(push.expiresAtMs, deadlineKind.entryExpiry, session.sessionId, entry.seqId);
}

/** An entry's time is over: it becomes its skip (rule 8). */
export function skipEntry(
  state: ShardState,
  session: Session,
  seqId: number,
  index: LogIndex,
  effects: Effect[],
): void {
  const entry = session.queue.entry(seqId);
  if (entry === undefined) return;
  state.deadlines.cancel(entry.expiry);
  state.queueBytes -= session.queue.skip(entry, index);
  state.hash.mix(session.ordinal);
  state.hash.mix(seqId);
  effects.push({ kind: 'expired', sessionId: session.sessionId, seqId });
}
