import { describe, expect, it } from 'vitest';
import {
  AckRequest,
  ErrorCode,
  Goaway,
  PushType,
  RequestType,
  ServerPush,
  StartRequest,
} from '../../proto/gen/message.ts';
import { ClosedError, ConnectError, ProtocolViolationError } from './client-errors.ts';
import { SimulatedWorld } from './testing/simulated-world.ts';

function connected(...options: ConstructorParameters<typeof SimulatedWorld>): SimulatedWorld {
  const world = new SimulatedWorld(...options);
  world.connect();
  expect(world.state).toBe('connected');
  return world;
}

function starts(world: SimulatedWorld): StartRequest[] {
  return world.sentOf(RequestType.REQUEST_START).map((request) => StartRequest.decode(request.payload));
}

function acks(world: SimulatedWorld): number[] {
  return world.sentOf(RequestType.REQUEST_ACK).map(({ payload }) => Number(AckRequest.decode(payload).ackUpTo));
}

function tell(world: SimulatedWorld, type: PushType, seqId: number, payload: Uint8Array): void {
  const push = { msgId: 0, seqId: BigInt(seqId), type, payload: Buffer.from(payload), headers: {} };
  world.connection?.down.push(ServerPush.encode(push).finish());
  world.deliverDown(1);
}

function goaway(world: SimulatedWorld, fields: Partial<Goaway>): void {
  tell(world, PushType.PUSH_GOAWAY, 0, Goaway.encode(Goaway.fromPartial(fields)).finish());
}

describe('START', () => {
  it('proves the openid at the login, and names place and newest token at a resume', () => {
    const world = connected();
    world.gateway.push(world.connection, 'one');
    world.exchange();
    world.cut();
    world.heal(20);
    const [login, resume] = starts(world);
    expect(login).toMatchObject({ openid: 'alice', authToken: 't', clientId: 'c', sessionId: '', receivedSeqId: 0n });
    expect(resume).toMatchObject({ authToken: '', sessionId: 'session-1', epoch: 10n, receivedSeqId: 1n });
    expect(resume?.resumeToken.toString()).toBe('session-1/1');
    expect(world.effectsOf('state').at(-1)?.detail.resumed).toBe(true);
    world.cut();
    world.heal(20);
    expect(starts(world)[2]?.resumeToken.toString()).toBe('session-1/2');
  });

  it('asks for a fresh token at each login, and not for a resume', () => {
    const world = new SimulatedWorld({}, 1, 'ask');
    expect(world.effectsOf('token')).toHaveLength(1);
    expect(world.dialed).toEqual([]);
    world.session.tokenReady(1, 'fresh', world.nowMs);
    world.settle();
    world.connect();
    expect(starts(world)[0]?.authToken).toBe('fresh');
    world.cut();
    world.heal(20);
    expect(world.effectsOf('token')).toHaveLength(1);
    expect(world.state).toBe('connected');
  });

  it('refuses a lower epoch, and comes back where the higher one is', () => {
    const world = connected();
    world.gateway.stale = true;
    world.cut();
    world.advance(250);
    world.connect();
    expect(world.effectsOf('warning').at(-1)?.error).toBeInstanceOf(ProtocolViolationError);
    expect(world.session.epoch).toBe(10);
    world.heal(20);
    expect(world.state).toBe('connected');
    expect(world.effectsOf('reset')).toEqual([]);
  });

  it('follows a redirect at once, but not for ever', () => {
    const world = new SimulatedWorld();
    for (let i = 0; i < 6; i += 1) world.gateway.startErrors.push({ code: 2003, redirect: 'elsewhere:9' });
    for (let i = 0; i < 6; i += 1) world.connect();
    expect(world.dialed).toEqual(['a:1', 'elsewhere:9', 'elsewhere:9', 'elsewhere:9', 'elsewhere:9']);
    expect(world.effectsOf('state').at(-1)?.detail.delayMs).toBeGreaterThan(0);
  });

  it('waits at least as long as the gateway says', () => {
    const world = new SimulatedWorld();
    world.gateway.startErrors.push({ code: ErrorCode.ERROR_TRY_LATER, retryAfterMs: 3_000 });
    world.connect();
    expect(world.effectsOf('state').at(-1)?.detail.delayMs).toBeGreaterThanOrEqual(3_000);
  });

  it('ends with what the last gateway said when the deadline passes', () => {
    const refused = new SimulatedWorld({ connectDeadlineMs: 2_000 });
    for (let i = 0; i < 50; i += 1) refused.gateway.startErrors.push({ code: 2008 });
    refused.heal(100);
    expect(refused.effectsOf('state').at(-1)?.detail.error).toMatchObject({
      name: 'ConnectError',
      codeName: 'TRY_LATER',
    });
    const silent = new SimulatedWorld({ connectDeadlineMs: 2_000 });
    silent.advance(2_000);
    expect(silent.effectsOf('state').at(-1)?.detail.error).toMatchObject({ name: 'ConnectError', code: 0 });
  });
});

