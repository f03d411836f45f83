import type { KubeObject } from '../kube-api.ts';
import type { Lease, Pod } from '../kube-objects.ts';
import { endpointSlices, events, leases, pods } from '../resources.ts';
import { type Operator, PairCluster } from './pair-cluster.ts';

/** What Lease, slices, labels and status say of the first pair, by pod names. */
export interface Said {
  readonly holder: string;
  /** Where both Services lead; "…, …" when they differ. */
  readonly slices: string;
  readonly labels: string;
  readonly current: string;
  readonly target: string;
}

export const steady: Said = {
  holder: 'chat-p0-a-0',
  slices: 'chat-p0-a-0',
  labels: 'a=primary b=backup',
  current: 'chat-p0-a-0',
  target: 'chat-p0-a-0',
};
export const flipped: Said = {
  holder: 'chat-p0-b-0',
  slices: 'chat-p0-b-0',
  labels: 'a=backup b=primary',
  current: 'chat-p0-b-0',
  target: 'chat-p0-b-0',
};

export function eventReasons(cluster: PairCluster): string[] {
  return cluster.store
    .list(events)
    .items.map((event) => (event as unknown as { reason: string }).reason)
    .sort();
}

export function epochOf(cluster: PairCluster): number {
  return Number(cluster.get(leases, 'chat-p0').metadata.annotations?.['gatesvr.io/epoch']);
}

interface Slice extends KubeObject {
  readonly endpoints?: readonly { readonly targetRef?: { readonly name?: string } }[];
}

export function said(cluster: PairCluster, shard = 'chat-p0'): Said {
  const targets = ['quic', 'upstream'].map((suffix) => {
    const slice = cluster.store.get<Slice>(endpointSlices, 'games', `${shard}-${suffix}`);
    return slice?.endpoints?.[0]?.targetRef?.name ?? '-';
  });
  const labels = ['a', 'b'].map((member) => {
    const pod = cluster.store.get<Pod>(pods, 'games', `${shard}-${member}-0`);
    return `${member}=${pod?.metadata.labels?.['gatesvr.io/role'] ?? '-'}`;
  });
  const pair = cluster.gateSvr().status?.pairs?.find(({ name }) => name === shard.slice('chat-'.length));
  const lease = cluster.store.get<Lease>(leases, 'games', shard);
  return {
    holder: lease?.spec?.holderIdentity?.split('/')[0] ?? '-',
    slices: [...new Set(targets)].join(', '),
    labels: labels.join(' '),
    current: pair?.currentPrimary ?? '-',
    target: pair?.targetPrimary ?? '-',
  };
}

/** One GateSvr whose pairs are ready, and one operator that has nothing left to do. */
export async function startedPair(spec: object = {}): Promise<{ cluster: PairCluster; operator: Operator }> {
  const cluster = new PairCluster();
  const operator = cluster.startOperator();
  await cluster.keysAreMade(cluster.createGateSvr(spec).spec.pairs);
  await cluster.until('the pairs are ready', () => {
    const conditions = cluster.gateSvr().status?.conditions ?? [];
    return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
  });
  await cluster.run(500);
  return { cluster, operator };
}
