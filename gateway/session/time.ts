import { ErrorCode } from '../protocol/error-codes.ts';
import type { LogIndex, PromoteCommand, TickCommand } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { Effect, Outcome } from './effect.ts';
import { heldDeadline, heldIsDue, skipEntry } from './held-pushes.ts';
import { deadlinesPerTickMax } from './limits.ts';
import type { Session } from './session.ts';
import { deadlineKind, type ShardState } from './shard-state.ts';
import { leaseIsDue, restartLeases, zoneEffect } from './zones.ts';

/** Shard time rises, and everything that is due happens in an order that only the state decides (rule 7). */
export function tick(state: ShardState, command: TickCommand, index: LogIndex, effects: Effect[]): void {
  if (command.timeMs <= state.timeMs) return;
  state.timeMs = command.timeMs;
  for (let ran = 0; ran < deadlinesPerTickMax; ran += 1) {
    const due = state.deadlines.takeDue(state.timeMs);
    if (due === undefined) break;
    fire(state, due, index, effects);
  }
  state.dedupe.expire(state.timeMs);
}

function fire(state: ShardState, due: Deadline, index: LogIndex, effects: Effect[]): void {
  switch (due.kind) {
    case deadlineKind.resumeWindow:
      return resumeWindowIsOver(state, due.key, effects);
    case deadlineKind.entryExpiry: {
      const session = state.sessions.get(due.key);
      if (session === undefined) return;
      skipEntry(state, session, due.n, index, effects);
      if (session.connection !== undefined) effects.push(session.deliverEffect);
      return;
    }
    case deadlineKind.heldPush:
      return heldIsDue(state, due.key, due.n, index, effects);
    case deadlineKind.producer:
      return producerIsDue(state, due.key);
    default:
      return leaseIsDue(state, due, effects);
  }
}

function resumeWindowIsOver(state: ShardState, sessionId: string, effects: Effect[]): void {
  const session = state.sessions.get(sessionId);
  if (session === undefined || session.connected) return;
  state.endSession(session, ErrorCode.ERROR_RESUME_EXPIRED, 'the resume window is over', effects);
}

/** A producer that was used meanwhile waits again; one that was silent for the whole horizon is forgotten. */
function producerIsDue(state: ShardState, producerId: string): void {
  const producer = state.dedupe.producers.get(producerId);
  if (producer === undefined) return;
  const endMs = producer.lastUsedMs + state.limits.pushDedupeHorizonMs;
  if (endMs <= state.timeMs) state.dedupe.producers.delete(producerId);
  else producer.deadline = state.deadlines.add(endMs, deadlineKind.producer, producerId, 0);
}

/** A new primary begins: nobody is connected to it, and nothing ran out while nobody served (rules 5 and 7, I11). */
export function promote(state: ShardState, command: PromoteCommand, effects: Effect[]): Outcome {
  if (command.epoch <= state.epoch) {
    const reason = `epoch ${command.epoch} is not above ${state.epoch}`;
    return { kind: 'refused', code: ErrorCode.ERROR_FENCED, reason };
  }
  if (command.history !== state.history) beginHistory(state, command, effects);
  state.epoch = command.epoch;
  for (const session of state.sessions.values()) promoteSession(state, session);
  const horizonMs = state.limits.pushDedupeHorizonMs;
  state.dedupe.keepUntilMs = state.timeMs + horizonMs;
  for (const producer of state.dedupe.producers.values()) producer.lastUsedMs = state.timeMs;
  restartLeases(state);
  for (const zoneId of state.zones.zones.keys()) effects.push(zoneEffect(state, zoneId));
  state.hash.mix(command.epoch);
  state.hash.mixText(command.history);
  return { kind: 'done' };
}

/** Numbers of another history mean nothing in this one. */
function beginHistory(state: ShardState, command: PromoteCommand, effects: Effect[]): void {
  for (const session of [...state.sessions.values()]) {
    state.endSession(session, ErrorCode.ERROR_SESSION_RESET, 'a new history began', effects);
  }
  for (const producer of state.dedupe.producers.values()) state.deadlines.cancel(producer.deadline);
  state.dedupe.clear();
  state.history = command.history;
  state.historyEpoch = command.epoch;
}

function promoteSession(state: ShardState, session: Session): void {
  session.keepEnd(state.epoch);
  state.detach(session);
  // Who was to answer them is gone with the old primary; the client asks again.
  if (session.open !== undefined) {
    for (const clientSeq of session.open.keys()) session.giveBack(clientSeq);
    session.open = undefined;
  }
  for (const push of session.held ?? []) {
    state.deadlines.cancel(push.deadline);
    push.deadline = heldDeadline(state, session, push);
  }
}
