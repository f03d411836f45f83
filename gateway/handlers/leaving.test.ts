import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Goaway, PushType, RequestType, StartRequest } from '../../proto/gen/message.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { ack, business } from '../testing/handler-messages.ts';
import { sweepConnections } from './connection-deadlines.ts';
import { Drain } from './drain.ts';
import { pushToSession } from './push.ts';
import { leaveBlocked } from './step-down.ts';

let gateway: HandlerHarness;
beforeEach(() => {
  gateway = new HandlerHarness();
});

describe('a client ahead of its rate', () => {
  const beat = { type: RequestType.REQUEST_HEARTBEAT };
  const runScheduled = () => {
    for (const { run } of gateway.scheduled.splice(0)) run();
  };

  it('is slowed: its messages wait, in order, and are handled later', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    for (let count = 0; count < 2_100; count += 1) gateway.send(connection, { ...beat, msgId: count + 1 });
    const handled = gateway.pushes(connection).length - 1;
    expect(handled).toBeLessThan(2_100);
    runScheduled();
    const order = Array.from({ length: 2_100 }, (_, at) => at + 1);
    expect(gateway.pushes(connection).map((push) => push.msgId)).toEqual([1, ...order]);
    expect(gateway.closed.has(connection)).toBe(false);
  });

  it('is closed with RATE_EXCEEDED when it goes on', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    for (let count = 0; count < 6_000; count += 1) gateway.send(connection, beat);
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_RATE_EXCEEDED);
  });

  it('whose address is ahead may still log in, a little later', () => {
    const other = gateway.connect();
    for (let noise = 0; noise < 10; noise += 1) {
      const noisy = gateway.start({ openid: 'noisy' }).connection;
      for (let count = 0; count < 2_005; count += 1) gateway.send(noisy, beat);
    }
    const payload = Buffer.from(StartRequest.encode(StartRequest.fromPartial({ openid: 'bob' })).finish());
    gateway.send(other, { type: RequestType.REQUEST_START, payload });
    expect(gateway.context.sessions.sessionOf('bob')).toBeUndefined();
    runScheduled();
    expect(gateway.context.sessions.sessionOf('bob')).toBeDefined();
  });
});

describe('a client that comes back while the gateway is overloaded', () => {
  const lost = { origin: 'lost', code: 0, reason: '' } as const;
  /** START with a token is refused for want of memory; everything else is admitted. */
  const refuseResumes = () =>
    vi.spyOn(gateway.context.protector, 'admit').mockImplementation((_, kind) => {
      if (kind !== 'resume') return { ok: true };
      return { ok: false, reason: 'memory', code: ErrorCode.ERROR_TRY_LATER, retryAfterMs: 700 };
    });

  it('is told when to try again, and its session waits for it (fault 45)', () => {
    const { connection, response } = gateway.start({ openid: 'alice' });
    gateway.dispatcher.connectionClosed(connection, lost);
    const { resumeToken, sessionId } = response;
    const refusing = refuseResumes();
    for (const timeMs of [25_000, 50_000, 75_000]) {
      gateway.context.shard.submit({ kind: 'tick', timeMs });
      const refused = gateway.start({ openid: 'alice', resumeToken, sessionId }).response;
      expect(refused).toMatchObject({
        success: false,
        error: { code: ErrorCode.ERROR_TRY_LATER, retryAfterMs: 700 },
      });
    }
    refusing.mockRestore();
    gateway.context.shard.submit({ kind: 'tick', timeMs: 100_000 });
    const resumed = gateway.start({ resumeToken, sessionId }).response;
    expect(resumed).toMatchObject({ success: true, resumed: true, sessionId });
  });

  it('keeps no session waiting without its token', () => {
    const { connection, response } = gateway.start({ openid: 'alice' });
    gateway.dispatcher.connectionClosed(connection, lost);
    refuseResumes();
    gateway.context.shard.submit({ kind: 'tick', timeMs: 25_000 });
    gateway.start({ openid: 'alice', resumeToken: Buffer.alloc(40, 1), sessionId: response.sessionId });
    gateway.context.shard.submit({ kind: 'tick', timeMs: 31_000 });
    expect(gateway.context.sessions.session(response.sessionId)).toBeUndefined();
  });
});

