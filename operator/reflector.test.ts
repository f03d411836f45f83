import { describe, expect, it } from 'vitest';
import { KubeApiError, type KubeObject } from './kube-api.ts';
import { Reflector } from './reflector.ts';
import { configMaps } from './resources.ts';
import { ApiStore } from './testing/api-store.ts';
import { MemoryKube, type MemoryKubeOptions } from './testing/memory-kube.ts';
import { settle, VirtualClock } from './testing/virtual-clock.ts';

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

const object = (name: string, value = '1'): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'a' },
  data: { value },
});

interface Change {
  readonly key: string;
  readonly now: string | undefined;
  readonly before: string | undefined;
}

function harness(options: Omit<MemoryKubeOptions, 'store'> = {}, onChange: (change: Change) => void = () => {}) {
  const clock = new VirtualClock();
  const store = new ApiStore({ wallMs: () => clock.wallMs() });
  const client = new MemoryKube({ ...options, store });
  const changes: Change[] = [];
  const reads: string[] = [];
  const kube: MemoryKube = new MemoryKube({
    store,
    beforeRead: async (verb, resource) => {
      reads.push(verb);
      await options.beforeRead?.(verb, resource);
    },
  });
  const reflector = new Reflector<ConfigMap>({
    client: kube,
    resource: configMaps,
    clock,
    random: () => 0.5,
    onChange: (key, now, before) => {
      const change = { key, now: now?.data?.['value'], before: before?.data?.['value'] };
      onChange(change);
      changes.push(change);
    },
  });
  return { clock, store, client, reflector, changes, reads };
}

describe('a healthy API server', () => {
  it('lists, then follows', async () => {
    const { clock, store, reflector, changes, reads } = harness();
    store.create(configMaps, object('one'));
    expect(reflector.store.synced).toBe(false);
    reflector.start();
    await settle();
    expect(reflector.store.synced).toBe(true);
    store.patch(configMaps, 'a', 'one', { data: { value: '2' } });
    store.create(configMaps, object('two'));
    store.delete(configMaps, 'a', 'one');
    await settle();
    expect(changes).toEqual([
      { key: 'a/one', now: '1', before: undefined },
      { key: 'a/one', now: '2', before: '1' },
      { key: 'a/two', now: '1', before: undefined },
      { key: 'a/one', now: undefined, before: '2' },
    ]);
    expect(reflector.store.list('a').map(({ metadata }) => metadata.name)).toEqual(['two']);
    expect(reflector.store.get('a', 'two')?.data).toEqual({ value: '1' });
    expect(reads).toEqual(['list', 'watch']);
    expect(reflector.store.staleMs(clock.nowMs())).toBe(0);
    await reflector.stop();
  });

  it('takes lists of many pages, and starts anew when a page has expired', async () => {
    let lists = 0;
    const { store, reflector, reads } = harness({
      beforeRead: (verb) => {
        if (verb !== 'list') return;
        lists += 1;
        if (lists === 3) store.compact();
      },
    });
    for (let index = 0; index < 1200; index += 1) store.create(configMaps, object(`c${index}`));
    reflector.start();
    await settle();
    expect(reflector.store.list()).toHaveLength(1200);
    expect(reads).toEqual(['list', 'list', 'list', 'list', 'watch']);
    await reflector.stop();
  });

  it('lists again after ten minutes, and tells only what it had missed', async () => {
    const { clock, store, reflector, changes, reads } = harness();
    store.create(configMaps, object('one'));
    reflector.start();
    await clock.advance(700_000);
    expect(reads.filter((verb) => verb === 'list')).toHaveLength(2);
    expect(changes).toHaveLength(1);
    await reflector.stop();
  });
});

describe('an API server in trouble', () => {
  it('is asked again, ever more slowly, until it answers', async () => {
    const atMs: number[] = [];
    const { clock, reflector } = harness({
      beforeRead: (verb) => {
        if (verb === 'watch') return;
        atMs.push(clock.nowMs());
        if (atMs.length < 12) throw new KubeApiError('internal', { status: 500 });
      },
    });
    reflector.start();
    await clock.advance(200_000);
    const gaps = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
    expect(gaps.slice(0, 3)).toEqual([210, 420, 840]);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(33_000);
    expect(reflector.store.synced).toBe(true);
    await reflector.stop();
  });

  it('waits as long as it is told to', async () => {
    const atMs: number[] = [];
    const { clock, reflector } = harness({
      beforeRead: (verb) => {
        if (verb === 'list') atMs.push(clock.nowMs());
        if (atMs.length < 2) throw new KubeApiError('slow down', { status: 429, retryAfterMs: 7000 });
      },
    });
    reflector.start();
    await clock.advance(8000);
    expect(atMs).toEqual([0, 7000]);
    await reflector.stop();
  });

  it.each([
    { status: 0, lists: 1 },
    { status: 429, lists: 1 },
    { status: 410, lists: 2 },
    { status: 500, lists: 2 },
  ])('after status $status on a watch it has listed $lists times', async ({ status, lists }) => {
    let watches = 0;
    const { clock, store, reflector, reads } = harness({
      beforeRead: (verb) => {
        if (verb !== 'watch') return;
        watches += 1;
        if (watches === 1) throw new KubeApiError('no', { status });
      },
    });
    reflector.start();
    store.create(configMaps, object('late'));
    await clock.advance(5000);
    expect(reads.filter((verb) => verb === 'list')).toHaveLength(lists);
    expect(reflector.store.get('a', 'late')).toBeDefined();
    await reflector.stop();
  });
});

describe('a watch that says nothing', () => {
  it('is given up, and counts as wedged only when that does not help', async () => {
    let watches = 0;
    const { clock, reflector } = harness({
      beforeRead: (verb) => {
        if (verb === 'watch') watches += 1;
      },
    });
    reflector.start();
    // 360 s by the random number above, so 540 s of silence.
    await clock.advance(539_000);
    expect(watches).toBe(1);
    await clock.advance(2000);
    expect(watches).toBe(2);
    expect(reflector.wedged(clock.nowMs())).toBe(false);
    await reflector.stop();
  });

  it('is wedged when not even aborting it helps', async () => {
    const { clock, reflector } = harness({
      beforeRead: (verb) => (verb === 'watch' ? new Promise(() => {}) : undefined),
    });
    reflector.start();
    await clock.advance(600_000);
    expect(reflector.wedged(clock.nowMs())).toBe(false);
    await clock.advance(120_000);
    expect(reflector.wedged(clock.nowMs())).toBe(true);
    expect(reflector.store.staleMs(clock.nowMs())).toBe(720_000);
  });
});

describe('a handler that throws', () => {
  it('is told again of what it missed, with what it saw last', async () => {
    let broken = true;
    const { clock, store, reflector, changes } = harness({}, () => {
      if (broken) throw new Error('broken');
    });
    store.create(configMaps, object('one'));
    reflector.start();
    await settle();
    store.patch(configMaps, 'a', 'one', { data: { value: '2' } });
    store.patch(configMaps, 'a', 'one', { data: { value: '3' } });
    await clock.advance(1500);
    expect(changes).toEqual([]);
    broken = false;
    await clock.advance(1000);
    expect(changes).toEqual([{ key: 'a/one', now: '3', before: undefined }]);
    await reflector.stop();
  });
});
