import { afterEach, describe, expect, it, vi } from 'vitest';
import { PushLevel, PushOrder, PushStatus } from '../../proto/gen/upstream.ts';
import { FakeGateway } from './fake-gateway.ts';
import { PushError, ZoneServer, type ZoneServerOptions } from './zone-server.ts';

const started: { zones: ZoneServer[]; gateways: FakeGateway[] } = { zones: [], gateways: [] };

afterEach(async () => {
  await Promise.all(started.zones.splice(0).map((zone) => zone.stop(0)));
  for (const gateway of started.gateways.splice(0)) gateway.stop();
});

async function newGateway(port = 0): Promise<FakeGateway> {
  const gateway = await FakeGateway.start(port);
  started.gateways.push(gateway);
  return gateway;
}

/** A zone that only pushes: it does not register, so its first gateway stays primary until a push moves on. */
function newZone(gateways: readonly FakeGateway[], options: Partial<ZoneServerOptions> = {}): ZoneServer {
  const addresses = gateways.map(({ address }) => address);
  const zone = new ZoneServer({
    zoneId: '001',
    address: '127.0.0.1:0',
    gateways: addresses,
    handler: () => ({}),
    ...options,
  });
  started.zones.push(zone);
  return zone;
}

async function failureOf(push: Promise<unknown>): Promise<string> {
  const thrown = await push.then(
    () => undefined,
    (error: unknown) => error,
  );
  return thrown instanceof PushError ? thrown.failure : `not a PushError: ${String(thrown)}`;
}

function texts(gateway: FakeGateway): string[] {
  return gateway.pushes.map(({ text }) => text);
}

describe('unary push', () => {
  it('carries every option and brings the result', async () => {
    const gateway = await newGateway();
    const result = await newZone([gateway]).push({ openid: 'alice', sessionId: 's1' }, 'hi', {
      pushId: 'p1',
      bindClientSeqId: 4,
      order: 'after-response',
      level: 'committed',
      ttlMs: 500,
      headers: { lang: 'zh' },
    });
    expect(result).toEqual({ pushId: 'p1', seqId: 1, epoch: 1, level: 'committed' });
    expect(gateway.pushes[0]?.request).toMatchObject({
      pushId: 'p1',
      openid: 'alice',
      sessionId: 's1',
      data: Buffer.from('hi'),
      headers: { lang: 'zh' },
      bindClientSeqId: 4n,
      order: PushOrder.PUSH_ORDER_AFTER_RESPONSE,
      level: PushLevel.PUSH_LEVEL_COMMITTED,
      ttlMs: 500,
    });
  });

  it.each([
    [PushStatus.PUSH_STATUS_NO_SESSION, 'no-session'],
    [PushStatus.PUSH_STATUS_QUEUE_FULL, 'queue-full'],
    [PushStatus.PUSH_STATUS_TOO_LARGE, 'too-large'],
    [PushStatus.PUSH_STATUS_EXPIRED, 'expired'],
    [PushStatus.PUSH_STATUS_OVERLOADED, 'overloaded'],
    [PushStatus.PUSH_STATUS_INVALID, 'invalid'],
    [PushStatus.PUSH_STATUS_UNKNOWN, 'unknown'],
  ])('a judged push (status %i) fails as %s without a repeat', async (answer, failure) => {
    const gateway = await newGateway();
    gateway.pushAnswer = () => answer;
    expect(await failureOf(newZone([gateway]).push('alice', 'hi'))).toBe(failure);
    expect(gateway.pushes).toHaveLength(1);
  });

  it('is repeated under the same id until it is judged', async () => {
    const gateway = await newGateway();
    gateway.pushAnswer = () => (gateway.pushes.length < 3 ? 'break' : PushStatus.PUSH_STATUS_OK);
    const { pushId } = await newZone([gateway]).push('alice', 'hi');
    expect(gateway.pushes.map((push) => push.pushId)).toEqual([pushId, pushId, pushId]);
  });

  it('moves to the gateway that is primary', async () => {
    const [backup, primary] = [await newGateway(), await newGateway()];
    backup.pushAnswer = () => PushStatus.PUSH_STATUS_NOT_PRIMARY;
    const zone = newZone([backup, primary]);
    await zone.push('alice', 'one');
    await zone.push('alice', 'two');
    expect([texts(backup), texts(primary)]).toEqual([['one'], ['one', 'two']]);
  });

  it('is UNKNOWN when the horizon passes without a judgement, and not-primary when none was primary', async () => {
    const gateway = await newGateway();
    const zone = newZone([gateway], { pushHorizonMs: 300 });
    gateway.pushAnswer = () => 'silence';
    expect(await failureOf(zone.push('alice', 'hi'))).toBe('unknown');
    gateway.pushAnswer = () => PushStatus.PUSH_STATUS_NOT_PRIMARY;
    expect(await failureOf(zone.push('alice', 'hi'))).toBe('not-primary');
  });

  it('fails at once after stop', async () => {
    const gateway = await newGateway();
    const zone = newZone([gateway]);
    const producer = zone.openProducer();
    await zone.stop(0);
    expect(await failureOf(zone.push('alice', 'hi'))).toBe('unavailable');
    expect(await failureOf(producer.push('alice', 'hi'))).toBe('unavailable');
    expect(gateway.pushes).toEqual([]);
  });

  it('to everybody says how many it reached', async () => {
    const gateway = await newGateway();
    expect(await newZone([gateway]).broadcast('hi', { pushId: 'b1' })).toMatchObject({ matched: 3, accepted: 2 });
  });
});

