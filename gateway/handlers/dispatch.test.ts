import { beforeEach, describe, expect, it } from 'vitest';
import {
  BusinessResponse,
  Error as ErrorMessage,
  PushType,
  RequestType,
  type ServerPush,
} from '../../proto/gen/message.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { ack, business } from '../testing/handler-messages.ts';
import { sweepConnections } from './connection-deadlines.ts';

let gateway: HandlerHarness;
beforeEach(() => {
  gateway = new HandlerHarness();
});

const codeOf = (push: ServerPush | undefined) =>
  push === undefined ? undefined : ErrorMessage.decode(push.payload).code;
describe('a connection before START', () => {
  it('is closed with PROTOCOL when the first message is no START', () => {
    const connection = gateway.connect();
    gateway.send(connection, { type: RequestType.REQUEST_HEARTBEAT });
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_PROTOCOL);
  });

  it('is closed with PROTOCOL when the first frame is no message at all', () => {
    const connection = gateway.connect();
    gateway.dispatcher.frameReceived(connection, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]));
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_PROTOCOL);
  });

  it('is closed with START_TIMEOUT when it stays silent for 5 s, not before', () => {
    const connection = gateway.connect();
    gateway.nowMs += 4_999;
    sweepConnections(gateway.context);
    expect(gateway.closed.has(connection)).toBe(false);
    gateway.nowMs += 1;
    sweepConnections(gateway.context);
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_START_TIMEOUT);
  });

  it.each([
    ['an openid of 10 KB', { openid: 'x'.repeat(10_240) }],
    ['no openid at all', { openid: '' }],
    ['an openid that is no UTF-8', { openid: 'a\ufffd' }],
  ])('answers %s with BAD_MESSAGE and closes', (_name, start) => {
    const { connection, response } = gateway.start(start);
    expect(response.success).toBe(false);
    expect(response.error?.code).toBe(ErrorCode.ERROR_BAD_MESSAGE);
    for (const { run } of gateway.scheduled) run();
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_BAD_MESSAGE);
    expect(gateway.context.sessions.counts().sessions).toBe(0);
  });
});

describe('messages after START', () => {
  it.each([
    ['an unknown type', { type: 99 as RequestType, msgId: 7 }],
    ['seq_id 0 on BUSINESS', { ...business(1), seqId: 0n, msgId: 7 }],
    ['a seq_id on HEARTBEAT', { type: RequestType.REQUEST_HEARTBEAT, seqId: 3n, msgId: 7 }],
    ['a seq_id beyond 2^53', { ...business(1), seqId: 2n ** 60n, msgId: 7 }],
    ['a payload that is no BusinessRequest', { ...business(1), payload: Buffer.from([0x0a, 0xff]), msgId: 7 }],
    [
      'too many headers',
      { ...business(1), msgId: 7, headers: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`h${i}`, 'x'])) },
    ],
  ])('rejects %s with BAD_MESSAGE and keeps the session', (_name, request) => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.clear();
    gateway.send(connection, request);
    expect(gateway.pushes(connection)).toHaveLength(1);
    expect(gateway.pushes(connection)[0]?.msgId).toBe(7);
    expect(codeOf(gateway.pushes(connection)[0])).toBe(ErrorCode.ERROR_BAD_MESSAGE);
    gateway.send(connection, { msgId: 8, type: RequestType.REQUEST_HEARTBEAT });
    expect(gateway.pushes(connection)[1]).toMatchObject({
      msgId: 8,
      type: PushType.PUSH_HEARTBEAT_RESPONSE,
      seqId: 0n,
    });
    expect(gateway.closed.has(connection)).toBe(false);
  });

  it('a second START and an ack past the end end the session with PROTOCOL', () => {
    const second = gateway.start({ openid: 'alice' });
    gateway.send(second.connection, { type: RequestType.REQUEST_START });
    expect(gateway.closed.get(second.connection)?.code).toBe(ErrorCode.ERROR_PROTOCOL);
    const past = gateway.start({ openid: 'bob' });
    gateway.send(past.connection, ack(1));
    expect(gateway.closed.get(past.connection)?.code).toBe(ErrorCode.ERROR_PROTOCOL);
    expect(gateway.context.sessions.counts().sessions).toBe(0);
  });

  it('a silent connection is closed with IDLE_TIMEOUT and its session stays', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.nowMs += 30_000;
    sweepConnections(gateway.context);
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_IDLE_TIMEOUT);
    expect(gateway.context.sessions.sessionOf('alice')).toBeDefined();
  });
});

