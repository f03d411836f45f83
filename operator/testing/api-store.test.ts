import { describe, expect, it } from 'vitest';
import type { KubeObject, WatchEvent } from '../kube-api.ts';
import { configMaps, gateSvrs, pods, statefulSets } from '../resources.ts';
import { ApiStore } from './api-store.ts';

type Loose = KubeObject & Record<string, unknown>;

const configMap = (name: string, data: object, metadata: object = {}): Loose => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'a', ...metadata },
  data,
});
const gateSvr = (spec: object, metadata: object = {}): Loose => ({
  apiVersion: 'gatesvr.io/v1alpha1',
  kind: 'GateSvr',
  metadata: { name: 'g', namespace: 'a', ...metadata },
  spec,
});
const statusOf = (run: () => unknown): number | undefined => {
  try {
    run();
  } catch (error) {
    return (error as { status: number }).status;
  }
  return undefined;
};

describe('writes', () => {
  it('refuses a replace on an old version, and a second create', () => {
    const store = new ApiStore();
    const first = store.create(configMaps, configMap('c', { x: '1' }));
    store.replace(configMaps, { ...first, data: { x: '2' } });
    expect(statusOf(() => store.replace(configMaps, { ...first, data: { x: '3' } }))).toBe(409);
    expect(statusOf(() => store.create(configMaps, first))).toBe(409);
    expect(store.get<Loose>(configMaps, 'a', 'c')?.['data']).toEqual({ x: '2' });
  });

  it('changes nothing when a write says what is there already', () => {
    const store = new ApiStore();
    const first = store.apply(configMaps, configMap('c', { x: '1' }), 'op');
    const second = store.apply(configMaps, configMap('c', { x: '1' }), 'op');
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    expect(store.changes).toBe(1);
  });

  it('keeps status apart and counts generations by the spec', () => {
    const store = new ApiStore();
    store.create(gateSvrs, { ...gateSvr({ pairs: 1 }), status: { bad: true } } as Loose);
    store.apply(gateSvrs, { ...gateSvr({ ignored: 1 }), status: { good: true } } as Loose, 'op', 'status');
    let now = store.get<Loose>(gateSvrs, 'a', 'g');
    expect(now).toMatchObject({ spec: { pairs: 1 }, status: { good: true }, metadata: { generation: 1 } });
    expect(now?.['status']).toEqual({ good: true });
    store.patch(gateSvrs, 'a', 'g', { spec: { pairs: 2 }, status: { bad: true } });
    store.patch(gateSvrs, 'a', 'g', { metadata: { labels: { x: 'y' } } });
    now = store.get<Loose>(gateSvrs, 'a', 'g');
    expect(now).toMatchObject({ spec: { pairs: 2 }, metadata: { generation: 2 }, status: { good: true } });
  });
});

describe('server-side apply', () => {
  it('removes what the manager no longer names, and leaves what others set', () => {
    const store = new ApiStore();
    store.apply(configMaps, configMap('c', { mine: '1', also: '2' }), 'op');
    store.patch(configMaps, 'a', 'c', { data: { theirs: '3' } });
    store.apply(configMaps, configMap('c', { mine: '1' }), 'op');
    expect(store.get<Loose>(configMaps, 'a', 'c')?.['data']).toEqual({ mine: '1', theirs: '3' });
  });

  it('takes a field over from another, and gives a shared one up without removing it', () => {
    const store = new ApiStore();
    store.apply(configMaps, configMap('c', { shared: '1', moved: '1' }), 'one');
    store.apply(configMaps, configMap('c', { shared: '1', moved: '2' }), 'two');
    store.apply(configMaps, configMap('c', {}), 'one');
    expect(store.get<Loose>(configMaps, 'a', 'c')?.['data']).toEqual({ shared: '1', moved: '2' });
  });

  it('merges lists by their keys', () => {
    const store = new ApiStore();
    const set = (containers: object[]): Loose => ({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 's', namespace: 'a' },
      spec: { template: { spec: { containers } } },
    });
    store.apply(statefulSets, set([{ name: 'main', image: 'x', env: [{ name: 'A', value: '1' }] }]), 'op');
    store.apply(statefulSets, set([{ name: 'side', image: 'y' }]), 'mesh');
    store.apply(statefulSets, set([{ name: 'main', image: 'z' }]), 'op');
    expect(store.get<Loose>(statefulSets, 'a', 's')?.['spec']).toEqual({
      template: {
        spec: {
          containers: [
            { name: 'main', image: 'z' },
            { name: 'side', image: 'y' },
          ],
        },
      },
    });
  });
});

