import type { ServerDuplexStream } from '@grpc/grpc-js';
import type {
  FleetServiceServer,
  ForwardBatch,
  ForwardCall,
  ForwardResult,
  ForwardResultBatch,
} from '../../proto/gen/fleet.ts';
import {
  type GroupMembersRequest,
  type GroupMembersResponse,
  type PresenceRequest,
  type PresenceResponse,
  PushStatus,
  type UnicastPushRequest,
} from '../../proto/gen/upstream.ts';
import { resultOf } from '../fleet/calls.ts';
import type { HandlerContext } from '../handlers/context.ts';
import { changeGroup } from '../handlers/group-members.ts';
import { errorOf } from '../protocol/codec.ts';
import type { PushIdentity } from '../session/command.ts';
import { broadcastHere, groupPushHere, unicastHere } from './local-pushes.ts';
import { identityOf } from './push-conversion.ts';

/** Calls of one stream that wait for their result; beyond it the stream is not read. */
const openCallsMax = 65_536;

type Done = (result: ForwardResult) => void;

/** FleetService: what gateways of other pairs forward. Nothing that comes here is forwarded again. */
export function fleetService(context: HandlerContext): FleetServiceServer {
  return { forward: (stream) => forward(context, stream) };
}

function forward(context: HandlerContext, stream: ServerDuplexStream<ForwardBatch, ForwardResultBatch>): void {
  let results: ForwardResult[] = [];
  let open = 0;
  let ended = false;
  const flush = () => {
    const batch = results;
    results = [];
    if (ended) return;
    if (!stream.write({ results: batch })) {
      stream.pause();
      stream.once('drain', () => stream.resume());
    }
  };
  stream.on('data', ({ calls }: ForwardBatch) => {
    open += calls.length;
    if (open >= openCallsMax) stream.pause();
    for (const call of calls) {
      performCall(context, call, (result) => {
        open -= 1;
        if (open === openCallsMax / 2) stream.resume();
        results.push(result);
        // What is decided in one turn travels together.
        if (results.length === 1) setImmediate(flush);
      });
    }
  });
  stream.on('end', () => {
    ended = true;
    stream.end();
  });
  stream.on('error', () => {
    ended = true;
  });
}

/** Carries a call out in this gateway's shard. */
export function performCall(context: HandlerContext, call: ForwardCall, done: Done): void {
  const { callId } = call;
  const { shard } = context;
  const redirect = (): ForwardResult => {
    return { callId, notPrimary: true, redirect: shard.zoneRedirect, result: undefined };
  };
  if (!shard.serving) return done(redirect());
  switch (call.call?.$case) {
    case 'unicast':
      return unicast(context, call, call.call.value, (result) => done(result ?? redirect()));
    case 'broadcast':
      return broadcastHere(context, call.call.value, identityOfCall(call, call.call.value.pushId), (value) =>
        done(resultOf(callId, { $case: 'broadcast', value })),
      );
    case 'group':
      return groupPushHere(context, call.call.value, identityOfCall(call, call.call.value.pushId), (value) =>
        done(resultOf(callId, { $case: 'broadcast', value })),
      );
    case 'join':
    case 'leave':
      return membersHere(context, call.call.$case, call.call.value, (value) =>
        done(resultOf(callId, { $case: 'members', value })),
      );
    case 'presence':
      return done(resultOf(callId, { $case: 'presence', value: presenceHere(context, call.call.value) }));
    default:
      // A call of a newer release: nothing is done, which is all that is known of it here.
      return done({ callId, notPrimary: false, redirect: '', result: undefined });
  }
}

function identityOfCall({ producerId, number }: ForwardCall, pushId: string): PushIdentity {
  return producerId === '' ? identityOf(pushId) : { kind: 'producer', producerId, number: Number(number) };
}

function unicast(
  context: HandlerContext,
  call: ForwardCall,
  request: UnicastPushRequest,
  done: (result: ForwardResult | undefined) => void,
): void {
  const { callId, probe } = call;
  const identity = identityOfCall(call, request.pushId);
  const { sessions } = context;
  const { openid, sessionId } = request;
  const session = sessionId === '' ? sessions.sessionOf(openid) : sessions.session(sessionId);
  const answer = (status: typeof PushStatus.PUSH_STATUS_NO_SESSION): ForwardResult => {
    const { shard } = context;
    const place = { epoch: BigInt(shard.epoch), shardId: shard.id, history: shard.history };
    const value = { status, seqId: 0n, level: 0 as const, error: undefined, pushId: request.pushId, ...place };
    return resultOf(callId, { $case: 'unicast', value });
  };
  // Not remembered: it is looked for elsewhere, and may be here when it is asked again.
  if (probe && session === undefined && !sessions.remembers(identity)) {
    return done(answer(PushStatus.PUSH_STATUS_NO_SESSION));
  }
  unicastHere(context, request, identity, (value) => {
    const elsewhere = value.status === PushStatus.PUSH_STATUS_NOT_PRIMARY;
    done(elsewhere ? undefined : resultOf(callId, { $case: 'unicast', value }));
  });
}

/** Puts those that are in this shard into a group, or takes them out. */
export function membersHere(
  context: HandlerContext,
  kind: 'join' | 'leave',
  { group, openids, sessionIds }: GroupMembersRequest,
  done: (response: GroupMembersResponse) => void,
): void {
  changeGroup(context, `${kind}-group`, { group, openids, sessionIds }, (result) => {
    if ('error' in result) return done({ success: false, error: errorOf(result.error), changed: 0, missing: [] });
    done({ success: true, error: undefined, changed: result.changed, missing: [...result.missing] });
  });
}

/** Who is online in this shard. */
export function presenceHere(context: HandlerContext, { openids, counts }: PresenceRequest): PresenceResponse {
  const { sessions } = context;
  const pairId = context.fleet?.fleet.pairId ?? '';
  const users = openids.map((openid) => {
    const session = sessions.sessionOf(openid);
    if (session === undefined) return { openid, online: false, connected: false, pairId: '', sessionId: '' };
    return { openid, online: true, connected: session.connected, pairId, sessionId: session.sessionId };
  });
  const { sessions: count, connected } = sessions.counts();
  return { users, pairs: counts ? [{ pairId, reachable: true, sessions: count, connected }] : [], complete: true };
}
