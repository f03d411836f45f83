import { describe, expect, it } from 'vitest';
import { ErrorCode, RequestType } from '../../proto/gen/message.ts';
import { SimulatedWorld } from './testing/simulated-world.ts';

function connected(...options: ConstructorParameters<typeof SimulatedWorld>): SimulatedWorld {
  const world = new SimulatedWorld(...options);
  world.connect();
  return world;
}

function seqs(world: SimulatedWorld): number[] {
  return world.sentOf(RequestType.REQUEST_BUSINESS).map(({ seqId }) => Number(seqId));
}

describe('requests', () => {
  it('go out again under the same numbers at once after a resume', () => {
    const world = connected();
    world.request(1);
    world.request(2);
    world.deliverUp(1);
    world.cut();
    world.advance(250);
    world.connect();
    expect(seqs(world)).toEqual([1, 2, 1, 2]);
    world.heal(5);
    expect([...world.gateway.executions.values()]).toEqual([1, 1]);
    expect(world.settled.get(2)?.ok).toBe(true);
  });

  it('begin above what the session has seen', () => {
    const world = new SimulatedWorld();
    world.answerDial();
    world.deliverUp(1);
    const session = world.gateway.current;
    expect(session).toBeDefined();
    world.cut();
    if (session !== undefined) session.maxClientSeq = 41;
    world.advance(250);
    world.request(1);
    // A login takes the session over that another process of this user left.
    if (session !== undefined) world.gateway.sessions.set('', session);
    world.connect();
    expect(seqs(world)).toEqual([42]);
  });

  it('never use a number again, also after the gateway lost the session', () => {
    const world = connected();
    world.request(1);
    world.exchange();
    world.gateway.answer(world.connection);
    world.exchange();
    world.gateway.sessions.clear();
    world.cut();
    world.advance(250);
    world.connect();
    world.heal(5);
    world.request(2);
    world.exchange();
    const used = seqs(world);
    expect(used[0]).toBe(1);
    expect(Math.min(...used.slice(1))).toBeGreaterThan(1);
    expect(used.length).toBeGreaterThan(1);
  });

  it('wait when 64 are open, or when the lowest open number is 63 behind', () => {
    const world = connected();
    for (let id = 1; id <= 70; id += 1) world.request(id);
    expect(seqs(world)).toHaveLength(64);
    world.exchange();
    const [first] = world.gateway.current?.open ?? [];
    world.gateway.current?.open.delete(1);
    for (let i = 0; i < 10; i += 1) world.gateway.answer(world.connection);
    world.exchange();
    expect(seqs(world)).toHaveLength(64);
    if (first !== undefined) world.gateway.current?.open.set(1, first[1]);
    world.heal(100);
    expect(world.settled.size).toBe(70);
    expect([...world.settled.values()].every(({ ok }) => ok)).toBe(true);
  });

  it('are refused here when too many wait, and when one is larger than a frame', () => {
    const world = connected({ openRequestsMax: 1, waitingRequestsMax: 2, maxFrameBytes: 200 });
    for (let id = 1; id <= 4; id += 1) world.request(id);
    expect(world.effectsOf('fail')).toMatchObject([{ id: 4, error: { codeName: 'QUEUE_FULL', outcome: 'refused' } }]);
    const large = { id: 9, action: 'do', data: new Uint8Array(200), headers: {}, timeoutMs: 1_000, retry: true };
    world.session.request(large, world.nowMs);
    world.settle();
    expect(world.effectsOf('fail').at(-1)).toMatchObject({ id: 9, error: { codeName: 'TOO_LARGE' } });
  });

  it('that a gateway refuses for now are tried again within their time, under the same number', () => {
    const world = connected();
    world.gateway.refusals.push(ErrorCode.ERROR_RATE_LIMITED);
    world.request(1);
    world.exchange();
    expect(seqs(world)).toEqual([1]);
    world.advance(99);
    expect(seqs(world)).toEqual([1]);
    world.advance(101);
    expect(seqs(world)).toEqual([1, 1]);
    world.heal(5);
    expect(world.settled.get(1)?.ok).toBe(true);
  });

  it.each([
    ['for good', ErrorCode.ERROR_TOO_LARGE, 10_000],
    ['for now, when the time is too short', ErrorCode.ERROR_RATE_LIMITED, 50],
  ])('that a gateway refuses %s fail with its code', (_how, code, timeoutMs) => {
    const world = connected();
    world.gateway.refusals.push(code);
    world.request(1, timeoutMs);
    world.exchange();
    expect(world.effectsOf('fail')).toMatchObject([{ id: 1, error: { code, outcome: 'refused', retryAfterMs: 100 } }]);
  });

  it('that were sent before a refused repeat may have been carried out, and say so', () => {
    const world = connected();
    world.request(1);
    world.deliverUp(1);
    world.cut();
    world.gateway.refusals.push(ErrorCode.ERROR_TOO_LARGE);
    world.advance(250);
    world.connect();
    world.exchange();
    expect(world.gateway.executions.get('request-1')).toBe(1);
    expect(world.effectsOf('fail')).toMatchObject([{ id: 1, error: { codeName: 'TOO_LARGE', outcome: 'unknown' } }]);
  });

  it('end at their deadline, whatever they wait for', () => {
    const world = connected({ openRequestsMax: 1 });
    world.request(1, 1_000);
    world.request(2, 2_000);
    world.advance(1_000);
    expect(world.settled.get(1)).toMatchObject({ ok: false, outcome: 'unknown' });
    world.advance(1_000);
    expect(world.settled.get(2)).toMatchObject({ ok: false, outcome: 'refused' });
    expect(seqs(world)).toEqual([1]);
  });

  it('stop while the transport is full, and go on when it is not', () => {
    const world = connected();
    world.session.blocked();
    world.request(1);
    expect(seqs(world)).toEqual([]);
    world.session.writable(world.nowMs);
    world.settle();
    expect(seqs(world)).toEqual([1]);
  });
});