describe('codes', () => {
  it.each([4003, 4005, 4999, 5001])('%i at the login is final', (code) => {
    const world = new SimulatedWorld();
    world.gateway.startErrors.push({ code });
    world.connect();
    const { error } = world.effectsOf('state').at(-1)?.detail ?? {};
    expect(error).toBeInstanceOf(ConnectError);
    expect(error?.code).toBe(code);
    world.heal(20);
    expect(world.dialed).toHaveLength(1);
  });

  it('REPLACED stops without STOP, told by GOAWAY or by the close', () => {
    const told = connected();
    goaway(told, { reason: 'REPLACED', reconnect: false });
    const closed = connected();
    if (closed.connection !== undefined) closed.connection.closedWith = ErrorCode.ERROR_REPLACED;
    closed.exchange();
    for (const world of [told, closed]) {
      expect(world.effectsOf('state').at(-1)?.detail.error).toMatchObject({
        name: 'ClosedError',
        codeName: 'REPLACED',
      });
      world.heal(20);
      expect(world.dialed).toHaveLength(1);
      expect(world.sentOf(RequestType.REQUEST_STOP)).toEqual([]);
    }
  });

  it.each([ErrorCode.ERROR_SESSION_NOT_FOUND, ErrorCode.ERROR_SESSION_RESET, 3999])(
    '%i drops the numbers, says so, fails what was sent and keeps what was not',
    (code) => {
      const world = connected({ openRequestsMax: 1 });
      world.request(1);
      world.request(2);
      world.gateway.startErrors.push({ code });
      world.cut();
      world.heal(40);
      expect(world.effectsOf('reset')).toMatchObject([{ reset: { code, lostRequests: 1 } }]);
      expect(world.settled.get(1)).toMatchObject({ ok: false, outcome: 'unknown' });
      expect(world.settled.get(2)).toMatchObject({ ok: true, text: 're:request-2' });
      expect(starts(world).at(-1)).toMatchObject({ sessionId: '', receivedSeqId: 0n, authToken: 't' });
      expect(world.session.sessionId).toBe('session-2');
    },
  );

  it('a fixed token that has expired is final', () => {
    const world = new SimulatedWorld();
    world.gateway.startErrors.push({ code: ErrorCode.ERROR_TOKEN_EXPIRED });
    world.connect();
    expect(world.effectsOf('state').at(-1)?.detail.error?.codeName).toBe('TOKEN_EXPIRED');
  });
});

describe('GOAWAY', () => {
  it('moves to the endpoint it names after the time it names', () => {
    const world = connected();
    goaway(world, { reason: 'drain', reconnect: true, reconnectAfterMs: 400, endpoints: ['c:3'] });
    world.advance(399);
    expect(world.state).toBe('connected');
    world.advance(500);
    expect(world.dialed.at(-1)).toBe('c:3');
    world.connect();
    expect(world.state).toBe('connected');
    expect(world.session.sessionId).toBe('session-1');
  });
});

