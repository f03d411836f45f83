import type { BusinessRequest, ClientRequest } from '../../proto/gen/message.ts';
import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import { decodeBusinessRequest } from '../protocol/client-request.ts';
import { encodeResponseBody, encodeSuccessBody, safeNumber } from '../protocol/codec.ts';
import { ErrorCode, errorCodeName } from '../protocol/error-codes.ts';
import type { AdmitOutcome, Outcome } from '../session/effect.ts';
import type { ZoneOutcome } from '../upstream/router.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { refuse } from './replies.ts';

/** How soon a request refused for want of a zone or an open slot may come again. */
const retryAfterMs = 1_000;
/** Of an action's name and of all headers together; more is no honest request. */
const actionBytesMax = 256;
const headerBytesMax = 8_192;
const headerCountMax = 64;

interface BusinessCall {
  readonly connection: ClientConnection;
  readonly sessionId: string;
  readonly msgId: number;
  readonly clientSeq: number;
  readonly startedMs: number;
}

/** BUSINESS: admitted under its client seq, forwarded to the session's zone, answered under the session's next number. */
export function handleBusiness(context: HandlerContext, connection: ClientConnection, request: ClientRequest): void {
  const clientSeq = safeNumber(request.seqId);
  const { msgId } = request;
  if (clientSeq === undefined || clientSeq === 0) {
    const message = `seq_id: ${request.seqId}: expected 1 to 2^53 - 1 on BUSINESS`;
    return refuse(context, connection, msgId, { code: ErrorCode.ERROR_BAD_MESSAGE, message });
  }
  const call = { connection, sessionId: connection.sessionId, msgId, clientSeq, startedMs: context.clock.nowMs() };
  const session = context.sessions.session(connection.sessionId);
  const isNew = session !== undefined && clientSeq > session.maxClientSeq;
  // What is no request takes nothing of what requests share, so it is looked at first, unless most are refused anyway.
  const { shedding } = context.protector;
  if (shedding && isNew && !mayEnter(context, call, request)) return;
  const business = decodePayload(context, connection, request);
  if (business === undefined) return;
  if (!shedding && isNew && !mayEnter(context, call, request)) return;
  context.shard.submit(
    { kind: 'admit', sessionId: call.sessionId, binding: connection.binding, clientSeq, msgId },
    (outcome) => admitted(context, call, request, business, outcome),
  );
}

function decodePayload(
  context: HandlerContext,
  connection: ClientConnection,
  request: ClientRequest,
): BusinessRequest | undefined {
  let problem = '';
  try {
    const business = decodeBusinessRequest(request.payload);
    problem = limitProblem(business, request);
    if (problem === '') return business;
  } catch {
    problem = 'payload: not a BusinessRequest';
  }
  refuse(context, connection, request.msgId, { code: ErrorCode.ERROR_BAD_MESSAGE, message: problem });
  return undefined;
}

function limitProblem(business: BusinessRequest, request: ClientRequest): string {
  if (business.action.length > actionBytesMax) return `action: longer than ${actionBytesMax} bytes`;
  let bytes = 0;
  let count = 0;
  for (const name in request.headers) {
    count += 1;
    bytes += name.length + (request.headers[name]?.length ?? 0);
  }
  if (count > headerCountMax || bytes > headerBytesMax) {
    return `headers: ${count} of ${bytes} bytes: expected at most ${headerCountMax} of ${headerBytesMax} bytes`;
  }
  return '';
}

/** Refuses a new request that has nowhere to go before it is admitted, so that its number stays free (rule 6). */
function mayEnter(context: HandlerContext, call: BusinessCall, request: ClientRequest): boolean {
  const kind = request.headers['priority'] === 'high' ? 'business-high' : 'business';
  const verdict = context.protector.admit(call.startedMs, kind, call.connection.zoneId);
  if (!verdict.ok) {
    refuse(context, call.connection, call.msgId, {
      code: verdict.code,
      message: verdict.reason,
      retryAfterMs: verdict.retryAfterMs,
    });
    return false;
  }
  return zoneIsThere(context, call);
}

function zoneIsThere(context: HandlerContext, call: BusinessCall): boolean {
  const { zoneId } = call.connection;
  if (context.router.available(zoneId)) return true;
  refuse(context, call.connection, call.msgId, {
    code: ErrorCode.ERROR_ZONE_UNAVAILABLE,
    message: `zone ${zoneId} has no healthy endpoint`,
    retryAfterMs,
  });
  return false;
}

