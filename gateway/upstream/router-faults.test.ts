import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ErrorCode } from '../protocol/error-codes.ts';
import { echo, type FakeZone, unavailable } from './fake-zone.ts';
import { ask, dataOf, healthy, RouterHarness, serve } from './router-harness.ts';

const harness = new RouterHarness();
afterEach(() => harness.stop());

const zoneUnavailable = {
  success: false,
  error: { code: ErrorCode.ERROR_ZONE_UNAVAILABLE, message: 'stopping', retryAfterMs: 0, redirect: '' },
};
const unknown = { kind: 'failed', code: ErrorCode.ERROR_ZONE_TIMEOUT, reached: true };
const notReached = { kind: 'failed', code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false };

function seen(...zones: FakeZone[]): number[] {
  return zones.map(({ requests }) => requests.length);
}

describe('a zone that hangs or is half open', () => {
  it('is closed by keepalive: written requests end as unknown, and it comes back', async () => {
    const zone = await harness.zone();
    const proxy = await harness.proxy(zone.port);
    const keepalive = { keepaliveTimeMs: 100, keepaliveTimeoutMs: 100, healthTimeoutMs: 60_000 };
    const router = harness.router({ ...keepalive, timeoutMs: 60_000 });
    serve(router, proxy);
    expect(dataOf(await ask(router, 1))).toBe('data 1');
    proxy.freeze(true);
    expect(await ask(router, 2)).toMatchObject(unknown);
    proxy.freeze(false);
    await healthy(router);
    expect(dataOf(await ask(router, 3))).toBe('data 3');
    expect(proxy.accepted).toBeGreaterThan(1);
  });

  it('is unhealthy when its health checks go unanswered, even without keepalive', async () => {
    const zone = await harness.zone();
    const proxy = await harness.proxy(zone.port);
    const router = harness.router({ healthTimeoutMs: 100, timeoutMs: 60_000 });
    serve(router, proxy);
    await healthy(router);
    proxy.freeze(true);
    await healthy(router, 0);
    expect(router.available('001')).toBe(false);
    expect(await ask(router, 1)).toMatchObject(notReached);
    proxy.freeze(false);
    await healthy(router);
  });
});

describe('a zone that dies', () => {
  it('leaves what it was given unknown; the rest goes to the other endpoint', async () => {
    const [first, second] = [await harness.zone({ answer: () => null }), await harness.zone()];
    const router = harness.router();
    serve(router, first);
    const lost = ask(router, 1);
    await vi.waitFor(() => expect(first.requests).toHaveLength(1));
    serve(router, first, second);
    await healthy(router, 2);
    first.kill();
    expect(await lost).toMatchObject(unknown);
    await healthy(router, 1);
    for (let seq = 2; seq < 10; seq += 1) expect(dataOf(await ask(router, seq))).toBe(`data ${seq}`);
    expect(seen(first, second)).toEqual([1, 8]);
  });

  it('and restarts on the same port serves again, over Exchange', async () => {
    const zone = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    expect(dataOf(await ask(router, 1))).toBe('data 1');
    zone.kill();
    await healthy(router, 0);
    expect(await ask(router, 2)).toMatchObject(notReached);
    const again = await harness.zone({ port: zone.port });
    await healthy(router);
    expect(dataOf(await ask(router, 3))).toBe('data 3');
    expect(again.batches).toEqual([1]);
  });

  it('before it was ever there is waited for no longer than the first refusal', async () => {
    const zone = await harness.zone();
    zone.kill();
    const router = harness.router();
    serve(router, zone);
    expect(await ask(router, 1)).toMatchObject(notReached);
    await harness.zone({ port: zone.port });
    await healthy(router);
  });
});

