import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import type {
  AdminServiceServer,
  GatewayStatus,
  KickSessionRequest,
  KickSessionResponse,
  ListSessionsRequest,
  ListSessionsResponse,
  SessionInfo,
  SetOverloadLimitsRequest,
  SetOverloadLimitsResponse,
  SetZonesRequest,
  SetZonesResponse,
  WatchRequest,
} from '../../proto/gen/admin.ts';
import type { HandlerContext } from '../handlers/context.ts';
import type { GatewayControl } from '../handlers/control.ts';
import { notPrimary, undecided } from '../handlers/leadership.ts';
import { errorMessage } from '../lib/errors.ts';
import { limitsFromMessage } from '../overload/limits.ts';
import { type ErrorFields, errorOf, safeNumber } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { SetZonesCommand } from '../session/command.ts';
import type { SessionView } from '../session/session-machine.ts';
import { isZoneId } from '../upstream/zone.ts';
import { setFleetMap } from './set-fleet-map.ts';

const watchIntervalMsDefault = 1_000;
const watchIntervalMsMin = 50;
const pageSizeDefault = 100;
const pageSizeMax = 1_000;
const endpointsMax = 1_000;

/** AdminService: what the operator and the command line call. */
export function adminService(context: HandlerContext, control: GatewayControl): AdminServiceServer {
  return {
    watch: (stream) => watch(control, stream),
    setZones: (call, respond) => setZones(context, call, respond),
    setOverloadLimits: (call, respond) => setLimits(context, call, respond),
    promote: (call, respond) => control.promote(call.request).then((answer) => respond(null, answer), respond),
    demote: (call, respond) => control.demote(call.request).then((answer) => respond(null, answer), respond),
    drain: (call, respond) => {
      const { deadlineMs, sessionsPerSecond } = call.request;
      respond(null, { sessionsLeft: control.drain(deadlineMs, sessionsPerSecond) });
    },
    listSessions: (call, respond) => listSessions(context, call, respond),
    kickSession: (call, respond) => kick(context, call, respond),
    setFleetMap: (call, respond) => respond(null, setFleetMap(context, call.request)),
  };
}

/**
 * Sends the status at once, then at each interval and whenever something changed that an operator decides by; a reader
 * that lags misses intermediate ones.
 */
function watch(control: GatewayControl, stream: ServerWritableStream<WatchRequest, GatewayStatus>): void {
  const asked = stream.request.intervalMs;
  const intervalMs = asked === 0 ? watchIntervalMsDefault : Math.max(asked, watchIntervalMsMin);
  let missed = false;
  let news = false;
  const send = () => {
    news = false;
    missed = stream.writableNeedDrain;
    if (!missed && stream.writable) stream.write(control.status());
  };
  send();
  const timer = setInterval(send, intervalMs);
  const endChanges = control.onChange(() => {
    // Once a turn: one event changes several things.
    if (!news) queueMicrotask(send);
    news = true;
  });
  const endShutdown = control.onShutdown(() => stream.end());
  const stop = () => {
    clearInterval(timer);
    endChanges();
    endShutdown();
  };
  stream.on('drain', () => {
    if (missed) send();
  });
  stream.on('cancelled', stop);
  stream.on('close', stop);
  stream.on('error', stop);
}

function setZones(
  context: HandlerContext,
  call: ServerUnaryCall<SetZonesRequest, SetZonesResponse>,
  respond: sendUnaryData<SetZonesResponse>,
): void {
  const refused = (error: ErrorFields) => respond(null, { success: false, error: errorOf(error), revision: 0n });
  const elsewhere = notPrimary(context, context.shard.zoneRedirect);
  if (elsewhere !== undefined) return refused(elsewhere);
  const command = zonesCommand(call.request, context.settings.zoneCount);
  if (typeof command === 'string') return refused({ code: ErrorCode.ERROR_BAD_MESSAGE, message: command });
  context.shard.submit(
    command,
    (outcome) => {
      const revision = BigInt(outcome.kind === 'zones' ? outcome.revision : 0);
      respond(null, { success: true, error: undefined, revision });
    },
    () => refused(undecided),
  );
}

