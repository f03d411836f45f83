import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from '../../e2e/cluster/control-plane.ts';
import type { KubeObject } from '../kube-api.ts';
import { LeaderElection } from '../leader-election.ts';
import { systemClock } from '../lib/clock.ts';
import { Reflector } from '../reflector.ts';
import { configMaps, leases, serviceAccounts } from '../resources.ts';
import { itIsAnApiServer } from '../testing/api-conformance.ts';
import { findCluster } from './find-cluster.ts';
import { HttpKubeClient } from './http-kube-client.ts';

const namespaces = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };
const patience = { timeout: 60_000 };

describe('a real API server', () => {
  let plane: ControlPlane;
  const clients: HttpKubeClient[] = [];
  const codes: string[] = [];

  const makeClient = (fieldManager: string): HttpKubeClient => {
    const environment = { env: {}, readFile: readFileSync, nowMs: () => systemClock.nowMs() };
    const access = findCluster({ kubeconfig: plane.kubeconfigPath }, environment);
    const metrics = { requested: (method: string, code: string) => codes.push(`${method} ${code}`) };
    const client = new HttpKubeClient({ access, clock: systemClock, metrics, fieldManager, userAgent: 'test' });
    clients.push(client);
    return client;
  };
  const client = (): HttpKubeClient => clients[0] as HttpKubeClient;

  beforeAll(async () => {
    plane = await startControlPlane();
    makeClient('op');
    makeClient('other');
    for (const name of ['a', 'many', 'ops']) {
      await client().create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      // There is no controller to make it, and no pod without it.
      const metadata = { name: 'default', namespace: name };
      await client().create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
    }
  });
  afterAll(async () => {
    for (const each of clients) each.close();
    await plane.stop();
  });

  itIsAnApiServer({ client, other: () => clients[1] as HttpKubeClient, namespace: 'a' });

  it('is followed through 10,000 events, and in pages', async () => {
    const object = (index: number, value: string): KubeObject & { data: object } => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `c${index}`, namespace: 'many' },
      data: { value },
    });
    const all = async (run: (index: number) => Promise<unknown>): Promise<void> => {
      for (let from = 0; from < 1000; from += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, index) => run(from + index)));
      }
    };
    await all((index) => client().create(configMaps, object(index, '0')));
    let changes = 0;
    const reflector = new Reflector<KubeObject & { readonly data: { readonly value: string } }>({
      client: makeClient('reflector'),
      resource: configMaps,
      namespace: 'many',
      clock: systemClock,
      random: Math.random,
      onChange: () => {
        changes += 1;
      },
    });
    const before = codes.length;
    reflector.start();
    await expect.poll(() => reflector.store.list().length, patience).toBe(1000);
    // Two pages of 500, or three when they end even, and the watch.
    expect(codes.length - before).toBeLessThanOrEqual(4);
    for (let round = 1; round <= 9; round += 1) {
      await all((index) => client().replace(configMaps, object(index, String(round))));
    }
    await expect.poll(() => changes, patience).toBe(10_000);
    expect(reflector.store.list().every(({ data }) => data.value === '9')).toBe(true);
    await reflector.stop();
  });

  it('has its leader elected by a Lease', async () => {
    const events: string[] = [];
    const candidate = (identity: string): LeaderElection =>
      new LeaderElection({
        client: makeClient(identity),
        namespace: 'ops',
        name: 'operator',
        identity,
        clock: systemClock,
        random: Math.random,
        timings: { leaseMs: 5000, renewDeadlineMs: 4000, retryMs: 300 },
        onElected: () => events.push(`${identity} elected`),
        onLost: () => events.push(`${identity} lost`),
      });
    const [one, two] = [candidate('one'), candidate('two')];
    one.start();
    await expect.poll(() => one.isLeader, patience).toBe(true);
    two.start();
    await expect.poll(() => two.leader, patience).toBe('one');
    await one.stop();
    await expect.poll(() => two.isLeader, patience).toBe(true);
    await client().delete(leases, 'ops', 'operator');
    await expect.poll(() => client().get(leases, 'ops', 'operator'), patience).toBeDefined();
    expect(two.isLeader).toBe(true);
    expect(events).toEqual(['one elected', 'two elected']);
    await two.stop();
  });
});