describe('push stream', () => {
  it('keeps the order and numbers pushes from 1 under one producer', async () => {
    const gateway = await newGateway();
    const producer = newZone([gateway]).openProducer();
    const results = await Promise.all(Array.from({ length: 50 }, (_, index) => producer.push('alice', `${index}`)));
    expect(results.map(({ seqId }) => seqId)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    expect(gateway.pushes.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    expect(texts(gateway)).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`));
    expect(new Set(gateway.pushes.map(({ producerId }) => producerId)).size).toBe(1);
    expect(producer.unanswered).toBe(0);
  });

  it('sends what is unanswered again under the same numbers after the stream broke', async () => {
    const gateway = await newGateway();
    const producer = newZone([gateway]).openProducer();
    let broken = false;
    gateway.pushAnswer = ({ number }) => {
      if (number !== 3 || broken) return PushStatus.PUSH_STATUS_OK;
      broken = true;
      return 'break';
    };
    const results = await Promise.all(['a', 'b', 'c', 'd'].map((text) => producer.push('alice', text)));
    expect(results).toHaveLength(4);
    expect(gateway.pushes.map(({ number, text }) => `${number}${text}`)).toEqual([
      '1a',
      '2b',
      '3c',
      '1a',
      '2b',
      '3c',
      '4d',
    ]);
    expect(new Set(gateway.pushes.map(({ producerId }) => producerId)).size).toBe(1);
  });

  it('resumes on the same port after the gateway was killed', async () => {
    const gateway = await newGateway();
    const producer = newZone([gateway]).openProducer();
    await producer.push('alice', 'before');
    gateway.pushAnswer = () => 'silence';
    const during = producer.push('alice', 'during');
    await vi.waitFor(() => expect(gateway.pushes).toHaveLength(2));
    gateway.stop();
    const again = await newGateway(gateway.port);
    await during;
    expect(again.pushes.map(({ number, text }) => [number, text])).toEqual([[2, 'during']]);
  });

  it('moves to the primary with everything from the first push that was turned away', async () => {
    const [old, primary] = [await newGateway(), await newGateway()];
    old.pushAnswer = ({ number }) => (number < 3 ? PushStatus.PUSH_STATUS_OK : PushStatus.PUSH_STATUS_NOT_PRIMARY);
    const producer = newZone([old, primary]).openProducer();
    await Promise.all(['a', 'b', 'c', 'd'].map((text) => producer.push('alice', text)));
    expect(primary.pushes.map(({ number, text }) => `${number}${text}`)).toEqual(['3c', '4d']);
  });

  it('has no more out than its window, and refuses what its backlog cannot hold', async () => {
    const gateway = await newGateway();
    gateway.pushAnswer = () => 'silence';
    const producer = newZone([gateway]).openProducer({ windowItems: 2, backlogItems: 3 });
    const failures: Promise<string>[] = [];
    for (const text of ['a', 'b', 'c', 'd']) failures.push(failureOf(producer.push('alice', text)));
    expect(await failures[3]).toBe('overloaded');
    await vi.waitFor(() => expect(texts(gateway)).toEqual(['a', 'b']));
    expect(producer.unanswered).toBe(3);
    await producer.close(0);
    expect(await Promise.all(failures)).toEqual(['unknown', 'unknown', 'unavailable', 'overloaded']);
  });

  it('gives each failed push its own reason', async () => {
    const gateway = await newGateway();
    gateway.pushAnswer = ({ text }) => (text === 'big' ? PushStatus.PUSH_STATUS_TOO_LARGE : PushStatus.PUSH_STATUS_OK);
    const producer = newZone([gateway]).openProducer();
    const pushes = ['a', 'big', 'c'].map((text) => producer.push('alice', text));
    const failures = await Promise.allSettled(pushes);
    expect(failures.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await failureOf(pushes[1] as Promise<unknown>)).toBe('too-large');
  });

  it('becomes UNKNOWN after the horizon and goes on as a new producer', async () => {
    const gateway = await newGateway();
    const producer = newZone([gateway], { pushHorizonMs: 200 }).openProducer();
    gateway.pushAnswer = () => 'silence';
    expect(await failureOf(producer.push('alice', 'lost'))).toBe('unknown');
    gateway.pushAnswer = () => PushStatus.PUSH_STATUS_OK;
    await producer.push('alice', 'next');
    const [lost, next] = [gateway.pushes[0], gateway.pushes.at(-1)];
    expect(next).toMatchObject({ number: 1, text: 'next' });
    expect(next?.producerId).not.toBe(lost?.producerId);
  });
});