function admitted(
  context: HandlerContext,
  call: BusinessCall,
  request: ClientRequest,
  business: BusinessRequest,
  outcome: Outcome,
): void {
  if (outcome.kind !== 'admit') return;
  switch (outcome.action) {
    case 'forward':
      return forward(context, call, request, business);
    case 'resend':
      context.delivery.resend(call.connection.id, outcome.seqId, context.clock.nowMs());
      return context.turn.ask();
    case 'refused':
      return refuseAdmission(context, call, outcome);
    default:
      return;
  }
}

function refuseAdmission(
  context: HandlerContext,
  call: BusinessCall,
  outcome: Extract<AdmitOutcome, { action: 'refused' }>,
): void {
  context.meter.request('business', 'refused', 0);
  const retry = outcome.code === ErrorCode.ERROR_BAD_MESSAGE ? 0 : retryAfterMs;
  refuse(context, call.connection, call.msgId, { code: outcome.code, message: outcome.reason, retryAfterMs: retry });
}

function forward(context: HandlerContext, call: BusinessCall, request: ClientRequest, business: BusinessRequest): void {
  const { connection } = call;
  context.protector.upstreamStarted(connection.zoneId);
  context.router.request(
    {
      openid: connection.openid,
      sessionId: call.sessionId,
      zoneId: connection.zoneId,
      clientSeq: call.clientSeq,
      action: business.action,
      data: business.data,
      headers: request.headers,
      epoch: context.shard.epoch,
      shardId: context.shard.id,
      history: context.shard.history,
    },
    (outcome) => answered(context, call, outcome),
  );
  context.turn.ask();
}

/** Gives the number back: the request never reached a zone. */
function withdraw(
  context: HandlerContext,
  call: BusinessCall,
  error: { code: number; message: string; retryAfterMs: number },
): void {
  context.meter.request('business', 'refused', 0);
  context.shard.submit({ kind: 'withdraw', sessionId: call.sessionId, clientSeq: call.clientSeq }, () => {
    const connection = currentConnection(context, call);
    if (connection !== undefined) refuse(context, connection, call.msgId, error);
  });
}

/** The connection that holds the session now, which may be newer than the one the request came on. */
function currentConnection(context: HandlerContext, call: BusinessCall): ClientConnection | undefined {
  const id = context.delivery.connectionOf(call.sessionId);
  return id === undefined ? undefined : context.connections.get(id);
}

function answered(context: HandlerContext, call: BusinessCall, outcome: ZoneOutcome): void {
  const durationMs = context.clock.nowMs() - call.startedMs;
  const ok = outcome.kind === 'answered';
  context.protector.upstreamFinished(call.connection.zoneId, durationMs, ok);
  if (!ok && !outcome.reached) {
    withdraw(context, call, outcome);
    return;
  }
  context.meter.request('business', ok ? 'ok' : 'failed', durationMs);
  const success = ok && outcome.response.success;
  context.shard.submit({
    kind: 'answer',
    sessionId: call.sessionId,
    clientSeq: call.clientSeq,
    body: ok ? answerBody(context, call, outcome.response) : failureBody(call, outcome.code, outcome.message),
    overflowBody: failureBody(call, ErrorCode.ERROR_QUEUE_FULL, 'the answer found no room in the queue'),
    ...(success ? { zoneId: call.connection.zoneId } : {}),
  });
}

function answerBody(context: HandlerContext, call: BusinessCall, response: UpstreamResponse): Uint8Array {
  const { clientSeq } = call;
  const body = response.success
    ? encodeSuccessBody(clientSeq, response.data, response.headers)
    : encodeResponseBody({
        success: false,
        clientSeq,
        data: response.data,
        headers: response.headers,
        error: response.error ?? { code: ErrorCode.ERROR_ZONE_FAILED, message: 'the zone refused without a reason' },
      });
  if (body.length + 16 <= context.settings.maxFrameBytes) return body;
  return failureBody(call, ErrorCode.ERROR_TOO_LARGE, 'the answer does not fit a frame');
}

function failureBody(call: BusinessCall, code: number, message: string): Uint8Array {
  const error = { code, message: message === '' ? errorCodeName(code) : message };
  return encodeResponseBody({ success: false, clientSeq: call.clientSeq, error });
}
