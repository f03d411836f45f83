import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../../bench/lib/gateways.ts';
import { createClientHub, type GatesvrClient, type GatesvrClientHub } from '../../gateway/client/client.ts';
import { parseAddress } from '../../gateway/lib/address.ts';
import { Random } from '../../gateway/testing/random.ts';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import { PushError, ZoneServer } from '../../gateway/zone-server/zone-server.ts';
import { Ledger } from './ledger.ts';
import { LossyProxy } from './lossy-proxy.ts';

const seed = 20_260_101;
const hubCount = 10;
const clientsPerHub = 20;
const pushesPerClient = 100;
const pushRounds = 20;
const zoneIds = ['001', '002', '003', '004', '005', '006'];
const setUpDeadlineMs = 120_000;
const deadlineMs = 180_000;

/** Counts how often each request was carried out: more than once would break the promise of its idempotency key. */
class CountingZones {
  readonly servers: ZoneServer[];
  readonly carriedOut = new Map<string, number>();

  constructor(gateway: string) {
    this.servers = zoneIds.map(
      (zoneId) =>
        new ZoneServer({
          zoneId,
          address: '127.0.0.1:0',
          gateways: [gateway],
          handler: ({ sessionId, clientSeqId, data }) => {
            const key = `${sessionId}/${clientSeqId}`;
            this.carriedOut.set(key, (this.carriedOut.get(key) ?? 0) + 1);
            return { data };
          },
        }),
    );
  }

  async start(): Promise<void> {
    for (const server of this.servers) await server.start();
    await Promise.all(this.servers.map((server) => server.whenRegistered()));
  }

  of(openid: string): ZoneServer {
    const zoneId = zoneOf(openid, zoneIds.length);
    const server = this.servers.find((candidate) => candidate.zoneId === zoneId);
    if (server === undefined) throw new Error(`no zone ${zoneId}`);
    return server;
  }
}

describe('a network that loses 20 %, reorders, duplicates, cuts and renumbers', () => {
  const random = new Random(seed);
  const ledger = new Ledger();
  const clients: GatesvrClient[] = [];
  const hubs: GatesvrClientHub[] = [];
  const openids: string[] = [];
  let gateway: RunningGateway;
  let proxy: LossyProxy;
  let zones: CountingZones;
  let reconnects = 0;
  let resets = 0;

  beforeAll(async () => {
    gateway = await startGateway([
      '--log-level=error',
      '--heartbeat-interval=300ms',
      // The network is worse than the window is for: nobody may be given up because the machine is slow.
      '--resume-window=5m',
      '--overload-protection-max-upstream-concurrent=10000',
    ]);
    zones = new CountingZones(gateway.grpcAddress);
    await zones.start();
    const target = parseAddress(gateway.quicAddress);
    if (target === undefined) throw new Error(gateway.quicAddress);
    const faults = { loss: 0.2, duplication: 0.05, reordering: 0.2, reorderMs: 20 };
    proxy = await LossyProxy.start(target, faults, random);
    for (let hub = 0; hub < hubCount; hub += 1) hubs.push(await createClientHub({ trust: { insecure: true } }));
    await Promise.all(hubs.map((hub, number) => connectClients(hub, number)));
  }, setUpDeadlineMs);

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(hubs.map((hub) => hub.shutdown()));
    await Promise.all((zones?.servers ?? []).map((server) => server.stop(1_000)));
    proxy?.close();
    await gateway?.process.stop();
  }, setUpDeadlineMs);

  async function connectClients(hub: GatesvrClientHub, number: number): Promise<void> {
    for (let index = 0; index < clientsPerHub; index += 1) {
      const openid = `user-${number}-${index}`;
      openids.push(openid);
      clients.push(
        await hub.connect({
          endpoints: [proxy.address],
          openid,
          connectDeadlineMs: 60_000,
          heartbeatTimeoutMs: 1_500,
          backoffMaxMs: 1_000,
          onPush: (data) => ledger.seen(openid, Buffer.from(data).toString()),
          onStateChange: (state) => {
            if (state === 'reconnecting') reconnects += 1;
          },
          onSessionReset: () => {
            resets += 1;
          },
        }),
      );
    }
  }

  /** A gateway that sheds load says so; the push keeps its id, so that it is taken once. */
  async function pushUntilJudged(zone: ZoneServer, openid: string, text: string): Promise<void> {
    for (;;) {
      try {
        await zone.push(openid, text, { pushId: text });
        return;
      } catch (error) {
        if (!(error instanceof PushError) || error.failure !== 'overloaded') throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async function pushTo(openid: string, from: number, count: number): Promise<void> {
    const zone = zones.of(openid);
    for (let number = from; number < from + count; number += 1) {
      const text = `${openid} ${number}`;
      await pushUntilJudged(zone, openid, text);
      ledger.accepted(openid, text);
    }
  }

  async function request(client: GatesvrClient, text: string): Promise<string> {
    const answer = await client.request('echo', text, { timeoutMs: 60_000 });
    return Buffer.from(answer).toString();
  }

  it('delivers every push once and in order, and answers every request once', { timeout: deadlineMs }, async () => {
    const answers: Promise<string>[] = [];
    const asked: string[] = [];
    const perRound = pushesPerClient / pushRounds;
    for (let round = 0; round < pushRounds; round += 1) {
      proxy.cut(random.between(0, hubCount - 1), 3_000);
      if (round % 5 === 4) proxy.moveAll();
      clients.forEach((client, index) => {
        const text = `request ${index}/${round}`;
        asked.push(text);
        answers.push(request(client, text));
      });
      await Promise.all(openids.map((openid) => pushTo(openid, round * perRound, perRound)));
    }
    expect(await Promise.all(answers)).toEqual(asked);
    await expect.poll(() => ledger.complete, { timeout: 60_000, interval: 100 }).toBe(true);
    const all = hubCount * clientsPerHub * pushesPerClient;
    expect(ledger.verdict()).toEqual({ accepted: all, seen: all, lost: 0, repeated: 0, outOfOrder: 0 });
    expect([...zones.carriedOut.values()].filter((count) => count !== 1)).toEqual([]);
    expect(zones.carriedOut.size).toBe(asked.length);
    expect(resets).toBe(0);
    // Faults that never happened would prove nothing.
    expect(reconnects).toBeGreaterThan(20);
    expect(proxy.dropped / (proxy.dropped + proxy.passed)).toBeGreaterThan(0.15);
  });
});
