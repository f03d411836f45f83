import { credentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { FakeZone, type FakeZoneOptions } from './fake-zone.ts';
import { type RouterOptions, UpstreamRouter, type ZoneOutcome, type ZoneRequest } from './router.ts';

const started: { routers: UpstreamRouter[]; zones: FakeZone[] } = { routers: [], zones: [] };

afterEach(async () => {
  await Promise.all(started.routers.splice(0).map((router) => router.close(0)));
  for (const zone of started.zones.splice(0)) zone.kill();
});

async function newZone(options: FakeZoneOptions = {}): Promise<FakeZone> {
  const zone = await FakeZone.start(options);
  started.zones.push(zone);
  return zone;
}

function newRouter(options: Partial<RouterOptions> = {}): UpstreamRouter {
  const router = new UpstreamRouter({
    clock: systemClock,
    log: silentLogger,
    credentials: () => credentials.createInsecure(),
    healthIntervalMs: 50,
    ...options,
  });
  started.routers.push(router);
  return router;
}

function serve(router: UpstreamRouter, ...zones: FakeZone[]): void {
  const endpoints = zones.map((zone) => ({ address: zone.address, weight: 1, instanceId: 'one' }));
  router.setEndpoints('001', endpoints);
}

function requestOf(clientSeq: number, extra: Partial<ZoneRequest> = {}): ZoneRequest {
  return {
    openid: 'alice',
    sessionId: '00000000-0000-4000-8000-000000000000',
    zoneId: '001',
    clientSeq,
    action: 'echo',
    data: Buffer.from(`data ${clientSeq}`),
    headers: {},
    epoch: 7,
    shardId: 'pair-0',
    history: 'beginning',
    ...extra,
  };
}

function ask(router: UpstreamRouter, clientSeq: number, extra: Partial<ZoneRequest> = {}): Promise<ZoneOutcome> {
  return new Promise((resolve) => router.request(requestOf(clientSeq, extra), resolve));
}

function healthy(router: UpstreamRouter, count = 1): Promise<void> {
  return vi.waitFor(() => {
    expect(
      router
        .status()
        .get('001')
        ?.filter((endpoint) => endpoint.healthy),
    ).toHaveLength(count);
  }, 5_000);
}

function dataOf(outcome: ZoneOutcome): string {
  if (outcome.kind !== 'answered') throw new Error(`failed: ${outcome.message}`);
  return outcome.response.data.toString();
}

describe('requests', () => {
  it('reach the zone whole and come back, in one batch', async () => {
    const zone = await newZone();
    const router = newRouter();
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

  it('wait for the first connection', async () => {
    const zone = await newZone();
    const router = newRouter();
    serve(router, zone);
    expect(router.available('001')).toBe(true);
    expect(dataOf(await ask(router, 1))).toBe('data 1');
  });

  it('to a zone without endpoints fail at once', async () => {
    const outcome = await ask(newRouter(), 1);
    expect(outcome).toMatchObject({ kind: 'failed', code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false });
  });
});
