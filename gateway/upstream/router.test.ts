import { afterEach, describe, expect, it, vi } from 'vitest';
import { ErrorCode } from '../protocol/error-codes.ts';
import { echo } from './fake-zone.ts';
import { ask, dataOf, healthy, RouterHarness, requestOf, serve } from './router-harness.ts';

const harness = new RouterHarness();
afterEach(() => harness.stop());

describe('requests', () => {
  it('reach the zone whole and come back, in one batch', async () => {
    const zone = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    await healthy(router);
    const answers = Promise.all([1, 2, 3].map((seq) => ask(router, seq, { headers: { lang: 'zh', 键: '值' } })));
    router.flush();
    expect((await answers).map(dataOf)).toEqual(['data 1', 'data 2', 'data 3']);
    expect(zone.batches).toEqual([3]);
    expect(zone.requests[1]).toMatchObject({
      openid: 'alice',
      sessionId: '00000000-0000-4000-8000-000000000000',
      zoneId: '001',
      clientSeqId: 2n,
      action: 'echo',
      headers: { lang: 'zh', 键: '值' },
      epoch: 7n,
      shardId: 'pair-0',
      history: 'beginning',
    });
    expect(zone.requests[1]?.deadlineMs).toBeGreaterThan(4_000);
    expect(router.inFlight()).toBe(0);
  });

  it('of zones that are served at one address share its connection and batches', async () => {
    const zone = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    await healthy(router);
    router.setEndpoints('002', [{ address: zone.address, weight: 1, instanceId: 'one' }]);
    expect(router.available('002')).toBe(true);
    const outcomes = await Promise.all([ask(router, 1), ask(router, 2, { zoneId: '002' })]);
    const answered = outcomes.flatMap((outcome) => (outcome.kind === 'answered' ? [outcome.response.zoneId] : []));
    expect([answered, zone.batches, zone.streamsOpened]).toEqual([['001', '002'], [2], 1]);
    serve(router);
    expect(await ask(router, 3)).toMatchObject({ code: ErrorCode.ERROR_ZONE_UNAVAILABLE });
    expect(dataOf(await ask(router, 4, { zoneId: '002' }))).toBe('data 4');
    router.setEndpoints('002', []);
    await vi.waitFor(() => expect(zone.calls.size).toBe(0));
  });

  it('leave by themselves when nobody flushes', async () => {
    const zone = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    await healthy(router);
    await Promise.all([1, 2].map((seq) => ask(router, seq)));
    expect(zone.batches).toEqual([2]);
  });

  it('wait for the first connection', async () => {
    const zone = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    expect(router.available('001')).toBe(true);
    expect(dataOf(await ask(router, 1))).toBe('data 1');
  });

  it('to a zone without endpoints fail at once', async () => {
    const outcome = await ask(harness.router(), 1);
    expect(outcome).toMatchObject({ kind: 'failed', code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false });
    expect(outcome).toHaveProperty('retryAfterMs', 1_000);
  });

  it('carry 64 KiB, also many at once', async () => {
    const zone = await harness.zone();
    const router = harness.router();
    serve(router, zone);
    const data = Buffer.alloc(65_536, 'x');
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(router, index + 1, { data })));
    for (const outcome of outcomes) expect(dataOf(outcome)).toHaveLength(65_536);
    expect(zone.batches.length).toBeGreaterThan(1);
  });

  it('the zone refuses are its answer, and are not sent again', async () => {
    const error = { code: ErrorCode.ERROR_ZONE_FAILED, message: 'no gold', retryAfterMs: 0, redirect: '' };
    const zone = await harness.zone({ answer: () => ({ success: false, error }) });
    const router = harness.router();
    serve(router, zone, await harness.zone());
    await healthy(router, 2);
    const outcomes = await Promise.all(Array.from({ length: 30 }, (_, index) => ask(router, index + 1)));
    const refused = outcomes.filter((outcome) => outcome.kind === 'answered' && !outcome.response.success);
    expect(refused.length).toBe(zone.requests.length);
    expect(refused[0]).toMatchObject({ response: { error: { message: 'no gold' } } });
  });

  it('are counted by result, once each', async () => {
    const results: string[] = [];
    const zone = await harness.zone({
      answer: (request) =>
        request.action === 'hang' ? null : { ...echo(request), success: request.action === 'echo' },
    });
    const router = harness.router({ onResult: (zoneId, result) => results.push(`${zoneId} ${result}`) });
    serve(router, zone);
    await ask(router, 1);
    await ask(router, 2, { action: 'refuse' });
    await ask(router, 3, { action: 'hang', timeoutMs: 50 });
    await ask(router, 4, { zoneId: '002' });
    expect(results).toEqual(['001 ok', '001 error', '001 timeout', '002 unavailable']);
  });
});

