import { ErrorCode } from '../protocol/error-codes.ts';
import type { AdmitCommand, AnswerCommand, LogIndex, WithdrawCommand } from './command.ts';
import type { AdmitOutcome, Effect } from './effect.ts';
import { answerWithHeld } from './held-pushes.ts';
import type { ShardState } from './shard-state.ts';

const forward: AdmitOutcome = { kind: 'admit', action: 'forward' };
const stillOpen: AdmitOutcome = { kind: 'admit', action: 'open' };
const acked: AdmitOutcome = { kind: 'admit', action: 'acked' };

function refused(code: number, reason: string): AdmitOutcome {
  return { kind: 'admit', action: 'refused', code, reason };
}

/** Lets a request through to its zone, or says what a repeat of one means (rule 6). A refusal changes nothing. */
export function admit(state: ShardState, command: AdmitCommand): AdmitOutcome {
  const session = state.sessions.get(command.sessionId);
  if (session === undefined) return refused(ErrorCode.ERROR_SESSION_NOT_FOUND, 'the session has ended');
  if (session.binding !== command.binding) {
    return refused(ErrorCode.ERROR_REPLACED, 'another connection took this session over');
  }
  const { clientSeq } = command;
  if (!Number.isSafeInteger(clientSeq) || clientSeq < 1) {
    return refused(ErrorCode.ERROR_BAD_MESSAGE, `seq_id ${clientSeq}: a request needs a positive one`);
  }
  const requests = session.requests;
  if (clientSeq <= requests.max) {
    if (session.open?.has(clientSeq) === true) return stillOpen;
    if (session.returned?.has(clientSeq) !== true) {
      const answered = requests.isAnswered(clientSeq);
      if (answered || requests.isBelow(clientSeq)) {
        const response = session.queue.responseTo(clientSeq);
        if (response !== undefined) return { kind: 'admit', action: 'resend', seqId: response.seqId };
        if (answered) return acked;
        return refused(ErrorCode.ERROR_BAD_MESSAGE, `seq_id ${clientSeq} is more than 64 below ${requests.max}`);
      }
    }
  }
  const { openRequestsMax, queueMessagesMax } = state.limits;
  if (session.openCount >= openRequestsMax) {
    return refused(ErrorCode.ERROR_BAD_MESSAGE, `no more than ${openRequestsMax} requests may be open`);
  }
  if (session.places >= queueMessagesMax) {
    return refused(ErrorCode.ERROR_QUEUE_FULL, `${queueMessagesMax} messages wait to be acknowledged`);
  }
  session.returned?.delete(clientSeq);
  session.open ??= new Map();
  session.open.set(clientSeq, { clientSeq, msgId: command.msgId, binding: command.binding });
  requests.raise(clientSeq);
  state.hash.mix(session.ordinal);
  state.hash.mix(clientSeq);
  return forward;
}

/** The request never reached a zone: its place is free and its number may be sent again. */
export function withdraw(state: ShardState, command: WithdrawCommand): void {
  const session = state.sessions.get(command.sessionId);
  if (session?.open?.delete(command.clientSeq) !== true) return;
  session.giveBack(command.clientSeq);
  state.hash.mix(session.ordinal);
  state.hash.mix(command.clientSeq);
}

/** Gives the response of an open request its number; for any other request nothing happens. */
export function answer(state: ShardState, command: AnswerCommand, index: LogIndex, effects: Effect[]): void {
  const session = state.sessions.get(command.sessionId);
  if (session?.open === undefined) return;
  const request = session.open.get(command.clientSeq);
  if (request === undefined) return;
  session.open.delete(command.clientSeq);
  session.requests.markAnswered(command.clientSeq);
  if (command.zoneId !== undefined && session.state === 'inited') state.activate(session, command.zoneId);
  const { queueBytesMax, totalQueueBytesMax } = state.limits;
  const { length } = command.body;
  const overTotal = state.queueBytes + length > totalQueueBytesMax;
  if (overTotal) state.totalLimitHits += 1;
  const body = overTotal || session.queueBytes + length > queueBytesMax ? command.overflowBody : command.body;
  if (session.held === undefined) state.append(session, request, body, index);
  else answerWithHeld(state, session, request, body, index, effects);
  if (session.connection !== undefined) effects.push(session.deliverEffect);
}