describe('a client that comes to resume at a backup', () => {
  /** The harness' gateway as a backup that may take over within a second. */
  function backup() {
    const { connection, response } = gateway.start({ openid: 'alice' });
    gateway.dispatcher.connectionClosed(connection, { origin: 'lost', code: 0, reason: '' });
    const shard = { role: 'backup', serving: false, successionWaitMs: 1_000 };
    const become = (change: Partial<typeof shard>) => {
      Object.assign(shard, change);
      for (const [name, value] of Object.entries(shard))
        Object.defineProperty(gateway.context.shard, name, { value, configurable: true });
    };
    become({});
    const { resumeToken, sessionId } = response;
    const { connection: back, answer } = gateway.tryStart({ openid: 'alice', resumeToken, sessionId });
    return { become, back, answer };
  }

  it('waits while the backup takes over, and is served by it', () => {
    const { become, answer } = backup();
    expect(answer()).toBeUndefined();
    become({ role: 'primary', serving: true, successionWaitMs: 0 });
    gateway.context.parkedStarts.release();
    expect(answer()).toMatchObject({ success: true, resumed: true });
    for (const { run } of gateway.scheduled.splice(0)) run();
    expect(answer()).toMatchObject({ success: true, resumed: true });
  });

  it.each([
    ['is told NOT_PRIMARY when it does not', false],
    ['is forgotten when it is gone by then', true],
  ])('%s', (_what, leaves) => {
    const { back, answer } = backup();
    if (leaves) gateway.dispatcher.connectionClosed(back, { origin: 'lost', code: 0, reason: '' });
    for (const { run } of gateway.scheduled.splice(0)) run();
    expect(answer()?.error?.code).toBe(leaves ? undefined : ErrorCode.ERROR_NOT_PRIMARY);
  });

  it('is not kept waiting when it logs in anew', () => {
    backup();
    expect(gateway.start({ openid: 'bob' }).response.error?.code).toBe(ErrorCode.ERROR_NOT_PRIMARY);
  });
});

describe('a primary that can commit nothing', () => {
  it('sends its clients to the peer first, and keeps their sessions (rule 15)', () => {
    const { connection, response } = gateway.start({ openid: 'alice' });
    leaveBlocked(gateway.context, 'nothing can be committed', 'peer:8453');
    const goaway = Goaway.decode(gateway.pushes(connection).at(-1)?.payload ?? Buffer.alloc(0));
    expect(goaway).toMatchObject({ reconnect: true, reason: 'nothing can be committed' });
    expect(goaway.endpoints[0]).toBe('peer:8453');
    gateway.nowMs += 500;
    sweepConnections(gateway.context);
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_GOING_AWAY);
    const { resumeToken, sessionId } = response;
    expect(gateway.start({ resumeToken, sessionId }).response).toMatchObject({ resumed: true, sessionId });
  });
});

describe('leaving', () => {
  it('the newer connection wins; the old one is told not to come back and closed after 5 s', () => {
    const first = gateway.start({ openid: 'alice' });
    const second = gateway.start({ openid: 'alice' });
    expect(second.response.sessionId).toBe(first.response.sessionId);
    const goaway = gateway.pushes(first.connection).at(-1);
    expect(goaway?.type).toBe(PushType.PUSH_GOAWAY);
    gateway.nowMs += 4_999;
    sweepConnections(gateway.context);
    expect(gateway.closed.has(first.connection)).toBe(false);
    gateway.nowMs += 1;
    sweepConnections(gateway.context);
    expect(gateway.closed.get(first.connection)?.code).toBe(ErrorCode.ERROR_REPLACED);
    expect(gateway.closed.has(second.connection)).toBe(false);
  });

  it('STOP ends the session and closes with 0', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.send(connection, { type: RequestType.REQUEST_STOP });
    expect(gateway.closed.get(connection)?.code).toBe(0);
    expect(gateway.context.sessions.sessionOf('alice')).toBeUndefined();
  });

  it('a drain tells the client to go, serves what is under way, then closes with GOING_AWAY', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.send(connection, business(1));
    const drain = new Drain(gateway.context);
    drain.start(0, 30_000);
    expect(gateway.pushes(connection).at(-1)?.type).toBe(PushType.PUSH_GOAWAY);
    gateway.nowMs += 1_000;
    drain.step();
    expect(gateway.closed.has(connection)).toBe(false);
    gateway.answerZone(0);
    gateway.send(connection, ack(1));
    drain.step();
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_GOING_AWAY);
  });

  it('a push reaches the client under the next number; one to nobody is told so at once', () => {
    const { connection } = gateway.start({ openid: 'alice' });
    gateway.clear();
    const statuses: string[] = [];
    const push = (openid: string) =>
      pushToSession(
        gateway.context,
        {
          identity: { kind: 'none' },
          openid,
          sessionId: '',
          data: Buffer.from('news'),
          headers: {},
          bindClientSeq: 0,
          order: 'immediate',
          ttlMs: 0,
        },
        (outcome) => statuses.push(outcome.status),
      );
    push('alice');
    push('nobody');
    expect(statuses).toEqual(['ok', 'no-session']);
    expect(gateway.pushes(connection)[0]).toMatchObject({ seqId: 1n, type: PushType.PUSH_NOTIFY });
    expect(gateway.pushes(connection)[0]?.payload.toString()).toBe('news');
  });
});
