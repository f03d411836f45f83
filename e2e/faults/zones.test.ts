import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../bench/lib/child.ts';
import { patientFlags, type RunningGateway, startExampleZones, startGateway } from '../../bench/lib/gateways.ts';
import { ErrorCode } from '../../gateway/protocol/error-codes.ts';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import { type ZoneHandler, ZoneServer } from '../../gateway/zone-server/zone-server.ts';
import { RawClient, type RawConnection } from './raw-client.ts';

const setUpDeadlineMs = 120_000;
const zoneCount = 3;
const slots = 20;
const slowMs = 1000;
/** A zone that hangs is found out within this time. */
const healthDeadlineMs = 15_000;

let gateway: RunningGateway;
let client: RawClient;
const servers: ZoneServer[] = [];
let stopped: readonly Child[] = [];
let failures = 0;

const handlers: Readonly<Record<string, ZoneHandler>> = {
  '001': ({ data }) => ({ data }),
  '002': ({ action }) => {
    if (action === 'hang') return new Promise(() => {});
    return { data: 'awake' };
  },
  '003': () => {
    failures += 1;
    throw new Error('this zone is broken');
  },
};

beforeAll(async () => {
  gateway = await startGateway([
    `--upstream-zone-count=${zoneCount}`,
    `--overload-protection-max-upstream-concurrent=${slots}`,
    `--overload-protection-upstream-timeout=${slowMs}ms`,
    '--log-level=error',
    ...patientFlags,
  ]);
  for (const [zoneId, handler] of Object.entries(handlers)) {
    const server = new ZoneServer({ zoneId, address: '127.0.0.1:0', gateways: [gateway.grpcAddress], handler });
    await server.start();
    servers.push(server);
  }
  client = new RawClient(gateway.quicAddress);
  for (const zoneId of Object.keys(handlers)) await untilHealthy(zoneId, true);
}, setUpDeadlineMs);

afterAll(async () => {
  await client?.stop();
  for (const server of servers) await server.stop();
  for (const child of [...stopped, gateway?.process]) await child?.stop();
});

async function untilHealthy(zoneId: string, wanted: boolean): Promise<void> {
  const healthy = async () => {
    const answer = await fetch(`http://${gateway.httpAddress}/stats`);
    const { zones } = (await answer.json()) as { zones: Record<string, { endpoints: { healthy: boolean }[] }> };
    return zones[zoneId]?.endpoints.some((endpoint) => endpoint.healthy) ?? false;
  };
  const late = AbortSignal.timeout(healthDeadlineMs);
  while ((await healthy()) !== wanted) {
    if (late.aborted) throw new Error(`zone ${zoneId} is not ${wanted ? 'healthy' : 'unhealthy'}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A session whose openid belongs to the zone. */
function inZone(zoneId: string, name: string): Promise<RawConnection> {
  for (let i = 0; ; i += 1) {
    const openid = `${name}-${i}`;
    if (zoneOf(openid, zoneCount) === zoneId) return client.login(openid);
  }
}

describe('zones that misbehave', () => {
  it('a slow one runs into its deadline and leaves slots to the others (19)', async () => {
    const slow = await inZone('002', 'slow');
    const fast = await inZone('001', 'fast');
    const hung = Array.from({ length: 2 * slots }, (_, index) => slow.business('hang', '', index + 1));
    const outcomes = await Promise.all(hung.map((id) => slow.outcome(id)));
    expect(new Set(outcomes)).toEqual(
      new Set([String(ErrorCode.ERROR_ZONE_TIMEOUT), String(ErrorCode.ERROR_OVERLOADED)]),
    );
    expect(outcomes.filter((outcome) => outcome === String(ErrorCode.ERROR_ZONE_TIMEOUT)).length).toBeLessThan(slots);
    for (let seq = 1; seq <= slots; seq += 1) slow.business('hang', '', 2 * slots + seq);
    for (let seq = 1; seq <= 10; seq += 1) {
      expect(await fast.outcome(fast.business('echo', `${seq}`, seq))).toBe(`${seq}`);
    }
    expect(slow.closed).toBeUndefined();
  });

  it('one that only fails is asked once for each request, and its sessions stay (21)', async () => {
    const session = await inZone('003', 'unlucky');
    const requests = 20;
    for (let seq = 1; seq <= requests; seq += 1) {
      expect(await session.outcome(session.business('echo', 'x', seq))).toBe(String(ErrorCode.ERROR_ZONE_FAILED));
    }
    expect(failures).toBe(requests);
    expect(session.closed).toBeUndefined();
  });

  it('one that hangs with its connection open is found out and comes back (20)', { timeout: 90_000 }, async () => {
    await servers[0]?.stop();
    await untilHealthy('001', false);
    stopped = await startExampleZones(gateway, ['001']);
    const [zone] = stopped;
    process.kill(zone?.pid ?? 0, 'SIGSTOP');
    await untilHealthy('001', false);
    const session = await inZone('001', 'patient');
    expect(await session.outcome(session.business('echo', 'x', 1))).toBe(String(ErrorCode.ERROR_ZONE_UNAVAILABLE));
    process.kill(zone?.pid ?? 0, 'SIGCONT');
    await untilHealthy('001', true);
    expect(await session.outcome(session.business('echo', 'back', 1))).toBe('back');
  });
});