function zonesCommand(request: SetZonesRequest, zoneCount: number): SetZonesCommand | string {
  const revision = safeNumber(request.revision);
  if (revision === undefined) return 'revision: expected at most 2^53 - 1';
  if (request.zones.length > zoneCount) return `zones: ${request.zones.length}: expected at most ${zoneCount}`;
  const seen = new Set<string>();
  for (const { zoneId, endpoints } of request.zones) {
    if (!isZoneId(zoneId, zoneCount)) return `zone_id: ${JSON.stringify(zoneId)}: expected 001 to ${zoneCount}`;
    if (seen.has(zoneId)) return `zone_id: ${zoneId}: given twice`;
    if (endpoints.length > endpointsMax) return `zone ${zoneId}: endpoints: expected at most ${endpointsMax}`;
    seen.add(zoneId);
  }
  const zones = request.zones.map(({ zoneId, uid, generation, endpoints }) => ({
    zoneId,
    uid,
    generation: Number(generation),
    endpoints: endpoints.map(({ address, weight }) => ({ address, weight: weight === 0 ? 1 : weight })),
  }));
  return { kind: 'set-zones', revision, zones };
}

function setLimits(
  context: HandlerContext,
  call: ServerUnaryCall<SetOverloadLimitsRequest, SetOverloadLimitsResponse>,
  respond: sendUnaryData<SetOverloadLimitsResponse>,
): void {
  const { protector, router } = context;
  try {
    if (call.request.limits === undefined) throw new Error('limits: missing');
    const limits = limitsFromMessage(call.request.limits);
    protector.setLimits(context.clock.nowMs(), limits);
    router.setTimeoutMs(limits.upstreamTimeoutMs);
    respond(null, { success: true, error: undefined, limits: protector.limits });
  } catch (thrown) {
    const error = errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: errorMessage(thrown) });
    respond(null, { success: false, error, limits: protector.limits });
  }
}

function listSessions(
  context: HandlerContext,
  call: ServerUnaryCall<ListSessionsRequest, ListSessionsResponse>,
  respond: sendUnaryData<ListSessionsResponse>,
): void {
  const { openid, zoneId, pageSize, pageToken } = call.request;
  const size = pageSize === 0 ? pageSizeDefault : Math.min(pageSize, pageSizeMax);
  try {
    const page = context.sessions.list({ openid, zoneId }, size, pageToken);
    respond(null, {
      sessions: page.sessions.map((session) => info(context, session)),
      nextPageToken: page.nextPageToken,
    });
  } catch (thrown) {
    respond({ code: status.INVALID_ARGUMENT, details: errorMessage(thrown) });
  }
}

function info(context: HandlerContext, session: SessionView): SessionInfo {
  const connectionId = context.delivery.connectionOf(session.sessionId);
  const connection = connectionId === undefined ? undefined : context.connections.get(connectionId);
  const idleMs = connection === undefined ? 0 : context.clock.nowMs() - connection.lastFrameMs;
  return {
    sessionId: session.sessionId,
    openid: session.openid,
    clientId: session.clientId,
    userIp: session.userIp,
    state: session.state,
    zoneId: session.zoneId,
    createTimeMs: BigInt(Math.floor(session.createTimeMs)),
    lastActivityMs: connection === undefined ? 0n : BigInt(Math.floor(context.clock.wallMs() - idleMs)),
    nextSeqId: BigInt(session.nextSeqId),
    maxClientSeq: BigInt(session.maxClientSeq),
    ackUpTo: BigInt(session.ackUpTo),
    queueMessages: session.queue.length,
    queueBytes: session.queueBytes,
    connected: connection !== undefined,
  };
}

function kick(
  context: HandlerContext,
  call: ServerUnaryCall<KickSessionRequest, KickSessionResponse>,
  respond: sendUnaryData<KickSessionResponse>,
): void {
  const { sessionId, openid, reason } = call.request;
  const elsewhere = notPrimary(context, context.shard.zoneRedirect);
  if (elsewhere !== undefined) return respond(null, { success: false, error: errorOf(elsewhere) });
  const session = sessionId === '' ? context.sessions.sessionOf(openid) : context.sessions.session(sessionId);
  if (session === undefined || (openid !== '' && session.openid !== openid)) {
    const error = errorOf({ code: ErrorCode.ERROR_SESSION_NOT_FOUND, message: 'no such session' });
    return respond(null, { success: false, error });
  }
  const close = {
    kind: 'close',
    sessionId: session.sessionId,
    code: ErrorCode.ERROR_KICKED,
    reason: reason.slice(0, 200),
  } as const;
  context.shard.submit(
    close,
    () => respond(null, { success: true, error: undefined }),
    () => respond(null, { success: false, error: errorOf(undecided) }),
  );
}