describe('deletes', () => {
  it('waits for finalizers, and checks preconditions', () => {
    const store = new ApiStore();
    const made = store.create(configMaps, configMap('c', {}, { finalizers: ['x/y'] }));
    expect(statusOf(() => store.delete(configMaps, 'a', 'c', { uid: 'another' }))).toBe(409);
    expect(statusOf(() => store.delete(configMaps, 'a', 'c', { resourceVersion: '1' }))).toBe(409);
    store.delete(configMaps, 'a', 'c', { uid: made.metadata.uid ?? '' });
    expect(store.get(configMaps, 'a', 'c')?.metadata.deletionTimestamp).toMatch(/Z$/);
    store.patch(configMaps, 'a', 'c', { metadata: { finalizers: null } });
    expect(store.get(configMaps, 'a', 'c')).toBeUndefined();
    expect(statusOf(() => store.delete(configMaps, 'a', 'c'))).toBe(404);
  });

  it.each([true, false])('takes what is owned with it: %s', (cascade) => {
    const store = new ApiStore({ cascade });
    const owner = store.create(gateSvrs, gateSvr({}));
    const reference = { apiVersion: 'gatesvr.io/v1alpha1', kind: 'GateSvr', name: 'g', uid: owner.metadata.uid ?? '' };
    store.create(configMaps, configMap('owned', {}, { ownerReferences: [reference] }));
    store.create(configMaps, configMap('free', {}));
    store.delete(gateSvrs, 'a', 'g');
    const left = store.list(configMaps).items.map(({ metadata }) => metadata.name);
    expect(left).toEqual(cascade ? ['free'] : ['free', 'owned']);
  });
});

describe('lists and watches', () => {
  it('pages through one moment, and expires the token', () => {
    const store = new ApiStore();
    for (const name of ['a', 'b', 'c']) store.create(configMaps, configMap(name, {}));
    const first = store.list(configMaps, { limit: 2 });
    store.create(configMaps, configMap('d', {}));
    const second = store.list(configMaps, { limit: 2, continueToken: first.continueToken });
    expect([...first.items, ...second.items].map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
    expect(second.resourceVersion).toBe(first.resourceVersion);
    store.compact();
    expect(statusOf(() => store.list(configMaps, { continueToken: first.continueToken }))).toBe(410);
    expect(statusOf(() => store.subscribe(configMaps, { resourceVersion: '1000' }, () => {}))).toBe(410);
  });

  it('tells of what enters and leaves a selection', () => {
    const store = new ApiStore();
    const from = store.resourceVersion;
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'a', labels: { role: 'backup' } } };
    store.create(pods, pod);
    const seen: string[] = [];
    const deliver = (event: WatchEvent<KubeObject>) => seen.push(event.type);
    store.subscribe(pods, { resourceVersion: from, labelSelector: 'role in (primary)' }, deliver);
    store.patch(pods, 'a', 'p', { metadata: { labels: { role: 'primary' } } });
    store.setStatus(pods, 'a', 'p', { phase: 'Running' });
    store.patch(pods, 'a', 'p', { metadata: { labels: { role: 'backup' } } });
    store.delete(pods, 'a', 'p');
    expect(seen).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  });
});
