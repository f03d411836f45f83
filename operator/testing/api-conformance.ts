import { expect, it } from 'vitest';
import type { KubeApiError, KubeClient, KubeObject, WatchEvent } from '../kube-api.ts';
import { configMaps, pods, statefulSets } from '../resources.ts';

type Loose = KubeObject & Record<string, unknown>;

interface Given {
  readonly client: () => KubeClient;
  /** The same API server under another field manager. */
  readonly other: () => KubeClient;
  readonly namespace: string;
}

const never = new AbortController().signal;

async function statusOf(promise: Promise<unknown>): Promise<number | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return (error as KubeApiError).status;
  }
}

/** What the operator takes for granted of an API server: tests of the real one, and of the one that stands in for it. */
export function itIsAnApiServer({ client, other, namespace }: Given): void {
  const configMap = (name: string, data: object, metadata: object = {}): Loose => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, ...metadata },
    data,
  });
  const statefulSet = (containers: readonly object[], replicas = 0): Loose => ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 's', namespace },
    spec: {
      replicas,
      serviceName: 's',
      selector: { matchLabels: { app: 's' } },
      template: { metadata: { labels: { app: 's' } }, spec: { containers } },
    },
  });
  const dataOf = async (name: string) => (await client().get<Loose>(configMaps, namespace, name))?.['data'];

  it('compares and swaps', async () => {
    const first = await client().create(configMaps, configMap('cas', { x: '1' }));
    expect(await statusOf(client().create(configMaps, configMap('cas', {})))).toBe(409);
    const second = await client().replace(configMaps, { ...first, data: { x: '2' } });
    expect(await statusOf(client().replace(configMaps, { ...first, data: { x: '3' } }))).toBe(409);
    const stale = configMap('cas', { y: '3' }, { resourceVersion: first.metadata.resourceVersion });
    expect(await statusOf(client().apply(configMaps, stale))).toBe(409);
    const patch = { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { z: '4' } };
    expect(await statusOf(client().patch(configMaps, namespace, 'cas', patch))).toBe(409);
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
    expect(await dataOf('cas')).toEqual({ x: '2' });
    expect(await statusOf(client().replace(configMaps, configMap('missing', {}, { resourceVersion: '1' })))).toBe(404);
  });

  it('keeps the version when a write changes nothing', async () => {
    const first = await client().apply(configMaps, configMap('same', { x: '1' }));
    const again = await client().apply(configMaps, configMap('same', { x: '1' }));
    const patched = await client().patch(configMaps, namespace, 'same', { data: { x: '1' } });
    expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    expect(patched.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it('removes what an apply no longer names, and nothing that another one set', async () => {
    await client().apply(configMaps, configMap('ssa', { mine: '1', also: '2', moved: '1', shared: '1' }));
    await other().apply(configMaps, configMap('ssa', { moved: '2', shared: '1' }));
    await other().patch(configMaps, namespace, 'ssa', { data: { theirs: '3' } });
    await client().apply(configMaps, configMap('ssa', { mine: '1' }));
    expect(await dataOf('ssa')).toEqual({ mine: '1', moved: '2', shared: '1', theirs: '3' });
    await client().patch(configMaps, namespace, 'ssa', { data: { theirs: null } });
    expect(await dataOf('ssa')).toEqual({ mine: '1', moved: '2', shared: '1' });
  });

  it('merges lists by key, and counts generations by the spec', async () => {
    const main = { name: 'main', image: 'x', env: [{ name: 'A', value: '1' }] };
    const made = await client().apply(statefulSets, statefulSet([main]));
    expect(made.metadata.generation).toBe(1);
    await other().apply(statefulSets, statefulSet([{ name: 'side', image: 'y' }]));
    await client().apply(statefulSets, statefulSet([{ name: 'main', image: 'z' }]));
    const labelled = { ...statefulSet([{ name: 'main', image: 'z' }]) };
    await client().apply(statefulSets, { ...labelled, metadata: { ...labelled.metadata, labels: { a: 'b' } } });
    const now = await client().get<Loose>(statefulSets, namespace, 's');
    expect(now).toMatchObject({
      metadata: { generation: 3, labels: { a: 'b' } },
      spec: { template: { spec: { containers: [{ name: 'main', image: 'z' }, { name: 'side' }] } } },
    });
    expect(JSON.stringify(now?.['spec'])).not.toContain('"A"');
  });

  it('keeps a status apart, and its parts by manager', async () => {
    const { spec: _, ...bare } = statefulSet([]);
    const status = (fields: object): Loose => ({ ...bare, status: fields });
    await client().applyStatus(statefulSets, status({ replicas: 3, readyReplicas: 1 }), 'one');
    await client().applyStatus(statefulSets, status({ replicas: 3, currentReplicas: 2 }), 'two');
    await client().applyStatus(statefulSets, status({ replicas: 3 }), 'one');
    await client().patch(statefulSets, namespace, 's', { status: { updatedReplicas: 7 } });
    const now = await client().get<Loose>(statefulSets, namespace, 's');
    expect(now).toMatchObject({ status: { replicas: 3, currentReplicas: 2 }, metadata: { generation: 3 } });
    expect(now?.['status']).not.toHaveProperty('updatedReplicas', 7);
    const shown = { readyReplicas: 0, ...(now?.['status'] as object) };
    expect(shown.readyReplicas).toBe(0);
    const missing = status({ replicas: 0 });
    const nowhere = { ...missing, metadata: { ...missing.metadata, name: 'missing' } };
    expect(await statusOf(client().applyStatus(statefulSets, nowhere))).toBe(404);
  });

  it('deletes by precondition, and waits for finalizers', async () => {
    const made = await client().create(configMaps, configMap('gone', {}, { finalizers: ['gatesvr.io/test'] }));
    expect(await statusOf(client().delete(configMaps, namespace, 'gone', { uid: 'another' }))).toBe(409);
    expect(await statusOf(client().delete(configMaps, namespace, 'gone', { resourceVersion: '1' }))).toBe(409);
    await client().delete(configMaps, namespace, 'gone', { uid: made.metadata.uid ?? '' });
    const going = await client().get(configMaps, namespace, 'gone');
    expect(going?.metadata.deletionTimestamp).toMatch(/Z$/);
    await client().patch(configMaps, namespace, 'gone', { metadata: { finalizers: null } });
    expect(await client().get(configMaps, namespace, 'gone')).toBeUndefined();
    await client().delete(configMaps, namespace, 'gone');
  });

  it('lists one moment in pages', async () => {
    const labels = { paged: 'yes' };
    for (const name of ['p1', 'p2', 'p3']) await client().create(configMaps, configMap(name, {}, { labels }));
    const options = { namespace, labelSelector: 'paged=yes', limit: 2 };
    const first = await client().list(configMaps, options);
    await client().create(configMaps, configMap('p4', {}, { labels }));
    const second = await client().list(configMaps, { ...options, continueToken: first.continueToken });
    expect([...first.items, ...second.items].map(({ metadata }) => metadata.name)).toEqual(['p1', 'p2', 'p3']);
    expect(second.continueToken).toBe('');
    expect(await statusOf(client().list(configMaps, { ...options, continueToken: 'nonsense' }))).toBeDefined();
  });

  it('shows in a watch what enters and leaves a selection', async () => {
    const { resourceVersion } = await client().list(pods, { namespace });
    const containers = [{ name: 'c', image: 'x' }];
    const role = (value: string): object => ({ metadata: { labels: { role: value } } });
    const metadata = { name: 'p', namespace, labels: { role: 'backup' } };
    await client().create(pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers } } as Loose);
    await client().patch(pods, namespace, 'p', role('primary'));
    await client().patch(pods, namespace, 'p', { metadata: { annotations: { a: 'b' } } });
    await client().patch(pods, namespace, 'p', role('backup'));
    const seen: string[] = [];
    const versions: number[] = [];
    const options = { namespace, labelSelector: 'role=primary', resourceVersion, timeoutSeconds: 5 };
    for await (const event of client().watch(pods, options, never)) {
      seen.push(event.type);
      versions.push(Number(versionOf(event)));
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  });
}

function versionOf(event: WatchEvent<KubeObject>): string {
  return event.type === 'BOOKMARK' ? event.resourceVersion : (event.object.metadata.resourceVersion ?? '');
}
