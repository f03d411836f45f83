import type { ClientRequest, StartRequest } from '../../proto/gen/message.ts';
import type { AuthResult } from '../auth/authenticator.ts';
import { errorMessage } from '../lib/errors.ts';
import {
  decodeStartRequest,
  type ErrorFields,
  encodeStartResponseBody,
  errorOf,
  safeNumber,
} from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { StartCommand } from '../session/command.ts';
import type { Outcome, StartedOutcome } from '../session/effect.ts';
import { zoneOf } from '../upstream/zone.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { notPrimary, undecided } from './leadership.ts';
import { closeConnection, reply } from './replies.ts';

const openidBytesMax = 128;
const clientIdBytesMax = 256;

/** Some QUIC stacks drop what the application has not read yet when a close arrives. */
const responseLeadMs = 50;
const tokenRefused = { code: ErrorCode.ERROR_RESUME_REJECTED, message: 'resume token refused' };

interface StartAttempt {
  readonly connection: ClientConnection;
  readonly msgId: number;
  readonly start: StartRequest;
  readonly receivedSeqId: number;
  readonly epoch: number;
  /** Handles the frames that came while START was being decided. */
  readonly opened: () => void;
}

/**
 * START: prove who it is (resume token, or the authenticator), then let the state decide between a new session, a resume
 * and a refusal. `opened` is called once the connection holds a session.
 */
export function handleStart(
  context: HandlerContext,
  connection: ClientConnection,
  request: ClientRequest,
  opened: () => void,
): void {
  connection.phase = 'starting';
  const attempt = readStart(context, connection, request, opened);
  if (attempt === undefined) return;
  const waitMs = attempt.start.resumeToken.length > 0 ? context.shard.successionWaitMs : 0;
  if (waitMs === 0) return startHere(context, attempt);
  context.parkedStarts.park(waitMs, () => {
    if (connection.phase === 'starting') startHere(context, attempt);
  });
}

function startHere(context: HandlerContext, attempt: StartAttempt): void {
  const elsewhere = notPrimary(context);
  if (elsewhere !== undefined) return failStart(context, attempt, elsewhere);
  inItsPlace(context, attempt, attempt.start.openid, () => admitStart(context, attempt));
}

/** In a fleet a user without a session here starts where the fleet map, or the directory, has its place. */
function inItsPlace(context: HandlerContext, attempt: StartAttempt, openid: string, go: () => void): void {
  const { fleet, sessions } = context;
  const { sessionId } = attempt.start;
  const knows = sessionId !== '' && (sessions.session(sessionId) !== undefined || sessions.hasEnded(sessionId));
  if (fleet === undefined || openid === '' || knows || sessions.sessionOf(openid) !== undefined) return go();
  fleet.place(openid, (pair) => {
    if (attempt.connection.phase !== 'starting') return;
    if (pair === undefined) return go();
    const [redirect = ''] = pair.clientEndpoints;
    const error = { code: ErrorCode.ERROR_WRONG_PAIR, message: `this user belongs to pair ${pair.id}`, redirect };
    failStart(context, attempt, error, pair.clientEndpoints);
  });
}

function admitStart(context: HandlerContext, attempt: StartAttempt): void {
  const { start, connection } = attempt;
  const resuming = start.resumeToken.length > 0;
  const verdict = context.protector.admit(context.clock.nowMs(), resuming ? 'resume' : 'login');
  if (!verdict.ok) {
    // TRY_LATER and not OVERLOADED: after a close only a 2xxx code tells the client to come back.
    const { reason, retryAfterMs } = verdict;
    if (resuming) keepWaiting(context, start.resumeToken);
    return failStart(context, attempt, { code: ErrorCode.ERROR_TRY_LATER, message: reason, retryAfterMs });
  }
  if (resuming) return resumeByToken(context, attempt);
  const proof = {
    openid: start.openid,
    authToken: start.authToken,
    clientId: start.clientId,
    address: connection.peer.address,
  };
  const result = context.authenticator.authenticate(context.clock.wallMs(), proof);
  if (!(result instanceof Promise)) return authenticated(context, attempt, result);
  result.then(
    (settled) => authenticated(context, attempt, settled),
    (error) => {
      context.log.error({ error: errorMessage(error) }, 'authenticator failed');
      failStart(context, attempt, {
        code: ErrorCode.ERROR_TRY_LATER,
        message: 'authentication is not available',
        retryAfterMs: 1_000,
      });
    },
  );
}