describe('a zone without Exchange', () => {
  it('is called one by one, with the same outcomes', async () => {
    const zone = await harness.zone({ exchange: false });
    const router = harness.router();
    serve(router, zone);
    const outcomes = await Promise.all([1, 2, 3].map((seq) => ask(router, seq)));
    expect(outcomes.map(dataOf)).toEqual(['data 1', 'data 2', 'data 3']);
    expect([zone.unaryCalls, zone.streamsOpened]).toEqual([3, 0]);
    zone.answer = () => null;
    expect(await ask(router, 4, { timeoutMs: 60 })).toMatchObject(unknown);
    expect(router.inFlight()).toBe(0);
  });

  it('has no more than a bounded number of calls open; the rest waits', async () => {
    const zone = await harness.zone({ exchange: false, answer: () => null });
    const router = harness.router({ timeoutMs: 60_000 });
    serve(router, zone);
    const outcomes = Array.from({ length: 150 }, (_, index) => ask(router, index + 1));
    await vi.waitFor(() => expect(zone.requests).toHaveLength(100));
    zone.answer = echo;
    zone.kill();
    const kinds = (await Promise.all(outcomes)).map((outcome) => outcome.kind === 'failed' && outcome.reached);
    expect(kinds.filter((reached) => reached)).toHaveLength(100);
    expect(kinds.filter((reached) => !reached)).toHaveLength(50);
  });

  it('is asked for Exchange again after it reconnected', async () => {
    const zone = await harness.zone({ exchange: false });
    const router = harness.router();
    serve(router, zone);
    await ask(router, 1);
    zone.kill();
    await healthy(router, 0);
    const again = await harness.zone({ port: zone.port });
    await healthy(router);
    await ask(router, 2);
    expect([again.unaryCalls, again.batches]).toEqual([0, [1]]);
  });

  it('that says UNAVAILABLE is left for another one, other errors are its word', async () => {
    const zone = await harness.zone({ exchange: false, answer: () => unavailable });
    const other = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    await healthy(router);
    expect(await ask(router, 1)).toMatchObject(notReached);
    serve(router, zone, other);
    await healthy(router, 2);
    for (let seq = 2; seq < 6; seq += 1) expect(dataOf(await ask(router, seq))).toBe(`data ${seq}`);
    serve(router, zone);
    zone.answer = () => ({ status: 13 });
    expect(await ask(router, 7)).toMatchObject({ code: ErrorCode.ERROR_ZONE_FAILED, reached: true });
  });

  it('nor a health service counts as healthy while it is connected', async () => {
    const zone = await harness.zone({ exchange: false, health: false });
    const router = harness.router();
    serve(router, zone);
    await healthy(router);
    zone.kill();
    await healthy(router, 0);
  });
});

describe('health', () => {
  it('NOT_SERVING sends requests elsewhere until it is SERVING again', async () => {
    const [first, second] = [await harness.zone(), await harness.zone()];
    const router = harness.router();
    serve(router, first, second);
    await healthy(router, 2);
    first.setServing(false);
    await healthy(router, 1);
    for (let seq = 1; seq <= 6; seq += 1) await ask(router, seq);
    expect(seen(first, second)).toEqual([0, 6]);
    second.setServing(false);
    await healthy(router, 0);
    expect(await ask(router, 7)).toMatchObject(notReached);
    first.setServing(true);
    await healthy(router, 1);
    expect(dataOf(await ask(router, 8))).toBe('data 8');
  });
});

