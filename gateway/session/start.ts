import { ErrorCode } from '../protocol/error-codes.ts';
import type { StartCommand } from './command.ts';
import type { Effect, Outcome } from './effect.ts';
import { Session } from './session.ts';
import type { ShardState } from './shard-state.ts';

type Refusal = Extract<Outcome, { kind: 'refused' }>;

function refused(code: number, reason: string): Refusal {
  return { kind: 'refused', code, reason };
}

/** Where a takeover begins: everything up to `ackUpTo` is acknowledged; `complete` when the client misses nothing before it. */
interface Takeover {
  readonly kind: 'takeover';
  readonly ackUpTo: number;
  readonly complete: boolean;
}

/**
 * Takes a session over or makes one (design §3, rules 5 and 12). With a token there is only the session it names, or a
 * 3xxx code; with a fresh proof of the openid, `second_login` decides what becomes of a session that exists.
 */
export function start(state: ShardState, command: StartCommand, effects: Effect[]): Outcome {
  return command.token === undefined
    ? startWithProof(state, command, effects)
    : startWithToken(state, command, command.token, effects);
}

function startWithToken(
  state: ShardState,
  command: StartCommand,
  token: NonNullable<StartCommand['token']>,
  effects: Effect[],
): Outcome {
  const session = state.sessions.get(token.sessionId);
  if (session === undefined) return sessionGone(state, command, token.sessionId);
  if (token.binding !== session.binding && token.binding !== session.heldBinding) {
    return refused(ErrorCode.ERROR_RESUME_REJECTED, 'the resume token was replaced by a newer one');
  }
  if (command.openid !== '' && command.openid !== session.openid) {
    return refused(ErrorCode.ERROR_RESUME_REJECTED, 'the resume token belongs to another openid');
  }
  const takeover = judgePlace(state, session, command, true);
  if (takeover.kind === 'refused') return refuseTakeover(state, session, takeover, effects);
  // Whoever shows a token holds it: only the tokens after it, and itself until the next is confirmed, are good.
  session.heldBinding = token.binding;
  return takeOver(state, session, command, takeover, effects);
}

function startWithProof(state: ShardState, command: StartCommand, effects: Effect[]): Outcome {
  const session = state.byOpenid.get(command.openid);
  if (session === undefined) {
    if (isFromLostHistory(state, command)) {
      return refused(ErrorCode.ERROR_SESSION_RESET, 'the session was lost with the state that held it');
    }
    return makeSession(state, command);
  }
  if (command.secondLogin === 'refuse' && session.connected) {
    return refused(ErrorCode.ERROR_LOGIN_REFUSED, 'this openid is logged in elsewhere');
  }
  if (command.secondLogin === 'replace') {
    state.endSession(session, ErrorCode.ERROR_REPLACED, 'another login replaced this session', effects);
    return makeSession(state, command);
  }
  const takeover = judgePlace(state, session, command, false);
  if (takeover.kind === 'refused') return refuseTakeover(state, session, takeover, effects);
  return takeOver(state, session, command, takeover, effects);
}

/**
 * A client that knows more of its session than this state does begins anew: so does the session. Were it kept, the client's next
 * login would get numbers that its zone has seen with other requests.
 */
function refuseTakeover(state: ShardState, session: Session, refusal: Refusal, effects: Effect[]): Refusal {
  if (refusal.code === ErrorCode.ERROR_SESSION_RESET) {
    state.endSession(session, refusal.code, refusal.reason, effects);
  }
  return refusal;
}

function sessionGone(state: ShardState, command: StartCommand, sessionId: string): Outcome {
  if (isFromLostHistory(state, command)) {
    return refused(ErrorCode.ERROR_SESSION_RESET, 'the session was lost with the state that held it');
  }
  return refused(state.ended.resumeCode(sessionId), 'the session has ended');
}

/** The client was served under an epoch before this history began, or one that this history has not reached. */
function isFromLostHistory(state: ShardState, command: StartCommand): boolean {
  const epoch = command.place?.epoch ?? 0;
  return epoch !== 0 && (epoch < state.historyEpoch || epoch > state.epoch);
}

/** Rule 5: what the client has, judged against what it can have been sent under the epoch it names. */
function judgePlace(state: ShardState, session: Session, command: StartCommand, byToken: boolean): Takeover | Refusal {
  const place = command.place;
  const acked = session.queue.ackUpTo;
  if (place === undefined || place.epoch === 0 || place.sessionId !== session.sessionId) {
    return { kind: 'takeover', ackUpTo: acked, complete: true };
  }
  const end = place.epoch > state.epoch ? undefined : session.endOf(place.epoch);
  if (end === undefined) return refused(ErrorCode.ERROR_SESSION_RESET, `epoch ${place.epoch} is not known here`);
  const received = place.receivedSeqId;
  if (received > end) {
    const past = `received_seq_id ${received} is past the end ${end} of epoch ${place.epoch}`;
    return refused(place.epoch < state.epoch ? ErrorCode.ERROR_SESSION_RESET : ErrorCode.ERROR_RESUME_GAP, past);
  }
  if (received >= acked) return { kind: 'takeover', ackUpTo: received, complete: true };
  if (byToken) {
    return refused(ErrorCode.ERROR_RESUME_GAP, `received_seq_id ${received} is below the acknowledged ${acked}`);
  }
  return { kind: 'takeover', ackUpTo: acked, complete: false };
}

function takeOver(
  state: ShardState,
  session: Session,
  command: StartCommand,
  takeover: Takeover,
  effects: Effect[],
): Outcome {
  const old = session.connection;
  if (old === undefined) {
    state.connectedCount += 1;
    state.deadlines.cancel(session.resumeDeadline);
    session.resumeDeadline = undefined;
  } else if (old !== command.connection) {
    // A code that ends the old connection's client: were it to come back, the two would evict each other for ever.
    effects.push({
      kind: 'replaced',
      connection: old,
      code: ErrorCode.ERROR_REPLACED,
      reason: 'another connection took this session over',
    });
  }
  bind(session, command);
  state.acknowledge(session, takeover.ackUpTo, effects);
  if (session.queue.length > 0) effects.push(session.deliverEffect);
  state.hash.mix(session.ordinal);
  state.hash.mix(session.binding);
  return started(session, takeover.complete);
}

function makeSession(state: ShardState, command: StartCommand): Outcome {
  if (state.sessions.size >= state.limits.sessionsMax) {
    return refused(ErrorCode.ERROR_TRY_LATER, `no more than ${state.limits.sessionsMax} sessions`);
  }
  if (state.sessions.has(command.newSessionId)) {
    return refused(ErrorCode.ERROR_INTERNAL, `session id ${command.newSessionId} is taken`);
  }
  state.ordinal += 1;
  const session = new Session({
    sessionId: command.newSessionId,
    ordinal: state.ordinal,
    openid: command.openid,
    createTimeMs: command.wallMs,
    createdEpoch: state.epoch,
  });
  bind(session, command);
  // A copy under way gets the new session with its image.
  if (state.importing === undefined || state.importing === 'rest') state.addSession(session);
  state.hash.mix(session.ordinal);
  return started(session, false);
}

function bind(session: Session, command: StartCommand): void {
  session.binding += 1;
  session.connection = command.connection;
  session.clientId = command.clientId;
  session.userIp = command.userIp;
}

function started(session: Session, resumed: boolean): Outcome {
  return {
    kind: 'started',
    sessionId: session.sessionId,
    binding: session.binding,
    resumed,
    nextSeqId: session.queue.ackUpTo + 1,
    maxClientSeq: session.requests.max,
  };
}