/** The session of a client that may not resume yet must not expire while it waits its turn. */
function keepWaiting(context: HandlerContext, resumeToken: Uint8Array): void {
  const claims = context.tokens.verify(resumeToken);
  const session = claims === undefined ? undefined : context.sessions.session(claims.sessionId);
  if (session === undefined || session.connected || claims?.binding !== session.binding) return;
  context.shard.submit({ kind: 'detach', sessionId: session.sessionId, binding: session.binding });
}

function readStart(
  context: HandlerContext,
  connection: ClientConnection,
  request: ClientRequest,
  opened: () => void,
): StartAttempt | undefined {
  const { msgId } = request;
  if (request.seqId !== 0n) {
    closeStart(context, connection, msgId, {
      code: ErrorCode.ERROR_BAD_MESSAGE,
      message: 'seq_id: expected 0 on START',
    });
    return undefined;
  }
  let start: StartRequest;
  try {
    start = decodeStartRequest(request.payload);
  } catch {
    closeStart(context, connection, msgId, {
      code: ErrorCode.ERROR_BAD_MESSAGE,
      message: 'payload: not a StartRequest',
    });
    return undefined;
  }
  if (start.openid === '') start.openid = request.openid;
  const problem = startProblem(start);
  if (problem !== '') {
    closeStart(context, connection, msgId, { code: ErrorCode.ERROR_BAD_MESSAGE, message: problem });
    return undefined;
  }
  const receivedSeqId = safeNumber(start.receivedSeqId) ?? Number.MAX_SAFE_INTEGER;
  const epoch = safeNumber(start.epoch) ?? Number.MAX_SAFE_INTEGER;
  return { connection, msgId, start, receivedSeqId, epoch, opened };
}

function startProblem(start: StartRequest): string {
  const openidBytes = Buffer.byteLength(start.openid);
  // What is no UTF-8 was decoded to replacement characters.
  if (start.openid.includes('\ufffd')) return 'openid: expected UTF-8';
  if (openidBytes > openidBytesMax) return `openid: ${openidBytes} bytes: expected 1 to ${openidBytesMax}`;
  if (openidBytes === 0 && start.resumeToken.length === 0 && start.authToken === '')
    return 'openid: expected 1 to 128 bytes';
  if (Buffer.byteLength(start.clientId) > clientIdBytesMax)
    return `client_id: expected at most ${clientIdBytesMax} bytes`;
  return '';
}

function resumeByToken(context: HandlerContext, attempt: StartAttempt): void {
  const { start } = attempt;
  const claims = context.tokens.verify(start.resumeToken);
  if (claims === undefined) return failStart(context, attempt, tokenRefused);
  const session = context.sessions.session(claims.sessionId);
  if (session !== undefined && start.openid !== '' && session.openid !== start.openid) {
    return failStart(context, attempt, tokenRefused);
  }
  submitStart(context, attempt, session?.openid ?? start.openid, claims);
}

function authenticated(context: HandlerContext, attempt: StartAttempt, result: AuthResult): void {
  if (attempt.connection.phase !== 'starting') return;
  if (!result.ok) {
    context.meter.rejected(result.code);
    return failStart(context, attempt, { code: result.code, message: result.message });
  }
  const openidBytes = Buffer.byteLength(result.openid);
  if (openidBytes === 0 || openidBytes > openidBytesMax) {
    const message = 'openid: expected 1 to 128 bytes';
    return failStart(context, attempt, { code: ErrorCode.ERROR_AUTH_FAILED, message });
  }
  const { openid, loginGeneration } = result;
  if (attempt.start.openid !== '') return submitStart(context, attempt, openid, undefined, loginGeneration);
  inItsPlace(context, attempt, openid, () => submitStart(context, attempt, openid, undefined, loginGeneration));
}

