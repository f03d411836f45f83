import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../bench/lib/child.ts';
import { commandLine, type MemberAddresses, memberAddresses, until } from '../../bench/lib/pair.ts';
import { connectGateways } from '../../operator/gateway-link/gateway-link.ts';
import type { GatewayObservation, GatewayPeer, GatewayTarget } from '../../operator/gateway-link/gateway-peer.ts';
import { systemClock } from '../../operator/lib/clock.ts';

const podName = 'game-p0-a-0';
const silenceMs = 1_500;

let addresses: MemberAddresses;
let gateway: Child;
let link: GatewayPeer;
let changes: number;

async function startGateway(): Promise<void> {
  gateway = await Child.start(process.execPath, [
    ...[commandLine, 'gateway', '--dev', `--backup-server-id=${podName}`, '--backup-kubernetes-pod-uid=uid-1'],
    ...[`--quic-addr=${addresses.quic}`, `--http-addr=${addresses.http}`],
    ...[`--grpc-addr=${addresses.grpc}`, `--metrics-addr=${addresses.metrics}`, '--drain-timeout=1s'],
  ]);
}

function connect(change: Partial<GatewayTarget> = {}): GatewayPeer {
  const target = { namespace: 'shop', podName, podUid: 'uid-1', address: addresses.grpc, tlsName: '', ...change };
  const options = {
    tls: () => 'plaintext' as const,
    intervalMs: 100,
    silenceMs,
    clock: systemClock,
    random: Math.random,
  } as const;
  return connectGateways(options)(target, () => {
    changes += 1;
  });
}

const look = (): GatewayObservation => link.observation(systemClock.nowMs());

async function becomes(state: GatewayObservation['state']): Promise<void> {
  await until(
    `the link is ${state}`,
    () => look().state === state,
    () => `${JSON.stringify(look().reason)}\n${gateway.output}`,
  );
}

beforeAll(async () => {
  addresses = await memberAddresses();
  changes = 0;
  link = connect();
  await startGateway();
  await becomes('connected');
});

afterEach(() => {
  if (!gateway.exited) process.kill(gateway.pid, 'SIGCONT');
});

afterAll(async () => {
  link.close();
  await gateway.stop();
});

describe('the link to a gateway', () => {
  it('hears what it is and does', async () => {
    expect(look().status).toMatchObject({ serverId: podName, podUid: 'uid-1', ready: true, draining: false });
    expect(look().status?.shards).toMatchObject([{ role: 'primary', peerHeartbeatLost: false }]);
    expect(look().status?.limits?.maxConnections).toBeGreaterThan(0);
    const before = changes;
    const limits = { ...look().status?.limits, maxQps: 4_321 } as never;
    expect(await link.setLimits(limits)).toMatchObject({ success: true, limits: { maxQps: 4_321 } });
    await until('the beat says so', () => look().status?.limits?.maxQps === 4_321);
    expect(changes).toBeGreaterThan(before);
    expect(await link.setZones({ zones: [], revision: 3n })).toMatchObject({ success: true, revision: 3n });
    expect(await link.promote('s0', 1, 'x')).toMatchObject({ success: false, error: { message: /there is no pair/ } });
  });

  it('is silent when the process stands still, and connected when it goes on', async () => {
    process.kill(gateway.pid, 'SIGSTOP');
    await becomes('silent');
    await expect(link.drain(1, 1)).rejects.toThrow(`${podName}: Drain: DEADLINE_EXCEEDED`);
    process.kill(gateway.pid, 'SIGCONT');
    await becomes('connected');
  });

  it('is reset at once by a kill -9, and finds another incarnation after the restart', async () => {
    const incarnation = look().status?.incarnation;
    process.kill(gateway.pid, 'SIGKILL');
    await gateway.ended;
    await until('the link is lost', () => look().state !== 'connected');
    expect(look()).toMatchObject({ state: 'reset', tookLeave: false, status: { incarnation } });
    await startGateway();
    await becomes('connected');
    expect(look().status?.incarnation).not.toBe(incarnation);
  });

  it('knows a pod of the same name by its uid', async () => {
    const other = connect({ podUid: 'uid-2' });
    const seen = () => other.observation(systemClock.nowMs());
    await until('it answered', () => seen().reason.includes('uid-1'));
    expect(seen()).toMatchObject({ state: 'connecting', status: undefined });
    other.close();
  });

  it('tells a stop from a crash', async () => {
    process.kill(gateway.pid, 'SIGTERM');
    await becomes('reset');
    expect(look()).toMatchObject({ tookLeave: true });
    await gateway.ended;
  });
});
