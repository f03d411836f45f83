import { PushType } from '../../proto/gen/message.ts';
import { encodePushBody, type Headers } from '../protocol/codec.ts';
import type { BroadcastCommand, PushGroupCommand, PushIdentity, PushOrderKind } from '../session/command.ts';
import type { BroadcastOutcome, PushOutcome } from '../session/effect.ts';
import type { HandlerContext } from './context.ts';
import { notPrimary } from './leadership.ts';

/** Room for the numbers and tags around a body in its frame. */
const frameOverheadBytes = 32;
export const pushIdBytesMax = 128;

export interface PushRequest {
  readonly identity: PushIdentity;
  readonly openid: string;
  readonly sessionId: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
  readonly bindClientSeq: number;
  readonly order: PushOrderKind;
  readonly ttlMs: number;
}

export interface BroadcastRequest {
  readonly identity: PushIdentity;
  readonly data: Uint8Array;
  readonly headers: Headers;
  readonly ttlMs: number;
  readonly zoneIds: readonly string[];
  readonly openids: readonly string[];
}

export interface GroupPush {
  readonly identity: PushIdentity;
  readonly group: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
  readonly ttlMs: number;
}

const refusedPush = (status: PushOutcome['status']): PushOutcome => ({
  kind: 'push',
  status,
  sessionId: '',
  seqId: 0,
  repeated: false,
});

/** UnicastPush: takes the session's next number, or a status that says why not. `done` is called once it is committed. */
export function pushToSession(context: HandlerContext, push: PushRequest, done: (outcome: PushOutcome) => void): void {
  if (push.openid === '' && push.sessionId === '') return done(refusedPush('invalid'));
  if (notPrimary(context) !== undefined) return done(refusedPush('not-primary'));
  const nowMs = context.clock.nowMs();
  if (!context.protector.admit(nowMs, 'push-unicast').ok) return done(refusedPush('overloaded'));
  const body = bodyOf(context, push.data, push.headers);
  if (body === undefined) return done(refusedPush('too-large'));
  context.shard.submit(
    {
      kind: 'push',
      identity: push.identity,
      openid: push.openid,
      sessionId: push.sessionId,
      body,
      bindClientSeq: push.bindClientSeq,
      order: push.order,
      ttlMs: push.ttlMs,
    },
    (outcome) => {
      if (outcome.kind !== 'push') return;
      context.meter.committed(context.clock.nowMs() - nowMs);
      context.meter.request('push', outcome.status === 'ok' ? 'ok' : 'refused', 0);
      done(outcome);
    },
    () => done(refusedPush('unknown')),
  );
  context.turn.ask();
}

/** BroadcastPush: one command for all sessions it matches, its bytes encoded once. */
export function pushToMany(
  context: HandlerContext,
  push: BroadcastRequest,
  done: (outcome: BroadcastOutcome) => void,
): void {
  const { identity, ttlMs, zoneIds, openids } = push;
  submitToMany(context, push, (body) => ({ kind: 'broadcast', identity, body, ttlMs, zoneIds, openids }), done);
}

/** GroupPush: a broadcast to the sessions of a group. */
export function pushToGroup(context: HandlerContext, push: GroupPush, done: (outcome: BroadcastOutcome) => void): void {
  const { identity, ttlMs, group } = push;
  submitToMany(context, push, (body) => ({ kind: 'push-group', identity, body, ttlMs, group }), done);
}

function submitToMany(
  context: HandlerContext,
  { data, headers }: Pick<BroadcastRequest, 'data' | 'headers'>,
  command: (body: Uint8Array) => BroadcastCommand | PushGroupCommand,
  done: (outcome: BroadcastOutcome) => void,
): void {
  const refused = (status: BroadcastOutcome['status']) =>
    done({ kind: 'broadcast', status, matched: 0, accepted: 0, repeated: false });
  if (notPrimary(context) !== undefined) return refused('not-primary');
  const nowMs = context.clock.nowMs();
  if (!context.protector.admit(nowMs, 'push-broadcast').ok) return refused('overloaded');
  const body = bodyOf(context, data, headers);
  if (body === undefined) return refused('too-large');
  context.shard.submit(
    command(body),
    (outcome) => {
      if (outcome.kind !== 'broadcast') return;
      context.meter.committed(context.clock.nowMs() - nowMs);
      context.meter.request('broadcast', outcome.status === 'ok' ? 'ok' : 'refused', 0);
      done(outcome);
    },
    () => refused('unknown'),
  );
  context.turn.ask();
}

function bodyOf(context: HandlerContext, data: Uint8Array, headers: Headers): Uint8Array | undefined {
  const max = context.settings.maxFrameBytes - frameOverheadBytes;
  if (data.length > max) return undefined;
  const body = encodePushBody(PushType.PUSH_NOTIFY, data, headers);
  return body.length > max ? undefined : body;
}
