import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type {
  BroadcastPushRequest,
  BroadcastPushResponse,
  GroupMembersRequest,
  GroupMembersResponse,
  GroupPushRequest,
  PresenceRequest,
  PresenceResponse,
  UnicastPushRequest,
  UnicastPushResponse,
} from '../../proto/gen/upstream.ts';
import { askPresence, changeMembers as changeMembersOf } from '../fleet/ask-pairs.ts';
import { noProducer, type ProducerNumber } from '../fleet/calls.ts';
import type { HandlerContext } from '../handlers/context.ts';
import { notPrimary } from '../handlers/leadership.ts';
import { errorOf } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { PushIdentity } from '../session/command.ts';
import { membersHere, presenceHere } from './fleet-service.ts';
import { broadcastHere, groupPushHere, unicastHere } from './local-pushes.ts';
import { groupProblem } from './push-conversion.ts';

/** Users of one presence or group request. */
const namesMax = 10_000;

const numberOf = (identity: PushIdentity): ProducerNumber => (identity.kind === 'producer' ? identity : noProducer);

/** A push to a session, wherever in the fleet it is. */
export function unicast(
  context: HandlerContext,
  request: UnicastPushRequest,
  identity: PushIdentity,
  done: (response: UnicastPushResponse) => void,
): void {
  const { fleet, sessions } = context;
  const { openid, sessionId } = request;
  if (fleet !== undefined && (openid !== '' || sessionId !== '')) {
    const here = sessionId === '' ? sessions.sessionOf(openid) : sessions.session(sessionId);
    if (here === undefined && fleet.unicast(request, numberOf(identity), done)) return;
  }
  unicastHere(context, request, identity, done);
}

/** A broadcast to every pair of the fleet. */
export function broadcast(
  context: HandlerContext,
  request: BroadcastPushRequest,
  identity: PushIdentity,
  done: (response: BroadcastPushResponse) => void,
): void {
  const { fleet } = context;
  if (fleet?.fleet.map === undefined || notPrimary(context) !== undefined) {
    return broadcastHere(context, request, identity, done);
  }
  fleet.toAll({ $case: 'broadcast', value: request }, numberOf(identity), done);
}

/** A push to a group, whose sessions may be at any pair. */
export function groupPush(
  context: HandlerContext,
  request: GroupPushRequest,
  identity: PushIdentity,
  done: (response: BroadcastPushResponse) => void,
): void {
  const { fleet } = context;
  if (fleet?.fleet.map === undefined || notPrimary(context) !== undefined || groupProblem(request.group) !== '') {
    return groupPushHere(context, request, identity, done);
  }
  fleet.toAll({ $case: 'group', value: request }, numberOf(identity), done);
}

/** JoinGroup and LeaveGroup. */
export function changeMembers(
  context: HandlerContext,
  kind: 'join' | 'leave',
  request: GroupMembersRequest,
): Promise<GroupMembersResponse> {
  const names = request.openids.length + request.sessionIds.length;
  const problem = groupProblem(request.group) || (names > namesMax ? tooMany(names) : '');
  if (problem !== '') {
    const error = errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: problem });
    return Promise.resolve({ success: false, error, changed: 0, missing: [] });
  }
  const { fleet } = context;
  if (fleet?.fleet.map !== undefined && notPrimary(context) === undefined) return changeMembersOf(fleet, kind, request);
  return new Promise((resolve) => membersHere(context, kind, request, resolve));
}

/** Who is online, and where. */
export function presence(
  context: HandlerContext,
  call: ServerUnaryCall<PresenceRequest, PresenceResponse>,
  respond: sendUnaryData<PresenceResponse>,
): void {
  const { request } = call;
  if (request.openids.length > namesMax) {
    return respond({ code: status.INVALID_ARGUMENT, details: tooMany(request.openids.length) });
  }
  const { fleet } = context;
  if (fleet?.fleet.map === undefined) return respond(null, presenceHere(context, request));
  askPresence(fleet, request).then((answer) => respond(null, answer), respond);
}

function tooMany(names: number): string {
  return `openids: ${names}: expected at most ${namesMax}`;
}