describe('retries', () => {
  it('go to another endpoint when the zone said UNAVAILABLE', async () => {
    const [first, second] = [await harness.zone({ answer: () => zoneUnavailable }), await harness.zone()];
    const router = harness.router();
    serve(router, first, second);
    await healthy(router, 2);
    const outcomes = await Promise.all([1, 2, 3, 4].map((seq) => ask(router, seq)));
    expect(outcomes.map(dataOf)).toEqual(['data 1', 'data 2', 'data 3', 'data 4']);
    expect(first.requests.length).toBeGreaterThan(0);
  });

  it('are bounded by the budget and by the number of endpoints tried', async () => {
    const zones = await Promise.all([1, 2, 3, 4].map(() => harness.zone({ answer: () => zoneUnavailable })));
    const router = harness.router({ retryShare: 0.1, retryTokensMax: 5, failuresToEject: 1_000 });
    serve(router, ...zones);
    await healthy(router, 4);
    expect(await ask(router, 1)).toMatchObject(notReached);
    expect(seen(...zones).reduce((sum, count) => sum + count)).toBe(3);
    for (let seq = 2; seq <= 100; seq += 1) expect(await ask(router, seq)).toMatchObject(notReached);
    expect(seen(...zones).reduce((sum, count) => sum + count)).toBeLessThanOrEqual(100 + 5 + 10);
  });

  it('do not follow a broken stream: what was written is not written again', async () => {
    const [first, second] = [await harness.zone({ answer: () => unavailable }), await harness.zone()];
    const router = harness.router();
    serve(router, first);
    await healthy(router);
    serve(router, first, second);
    await healthy(router, 2);
    const outcomes = await Promise.all(Array.from({ length: 6 }, (_, index) => ask(router, index + 1)));
    expect(outcomes.filter(({ kind }) => kind === 'failed')).toHaveLength(3);
    expect(outcomes.find(({ kind }) => kind === 'failed')).toMatchObject(unknown);
    expect(second.requests).toHaveLength(3);
  });
});

describe('endpoints', () => {
  it('that fail again and again are put out while another serves', async () => {
    const [bad, good] = [await harness.zone({ answer: () => null }), await harness.zone()];
    const router = harness.router({ failuresToEject: 3, ejectMs: 60_000 });
    serve(router, bad, good);
    await healthy(router, 2);
    await vi.waitFor(async () => {
      await Promise.all([1, 2].map((seq) => ask(router, seq, { timeoutMs: 200 })));
      const endpoints = router.status().get('001');
      expect(endpoints?.find(({ address }) => address === bad.address)?.healthy).toBe(false);
    }, 20_000);
    const before = bad.requests.length;
    for (let seq = 3; seq < 10; seq += 1) expect(dataOf(await ask(router, seq))).toBe(`data ${seq}`);
    expect(bad.requests).toHaveLength(before);
  });

  it('that are removed finish what they have', async () => {
    let answer = (): void => {};
    const first = await harness.zone({
      answer: (request) => new Promise((resolve) => (answer = () => resolve(echo(request)))),
    });
    const second = await harness.zone();
    const router = harness.router();
    serve(router, first);
    const open = ask(router, 1);
    await vi.waitFor(() => expect(first.requests).toHaveLength(1));
    serve(router, second);
    expect(dataOf(await ask(router, 2))).toBe('data 2');
    expect(router.inFlight()).toBe(1);
    answer();
    expect(dataOf(await open)).toBe('data 1');
    await vi.waitFor(() => expect(first.calls.size).toBe(0));
  });

  it('that are removed give back what they could not write', async () => {
    const zone = await harness.zone();
    const dead = await harness.proxy(zone.port);
    dead.freeze(true);
    const router = harness.router();
    serve(router, dead);
    const waiting = ask(router, 1);
    serve(router, dead, zone);
    await healthy(router, 1);
    serve(router, zone);
    expect(dataOf(await waiting)).toBe('data 1');
  });
});

describe('garbage', () => {
  it('from a zone breaks its stream, not the gateway', async () => {
    const server = new Server();
    const same = (bytes: Buffer): Buffer => bytes;
    const path = '/gatesvr.v1.UpstreamService/Exchange';
    const shape = {
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    const method = { path, requestStream: true, responseStream: true, ...shape };
    server.addService({ exchange: method }, {
      exchange: (call: { on(event: 'data', handler: () => void): void; write(bytes: Buffer): void }) => {
        call.on('data', () => call.write(Buffer.of(0x0a, 0xff, 0xff, 0x01, 0x08)));
      },
    } as never);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const router = harness.router();
    serve(router, { address: `127.0.0.1:${port}` });
    for (let seq = 1; seq <= 3; seq += 1) expect(await ask(router, seq)).toMatchObject(unknown);
    server.forceShutdown();
  });
});
