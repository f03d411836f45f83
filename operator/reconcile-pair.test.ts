import { describe, expect, it } from 'vitest';
import { gateSvrs, leases, nodes, pods } from './resources.ts';
import type { PairCluster } from './testing/pair-cluster.ts';
import { epochOf, eventReasons, flipped, said, startedPair, steady } from './testing/pair-scenarios.ts';

describe('a healthy pair', () => {
  it('begins once, and then nothing is written', async () => {
    const { cluster, operator } = await startedPair();
    expect(said(cluster)).toEqual(steady);
    const before = operator.client.writes.length;
    await cluster.run(60_000);
    expect(operator.client.writes.slice(before).map(({ verb, resource }) => `${verb} ${resource.plural}`)).toEqual([]);
    expect(eventReasons(cluster)).toEqual(['Bootstrapped']);
  });
});

describe('a primary that dies', () => {
  it('is replaced: Lease, slices, labels and status say so, and each thing is told once', async () => {
    const { cluster, operator } = await startedPair();
    const [before, epoch] = [operator.client.writes.length, epochOf(cluster)];
    cluster.gateway('chat-p0-a-0').alive = false;
    await cluster.until('the backup leads', () => said(cluster).holder === 'chat-p0-b-0', 500);
    await cluster.run(200);
    expect(said(cluster)).toEqual(flipped);
    expect(epochOf(cluster)).toBe(epoch + 1);
    expect(cluster.gateway('chat-p0-b-0').promotes).toHaveLength(1);
    const written = operator.client.writes
      .slice(before)
      .map(({ verb, resource, name }) => `${verb} ${resource.plural} ${name}`);
    expect(written.filter((write) => !write.includes('gatesvrs') && !write.includes('events'))).toEqual([
      'replace leases chat-p0',
      'apply endpointslices chat-p0-quic',
      'apply endpointslices chat-p0-upstream',
      'patch pods chat-p0-b-0',
      'patch pods chat-p0-a-0',
    ]);
    cluster.gateway('chat-p0-a-0').restart();
    await cluster.until(
      'the old one is in sync',
      () =>
        cluster.get(leases, 'chat-p0').metadata.annotations?.['gatesvr.io/in-sync']?.includes('chat-p0-a-0') === true,
    );
    await cluster.run(1_000);
    expect(eventReasons(cluster)).toEqual(['Bootstrapped', 'FailedOver', 'FailingOver']);
    expect(cluster.gateSvr().status?.pairs?.[0]).toMatchObject({ lastPromotionReason: 'Failover' });
    expect(await operator.registry.metrics()).toMatch(/gatesvr_operator_failover_total_seconds_count 1/);
  });

  it('by SIGSTOP is replaced after the timeout, and comes back as backup', async () => {
    const { cluster } = await startedPair();
    cluster.gateway('chat-p0-a-0').paused = true;
    await cluster.run(900);
    expect(said(cluster).holder).toBe('chat-p0-a-0');
    await cluster.run(300);
    expect(said(cluster)).toEqual(flipped);
    cluster.gateway('chat-p0-a-0').paused = false;
    await cluster.run(2_000);
    expect(said(cluster)).toEqual(flipped);
    expect(cluster.gateway('chat-p0-a-0').role).toBe('backup');
  });

  it('together with its backup: a new history begins', async () => {
    const { cluster } = await startedPair();
    const history = cluster.get(leases, 'chat-p0').metadata.annotations?.['gatesvr.io/history'];
    const epoch = epochOf(cluster);
    for (const name of ['chat-p0-a-0', 'chat-p0-b-0']) cluster.gateway(name).alive = false;
    await cluster.run(300);
    for (const name of ['chat-p0-a-0', 'chat-p0-b-0']) cluster.gateway(name).restart();
    await cluster.run(2_000);
    expect(cluster.get(leases, 'chat-p0').metadata.annotations?.['gatesvr.io/history']).not.toBe(history);
    expect(epochOf(cluster)).toBe(epoch + 1);
    expect(eventReasons(cluster)).toContain('StateReset');
    expect(cluster.gateSvr().status?.pairs?.[0]?.lastPromotionReason).toBe('Reset');
  });

  it('with its node: the pod is deleted by force and made again', async () => {
    const { cluster } = await startedPair();
    const uid = cluster.get(pods, 'chat-p0-a-0').metadata.uid;
    cluster.gateway('chat-p0-a-0').paused = true;
    await cluster.run(2_000);
    expect(said(cluster)).toEqual(flipped);
    cluster.setNodeReady('n1', false);
    await cluster.until('there is another pod', () => cluster.get(pods, 'chat-p0-a-0').metadata.uid !== uid);
    expect(eventReasons(cluster)).toContain('PodForceDeleted');
  });
});