describe('requests', () => {
  it('a zone answer takes the next number, repeats the msg_id and activates the session', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.clear();
    gateway.send(connection, business(1));
    expect(gateway.zoneCalls[0]?.request).toMatchObject({
      openid: 'alice',
      zoneId: '003',
      clientSeq: 1,
      action: 'echo',
    });
    gateway.answerZone(0, 'there');
    const [push] = gateway.pushes(connection);
    expect(push).toMatchObject({ msgId: 101, seqId: 1n, type: PushType.PUSH_BUSINESS_RESPONSE });
    const response = BusinessResponse.decode(push?.payload ?? new Uint8Array(0));
    expect(response).toMatchObject({ success: true, clientSeqId: 1n });
    expect(response.data.toString()).toBe('there');
    expect(gateway.context.sessions.sessionOf('alice')).toMatchObject({ state: 'normal', zoneId: '003' });
  });

  it('a repeat of an unanswered request is answered once', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.clear();
    gateway.send(connection, business(1));
    gateway.send(connection, business(1));
    expect(gateway.zoneCalls).toHaveLength(1);
    gateway.answerZone(0);
    expect(gateway.pushes(connection)).toHaveLength(1);
  });

  it('without a zone the request is refused under seq_id 0 and its number may be sent again', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.clear();
    gateway.zonesAvailable = false;
    gateway.send(connection, business(1));
    expect(gateway.pushes(connection)[0]).toMatchObject({ seqId: 0n, type: PushType.PUSH_ERROR });
    expect(codeOf(gateway.pushes(connection)[0])).toBe(ErrorCode.ERROR_ZONE_UNAVAILABLE);
    gateway.zonesAvailable = true;
    gateway.send(connection, business(1));
    expect(gateway.zoneCalls).toHaveLength(1);
  });

  it('a request that never reached the zone is given back; one whose outcome is unknown is answered so', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.clear();
    gateway.send(connection, business(1));
    const failed = { kind: 'failed', message: 'gone', retryAfterMs: 5 } as const;
    gateway.zoneCalls[0]?.answer({ ...failed, code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false });
    expect(codeOf(gateway.pushes(connection)[0])).toBe(ErrorCode.ERROR_ZONE_UNAVAILABLE);
    gateway.send(connection, business(1));
    expect(gateway.zoneCalls).toHaveLength(2);
    gateway.zoneCalls[1]?.answer({ ...failed, code: ErrorCode.ERROR_ZONE_TIMEOUT, reached: true });
    const push = gateway.pushes(connection)[1];
    expect(push).toMatchObject({ seqId: 1n, type: PushType.PUSH_BUSINESS_RESPONSE });
    const response = BusinessResponse.decode(push?.payload ?? new Uint8Array(0));
    expect(response.success).toBe(false);
    expect(response.error?.code).toBe(ErrorCode.ERROR_ZONE_TIMEOUT);
  });

  it('an answer that came after the break is delivered on the new connection, once', () => {
    const first = gateway.start({ openid: 'alice' });
    gateway.send(first.connection, business(1));
    gateway.dispatcher.connectionClosed(first.connection, { origin: 'lost', code: 0, reason: '' });
    const { sessionId, resumeToken, epoch } = first.response;
    const second = gateway.start({ openid: 'alice', resumeToken, sessionId, epoch, receivedSeqId: 0n });
    expect(second.response).toMatchObject({ success: true, resumed: true, nextSeqId: 1n, sessionId });
    gateway.send(second.connection, business(1));
    expect(gateway.zoneCalls).toHaveLength(1);
    gateway.answerZone(0);
    const numbered = gateway.pushes(second.connection).filter((push) => push.seqId > 0n);
    expect(numbered.map((push) => push.seqId)).toEqual([1n]);
  });
});