function submitStart(
  context: HandlerContext,
  attempt: StartAttempt,
  openid: string,
  token: StartCommand['token'],
  loginGeneration?: number,
): void {
  const { connection, start } = attempt;
  const startedMs = context.clock.nowMs();
  const place =
    start.sessionId === ''
      ? undefined
      : {
          sessionId: start.sessionId,
          epoch: attempt.epoch,
          receivedSeqId: attempt.receivedSeqId,
        };
  const command: StartCommand = {
    kind: 'start',
    openid,
    clientId: start.clientId,
    userIp: connection.peer.address,
    connection: connection.id,
    wallMs: context.clock.wallMs(),
    secondLogin: context.settings.secondLogin,
    newSessionId: context.newId(),
    ...(token === undefined ? {} : { token }),
    ...(place === undefined ? {} : { place }),
  };
  context.shard.submit(
    command,
    (outcome) => {
      context.meter.committed(context.clock.nowMs() - startedMs);
      started(context, attempt, openid, startedMs, outcome);
      if (outcome.kind === 'started')
        context.fleet?.sessionStarted(openid, outcome.sessionId, token === undefined, loginGeneration);
    },
    () => failStart(context, attempt, notPrimary(context) ?? undecided),
  );
}

function started(
  context: HandlerContext,
  attempt: StartAttempt,
  openid: string,
  startedMs: number,
  outcome: Outcome,
): void {
  if (outcome.kind === 'refused') return failStart(context, attempt, { code: outcome.code, message: outcome.reason });
  if (outcome.kind !== 'started') return;
  const { connection } = attempt;
  const { sessionId, binding } = outcome;
  if (connection.phase !== 'starting') {
    context.shard.submit({ kind: 'detach', sessionId, binding });
    return;
  }
  connection.phase = 'open';
  connection.openid = openid;
  connection.sessionId = sessionId;
  connection.binding = binding;
  connection.zoneId = zoneOf(openid, context.settings.zoneCount);
  context.meter.request('start', 'ok', context.clock.nowMs() - startedMs);
  reply(context, connection, attempt.msgId, startResponse(context, connection, outcome));
  context.delivery.bind(sessionId, connection.id, outcome.nextSeqId, context.clock.nowMs());
  attempt.opened();
}

function startResponse(context: HandlerContext, connection: ClientConnection, outcome: StartedOutcome): Uint8Array {
  const { settings, shard } = context;
  return encodeStartResponseBody({
    success: true,
    connectionId: String(connection.id),
    sessionId: outcome.sessionId,
    resumed: outcome.resumed,
    resumeToken: Buffer.from(context.tokens.mint(outcome)),
    nextSeqId: BigInt(outcome.nextSeqId),
    maxClientSeq: BigInt(outcome.maxClientSeq),
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    resumeWindowMs: settings.resumeWindowMs,
    endpoints: [...settings.endpoints],
    epoch: BigInt(shard.epoch),
    shardId: shard.id,
    history: shard.history,
  });
}

function failStart(
  context: HandlerContext,
  attempt: StartAttempt,
  error: ErrorFields,
  endpoints: readonly string[] = [],
): void {
  context.meter.request('start', 'refused', 0);
  closeStart(context, attempt.connection, attempt.msgId, error, endpoints);
}

function closeStart(
  context: HandlerContext,
  connection: ClientConnection,
  msgId: number,
  error: ErrorFields,
  endpoints: readonly string[] = [],
): void {
  if (connection.phase !== 'starting') return;
  const body = encodeStartResponseBody({ success: false, error: errorOf(error), endpoints: [...endpoints] });
  reply(context, connection, msgId, body);
  connection.phase = 'closing';
  context.schedule(responseLeadMs, () => closeConnection(context, connection, error.code, error.message));
}