describe('a link that breaks', () => {
  it('between the two promotes nobody; people are told', async () => {
    const { cluster } = await startedPair();
    cluster.gateway('chat-p0-a-0').cutFromPeer = true;
    await cluster.run(5_000);
    expect(said(cluster)).toEqual(steady);
    expect(eventReasons(cluster)).toEqual(['Bootstrapped']);
    cluster.gateway('chat-p0-a-0').cutFromPeer = false;
    await cluster.run(1_000);
    cluster.gateway('chat-p0-a-0').cutFromOperator = true;
    await cluster.run(5_000);
    expect(said(cluster)).toEqual(steady);
    expect(eventReasons(cluster)).toContain('LinkBroken');
  });

  it('again and again promotes once a cool-down', async () => {
    const { cluster } = await startedPair();
    const epoch = epochOf(cluster);
    for (let turn = 0; turn < 8; turn += 1) {
      const name = said(cluster).holder;
      cluster.gateway(name).paused = true;
      await cluster.run(1_500);
      cluster.gateway(name).paused = false;
      await cluster.run(1_500);
    }
    expect(epochOf(cluster)).toBe(epoch + 1);
  });
});

describe('a Lease', () => {
  it('that is deleted is made again around the primary, above its epoch', async () => {
    const { cluster } = await startedPair();
    const [epoch, history] = [epochOf(cluster), cluster.gateway('chat-p0-a-0').history];
    cluster.store.delete(leases, 'games', 'chat-p0');
    await cluster.run(2_000);
    expect(said(cluster)).toEqual(steady);
    expect(epochOf(cluster)).toBeGreaterThan(epoch);
    expect(cluster.gateway('chat-p0-a-0').history).toBe(history);
    expect(eventReasons(cluster)).toContain('LeaseRestored');
  });

  it('that a gateway has made is taken into the care of the GateSvr', async () => {
    const { cluster } = await startedPair();
    const { metadata, ...rest } = cluster.get(leases, 'chat-p0');
    cluster.store.replace(leases, { ...rest, metadata: { ...metadata, labels: {}, ownerReferences: [] } });
    await cluster.run(500);
    const { labels, ownerReferences, annotations } = cluster.get(leases, 'chat-p0').metadata;
    expect(labels?.['gatesvr.io/pair']).toBe('p0');
    expect(ownerReferences?.[0]?.uid).toBe(cluster.gateSvr().metadata.uid);
    expect(annotations).toEqual(metadata.annotations);
  });

  it('with nonsense in it is repaired the same way', async () => {
    const { cluster } = await startedPair();
    cluster.patch(leases, 'chat-p0', { metadata: { annotations: { 'gatesvr.io/epoch': 'many' } } });
    await cluster.run(2_000);
    expect(said(cluster)).toEqual(steady);
  });
});

describe('a switchover', () => {
  const causes: readonly (readonly [string, (cluster: PairCluster) => void])[] = [
    ['a cordoned node', (cluster) => cluster.patch(nodes, 'n1', { spec: { unschedulable: true } })],
    ['a deleted pod', (cluster) => cluster.deletePod('chat-p0-a-0')],
    [
      'a fenced pod',
      (cluster) => cluster.patch(pods, 'chat-p0-a-0', { metadata: { annotations: { 'gatesvr.io/fenced': 'true' } } }),
    ],
    [
      'a request',
      (cluster) =>
        cluster.store.patch(gateSvrs, 'games', 'chat', {
          metadata: { annotations: { 'gatesvr.io/switchover': 'chat-p0-b-0' } },
        }),
    ],
    ['a primary that is not ready', (cluster) => Object.assign(cluster.gateway('chat-p0-a-0'), { ready: false })],
  ];
  it.each(causes)('follows from %s', async (_, cause) => {
    const { cluster } = await startedPair();
    cause(cluster);
    await cluster.until('the other leads', () => said(cluster).holder === 'chat-p0-b-0', 1_500);
    await cluster.until(
      'all say so',
      () => said(cluster).labels !== steady.labels && said(cluster).current === 'chat-p0-b-0',
      5_000,
    );
    expect(said(cluster)).toMatchObject({ slices: 'chat-p0-b-0', target: 'chat-p0-b-0' });
    expect(eventReasons(cluster)).toEqual(expect.arrayContaining(['Switchover', 'SwitchedOver']));
    expect(eventReasons(cluster)).not.toContain('FailedOver');
    expect(cluster.gateSvr().metadata.annotations?.['gatesvr.io/switchover']).toBeUndefined();
  });

  it('that is refused is asked for again, slower; a death meanwhile is a failover at once', async () => {
    const { cluster, operator } = await startedPair();
    cluster.gateway('chat-p0-a-0').refusesDemote = true;
    cluster.patch(nodes, 'n1', { spec: { unschedulable: true } });
    await cluster.run(10_000);
    expect(said(cluster).holder).toBe('chat-p0-a-0');
    expect(eventReasons(cluster)).toContain('SwitchoverFailed');
    expect(await operator.registry.metrics()).toMatch(/switchover_failures_total [23]\n/);
    cluster.gateway('chat-p0-a-0').alive = false;
    await cluster.run(500);
    expect(said(cluster).holder).toBe('chat-p0-b-0');
  });

  it('that is never answered does not hold up a failover', async () => {
    const { cluster } = await startedPair();
    cluster.gateway('chat-p0-a-0').paused = true;
    cluster.patch(nodes, 'n1', { spec: { unschedulable: true } });
    await cluster.run(1_300);
    expect(said(cluster).holder).toBe('chat-p0-b-0');
  });
});