describe('deadlines', () => {
  it('end a written request as ZONE_TIMEOUT with an unknown outcome; a late answer is nobody’s', async () => {
    const late: (() => void)[] = [];
    const zone = await harness.zone({
      answer: (request) =>
        request.action === 'late' ? new Promise((resolve) => late.push(() => resolve(echo(request)))) : echo(request),
    });
    const router = harness.router();
    serve(router, zone);
    const outcome = await ask(router, 1, { action: 'late', timeoutMs: 60 });
    expect(outcome).toMatchObject({ kind: 'failed', code: ErrorCode.ERROR_ZONE_TIMEOUT, reached: true });
    expect(router.inFlight('001')).toBe(0);
    for (const answer of late) answer();
    expect(dataOf(await ask(router, 2))).toBe('data 2');
  });

  it('end a request that could not be written as unavailable', async () => {
    const zone = await harness.zone();
    const proxy = await harness.proxy(zone.port);
    proxy.freeze(true);
    const router = harness.router({ timeoutMs: 100 });
    serve(router, proxy);
    expect(await ask(router, 1)).toMatchObject({ code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false });
    expect(zone.requests).toEqual([]);
  });

  it('of a slow zone leave other zones alone', async () => {
    const slow = await harness.zone({ answer: () => null });
    const quick = await harness.zone();
    const router = harness.router();
    serve(router, slow);
    router.setEndpoints('002', [{ address: quick.address, weight: 1, instanceId: 'q' }]);
    let slowDone = 0;
    for (let seq = 1; seq <= 200; seq += 1) router.request(requestOf(seq), () => (slowDone += 1));
    for (let seq = 1; seq <= 20; seq += 1) {
      expect(dataOf(await ask(router, seq, { zoneId: '002' }))).toBe(`data ${seq}`);
    }
    expect([slowDone, router.inFlight('001'), router.inFlight('002'), router.inFlight()]).toEqual([0, 200, 0, 200]);
  });

  it('follow setTimeoutMs', async () => {
    const zone = await harness.zone({ answer: () => null });
    const router = harness.router();
    serve(router, zone);
    router.setTimeoutMs(40);
    expect(await ask(router, 1)).toMatchObject({ code: ErrorCode.ERROR_ZONE_TIMEOUT });
    expect(zone.requests[0]?.deadlineMs).toBeLessThanOrEqual(40);
  });
});

describe('limits', () => {
  it('refuse more than an endpoint may have in flight', async () => {
    const zone = await harness.zone({ answer: () => null });
    const router = harness.router({ inFlightMax: 3 });
    serve(router, zone);
    await healthy(router);
    for (let seq = 1; seq <= 3; seq += 1) void ask(router, seq);
    expect(await ask(router, 4)).toMatchObject({ code: ErrorCode.ERROR_OVERLOADED, reached: false, retryAfterMs: 200 });
  });

  it('refuse more bytes than may wait for an endpoint that does not read', async () => {
    const zone = await harness.zone();
    const proxy = await harness.proxy(zone.port);
    const router = harness.router({ queuedBytesMax: 1_000_000 });
    serve(router, proxy);
    await healthy(router);
    proxy.freeze(true);
    const data = Buffer.alloc(60_000);
    const codes: number[] = [];
    for (let round = 0; round < 200 && codes.length === 0; round += 1) {
      for (let seq = 1; seq <= 5; seq += 1) {
        router.request(requestOf(seq, { data }), (outcome) => {
          if (outcome.kind === 'failed') codes.push(outcome.code);
        });
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(codes[0]).toBe(ErrorCode.ERROR_OVERLOADED);
  });
});

describe('closing', () => {
  it('waits for the answers under way and takes no more', async () => {
    let answer = (): void => {};
    const zone = await harness.zone({
      answer: (request) => new Promise((resolve) => (answer = () => resolve(echo(request)))),
    });
    const router = harness.router();
    serve(router, zone);
    const open = ask(router, 1);
    await vi.waitFor(() => expect(zone.requests).toHaveLength(1));
    const closed = router.close(5_000);
    expect(await ask(router, 2)).toMatchObject({ code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false });
    answer();
    expect(dataOf(await open)).toBe('data 1');
    await closed;
    expect(router.available('001')).toBe(false);
  });

  it('ends what is unanswered at the deadline as unknown', async () => {
    for (const exchange of [true, false]) {
      const zone = await harness.zone({ answer: () => null, exchange });
      const router = harness.router();
      serve(router, zone);
      const open = ask(router, 1);
      await vi.waitFor(() => expect(zone.requests).toHaveLength(1));
      await router.close(20);
      expect(await open).toMatchObject({ code: ErrorCode.ERROR_ZONE_TIMEOUT, reached: true });
    }
  });
});
