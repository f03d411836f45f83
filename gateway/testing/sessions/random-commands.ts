import fc from 'fast-check';
import type { Command, PushGroupCommand, PushIdentity } from '../../session/command.ts';
import type { ReferenceShard } from './reference-shard.ts';
import type { RefSession } from './reference-state.ts';

/** Numbers from which a command is made once the state it meets is known. */
export type Draw = readonly [kind: number, a: number, b: number, c: number];

export const draws: fc.Arbitrary<readonly Draw[]> = fc.array(
  fc.tuple(fc.nat(99), fc.nat(999), fc.nat(999), fc.nat(999)),
  { minLength: 1, maxLength: 120, size: 'max' },
);

const openids = ['ann', 'bob', 'cat', 'dan'];
const noSession = { id: 'nobody', binding: 1, heldBinding: 0, acked: 0, messages: [], max: 0 };

/** A command that may make sense: mostly about sessions that exist, sometimes beside them. */
export function drawCommand(reference: ReferenceShard, [kind, a, b, c]: Draw, newSessionId: string): Command {
  const session = reference.sessions[a % Math.max(1, reference.sessions.length)] ?? noSession;
  const sessionId = session.id;
  const clientSeq = 1 + (b % 4 === 0 ? b : Math.max(0, session.max - 3 + (b % 7)));
  const identity = drawIdentity(b, c);
  const body = new Uint8Array(c % 17 === 0 ? 700 : c % 70);
  const ttlMs = c % 3 === 0 ? 1 + c : 0;
  if (kind < 14) return { kind: 'tick', timeMs: reference.timeMs + (a % 6 === 0 ? b * 4 : b % 200) };
  if (kind < 28) return drawStart(session, a, b, c, newSessionId);
  if (kind < 32) return { kind: 'confirm', sessionId, binding: session.binding - (b % 2) };
  if (kind < 37) return { kind: 'detach', sessionId, binding: session.binding - (b % 4 === 0 ? 1 : 0) };
  if (kind < 52) {
    return { kind: 'admit', sessionId, binding: session.binding - (c % 15 === 0 ? 1 : 0), clientSeq, msgId: c };
  }
  if (kind < 55) return { kind: 'withdraw', sessionId, clientSeq };
  if (kind < 65) {
    const zone = c % 2 === 0 ? { zoneId: '001' } : {};
    return { kind: 'answer', sessionId, clientSeq, body, overflowBody: new Uint8Array(2), ...zone };
  }
  if (kind < 82) {
    const order = c % 3 === 0 ? 'before' : c % 3 === 1 ? 'after' : 'immediate';
    const to = a % 2 === 0 ? { openid: openids[a % 5] ?? 'eve', sessionId: '' } : { openid: '', sessionId };
    return { kind: 'push', identity, body, bindClientSeq: clientSeq, order, ttlMs, ...to };
  }
  if (kind < 90) return drawOfGroup(kind, sessionId, a, b, { identity, body, ttlMs });
  if (kind < 92) {
    const zoneIds = b % 2 === 0 ? [] : ['001'];
    const to = c % 2 === 0 ? [] : openids.slice(0, c % 4);
    return { kind: 'broadcast', identity, body, ttlMs, zoneIds, openids: to };
  }
  if (kind < 97) return { kind: 'ack', sessionId, upTo: session.acked + (b % 5) };
  if (kind < 99) return { kind: 'close', sessionId, code: b % 2 === 0 ? 0 : 4006, reason: 'test' };
  return { kind: 'promote', epoch: reference.epoch + (b % 5 === 0 ? 0 : 1), history: 'h' };
}

function drawStart(
  session: Pick<RefSession, 'id' | 'binding' | 'heldBinding' | 'acked' | 'messages'>,
  a: number,
  b: number,
  c: number,
  newSessionId: string,
): Command {
  const withToken = b % 2 === 0;
  const binding = b % 3 === 0 ? session.heldBinding : session.binding - (b % 5 === 0 ? 1 : 0);
  const received =
    c % 9 === 0 ? c % 30 : session.acked + (c % Math.max(1, session.messages.length - session.acked + 1));
  const policies = ['resume', 'resume', 'replace', 'refuse'] as const;
  return {
    kind: 'start',
    openid: withToken ? '' : (openids[a % openids.length] ?? ''),
    clientId: '',
    userIp: '',
    connection: 1,
    wallMs: 0,
    secondLogin: policies[a % 4] ?? 'resume',
    newSessionId,
    ...(withToken ? { token: { sessionId: session.id, binding } } : {}),
    ...(c % 4 === 0 ? {} : { place: { sessionId: session.id, epoch: a % 9, receivedSeqId: received } }),
  };
}

function drawOfGroup(
  kind: number,
  sessionId: string,
  a: number,
  b: number,
  push: Pick<PushGroupCommand, 'identity' | 'body' | 'ttlMs'>,
): Command {
  const group = `g${b % 3}`;
  if (kind < 85) return { kind: 'push-group', group, ...push };
  const members = { openids: a % 2 === 0 ? openids.slice(0, a % 5) : [], sessionIds: b % 2 === 0 ? [sessionId] : [] };
  return { kind: kind < 88 ? 'join-group' : 'leave-group', group, ...members };
}

function drawIdentity(b: number, c: number): PushIdentity {
  if (b % 3 === 0) return { kind: 'none' };
  if (b % 3 === 1) return { kind: 'id', pushId: `p${c % 40}` };
  return { kind: 'producer', producerId: `zone${b % 2}`, number: 1 + (c % 60) };
}
