import { describe, expect, it } from 'vitest';
import type { KubeObject } from './kube-api.ts';
import { configMaps, endpointSlices, gateSvrs, leases, statefulSets } from './resources.ts';
import type { PairCluster } from './testing/pair-cluster.ts';
import { epochOf, eventReasons, flipped, said, startedPair, steady } from './testing/pair-scenarios.ts';

describe('a rollout', () => {
  it('updates the backup, hands over, and updates the other; nobody is without a primary', async () => {
    const { cluster } = await startedPair();
    const epoch = epochOf(cluster);
    cluster.patch(gateSvrs, 'chat', { spec: { image: 'gateway:2' } });
    await cluster.until('both are new', () =>
      ['a', 'b'].every((name) => cluster.gateways.get(`chat-p0-${name}-0`)?.version === 'gateway:2'),
    );
    await cluster.until('the pair is ready', () => cluster.gateSvr().status?.updatedPairs === 1);
    await cluster.run(3_000);
    expect(epochOf(cluster)).toBe(epoch + 1);
    expect(said(cluster)).toEqual(flipped);
    expect(eventReasons(cluster)).toEqual(['Bootstrapped', 'SwitchedOver', 'Switchover']);
  });

  it.each(['never starts', 'never gets in sync'])(
    'with an image that %s stops, and the old version serves on',
    async (fault) => {
      const { cluster } = await startedPair({ update: { progressDeadline: '30s' } });
      (fault === 'never starts' ? cluster.badImages : cluster.brokenImages).add('gateway:bad');
      cluster.patch(gateSvrs, 'chat', { spec: { image: 'gateway:bad' } });
      await cluster.run(45_000);
      expect(said(cluster)).toEqual(steady);
      expect(cluster.gateway('chat-p0-b-0')).toMatchObject({ version: 'gateway:1', role: 'backup' });
      const conditions = cluster.gateSvr().status?.conditions ?? [];
      expect(conditions.find(({ type }) => type === 'Degraded')).toMatchObject({
        status: 'True',
        reason: 'RolloutStopped',
      });
      expect(conditions.find(({ type }) => type === 'Available')).toMatchObject({ status: 'True' });
      expect(eventReasons(cluster)).toContain('RolloutStopped');
      cluster.gateway('chat-p0-a-0').alive = false;
      await cluster.run(500);
      expect(said(cluster).holder).toBe('chat-p0-b-0');
      cluster.gateway('chat-p0-a-0').restart();
      cluster.patch(gateSvrs, 'chat', { spec: { image: 'gateway:3' } });
      await cluster.until('the next image is taken', () =>
        ['a', 'b'].every((name) => cluster.gateways.get(`chat-p0-${name}-0`)?.version === 'gateway:3'),
      );
    },
  );

  it('paces itself over pairs', async () => {
    const { cluster } = await startedPair({ pairs: 3 });
    cluster.patch(gateSvrs, 'chat', { spec: { image: 'gateway:2' } });
    let worst = 0;
    const done = (): boolean => {
      const begun = [0, 1, 2].filter((index) => {
        const versions = ['a', 'b'].map((name) => cluster.gateways.get(`chat-p${index}-${name}-0`)?.version);
        return (
          versions.some((version) => version !== 'gateway:1') && versions.some((version) => version !== 'gateway:2')
        );
      });
      worst = Math.max(worst, begun.length);
      return [0, 1, 2].every((index) =>
        ['a', 'b'].every((name) => cluster.gateways.get(`chat-p${index}-${name}-0`)?.version === 'gateway:2'),
      );
    };
    await cluster.until('all are new', done);
    expect(worst).toBe(1);
  });
});

/** "p0 active" of each pair in the fleet map that gateways read. */
function pairsInMap({ store }: PairCluster): string[] {
  const map = store.get<KubeObject & { data: Record<string, string> }>(configMaps, 'games', 'chat-fleet');
  const { pairs } = JSON.parse(map?.data['fleet-map.json'] ?? '{"pairs":[]}') as { pairs: Record<string, string>[] };
  return pairs.map(({ id, state }) => `${id} ${state}`);
}

describe('scale', () => {
  it('from 1 to 3 to 2 pairs: the last one is drained before it goes', async () => {
    const { cluster } = await startedPair();
    cluster.patch(gateSvrs, 'chat', { spec: { pairs: 3 } });
    await cluster.keysAreMade(3);
    await cluster.until('three serve', () => cluster.gateSvr().status?.replicas === 3);
    await cluster.run(2_000);
    const primary = cluster.gateway('chat-p2-a-0');
    cluster.patch(gateSvrs, 'chat', { spec: { pairs: 2 } });
    await cluster.until('gateways hear that it leaves', () => pairsInMap(cluster).includes('p2 draining'));
    await cluster.until('the Lease is gone', () => !cluster.has(leases, 'chat-p2'));
    await cluster.run(2_000);
    expect(primary.drains).toBe(1);
    expect(pairsInMap(cluster)).toEqual(['p0 active', 'p1 active']);
    for (const resource of [statefulSets, leases, endpointSlices]) {
      const left = cluster.store.list(resource).items.map(({ metadata }) => metadata.name);
      expect(left.filter((name) => name.includes('-p2'))).toEqual([]);
      expect(left.filter((name) => name.includes('-p1'))).not.toEqual([]);
    }
    expect(cluster.gateSvr().status?.pairs?.map(({ name }) => name)).toEqual(['p0', 'p1']);
    expect(cluster.gateSvr().status?.replicas).toBe(2);
  });
});