describe('numbers', () => {
  it('drops a repeat and acknowledges it again', () => {
    const world = connected();
    world.gateway.push(world.connection, 'one');
    world.exchange();
    world.advance(50);
    expect(acks(world)).toEqual([1]);
    tell(world, PushType.PUSH_NOTIFY, 1, Buffer.from('one'));
    expect(acks(world)).toEqual([1, 1]);
    expect(world.effectsOf('push')).toHaveLength(1);
  });

  it('takes a gap for a broken promise: gives the connection up and resumes where it was', () => {
    const world = connected();
    tell(world, PushType.PUSH_NOTIFY, 2, Buffer.from('two'));
    expect(world.effectsOf('warning').at(-1)?.error).toMatchObject({ name: 'ProtocolViolationError' });
    expect(world.effectsOf('push')).toEqual([]);
    expect(world.state).toBe('reconnecting');
    world.heal(100);
    expect(starts(world).at(-1)).toMatchObject({ sessionId: 'session-1', receivedSeqId: 0n });
  });

  it.each([
    ['a notify without a number', PushType.PUSH_NOTIFY, 0],
    ['a numbered heartbeat', PushType.PUSH_HEARTBEAT_RESPONSE, 1],
    ['an unknown type', 99 as PushType, 0],
    ['a second answer to START', PushType.PUSH_START_RESPONSE, 0],
  ])('%s ends the connection', (_what, type, seqId) => {
    const world = connected();
    tell(world, type, seqId, new Uint8Array());
    expect(world.effectsOf('warning').at(-1)?.error).toBeInstanceOf(ProtocolViolationError);
    expect(world.state).toBe('reconnecting');
  });

  it('acknowledges every 32 messages, and after 50 ms', () => {
    const world = connected();
    for (let i = 1; i <= 31; i += 1) world.gateway.push(world.connection, `${i}`);
    world.exchange();
    expect(acks(world)).toEqual([]);
    world.gateway.push(world.connection, '32');
    world.exchange();
    expect(acks(world)).toEqual([32]);
    world.gateway.push(world.connection, '33');
    world.exchange();
    world.advance(49);
    expect(acks(world)).toEqual([32]);
    world.advance(1);
    expect(acks(world)).toEqual([32, 33]);
  });
});

describe('liveness', () => {
  it('beats, and takes silence after a beat for a dead connection', () => {
    const world = connected();
    world.advance(10_000);
    expect(world.sentOf(RequestType.REQUEST_HEARTBEAT)).toHaveLength(1);
    world.exchange();
    world.advance(5_000);
    expect(world.state).toBe('connected');
    world.advance(5_000);
    expect(world.sentOf(RequestType.REQUEST_HEARTBEAT)).toHaveLength(2);
    world.advance(5_000);
    expect(world.state).toBe('reconnecting');
    expect(world.dialed.at(-1)).not.toBe('b:2');
  });
});

describe('close', () => {
  it('sends STOP and waits for the close, but not for ever', () => {
    const answered = connected();
    answered.session.close(answered.nowMs);
    answered.settle();
    expect(answered.state).toBe('connected');
    answered.exchange();
    expect(answered.state).toBe('closed');
    expect(answered.gateway.sessions.size).toBe(0);
    const silent = connected();
    silent.session.close(silent.nowMs);
    silent.settle();
    silent.advance(1_999);
    expect(silent.state).toBe('connected');
    silent.advance(1);
    expect(silent.state).toBe('closed');
    expect(silent.effectsOf('state').at(-1)?.detail.error).toBeUndefined();
  });

  it('ends the requests, those that never left as refused', () => {
    const world = connected({ openRequestsMax: 1 });
    world.request(1);
    world.request(2);
    world.session.close(world.nowMs);
    world.settle();
    world.request(3);
    expect([...world.settled].map(([id, { outcome }]) => [id, outcome])).toEqual([
      [1, 'unknown'],
      [2, 'refused'],
      [3, 'refused'],
    ]);
  });

  it('knows the end of the session for what it is', () => {
    const world = connected();
    if (world.connection !== undefined) world.connection.closedWith = 0;
    world.exchange();
    expect(world.effectsOf('state').at(-1)?.detail.error).toBeInstanceOf(ClosedError);
  });
});
