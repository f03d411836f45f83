import { afterEach, describe, expect, it } from 'vitest';
import type { KubeObject } from './kube-api.ts';
import { HttpKubeClient } from './kube-client/http-kube-client.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import { Reflector } from './reflector.ts';
import { configMaps } from './resources.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';

type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const object = (name: string, value: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'a' },
  data: { value },
});

/** Waits pass `factor` times as fast, so that backoffs and silences are over within the test. */
function hasty(factor: number): Clock {
  return {
    nowMs: () => systemClock.nowMs() * factor,
    wallMs: () => systemClock.wallMs(),
    after: (ms, run) => systemClock.after(ms / factor, run),
  };
}

async function harness(clock: Clock, bookmarkMs = 60_000) {
  const server = new FakeApiServer({ bookmarkMs });
  await server.listen();
  closers.push(() => server.close());
  const access = {
    server: server.url,
    namespace: 'a',
    refused: () => {},
    connection: async () => ({ tls: {}, headers: {} }),
  };
  const metrics = { requested: () => {} };
  const common = { clock: systemClock, metrics, fieldManager: 'op', userAgent: 'test', callTimeoutMs: 2000 };
  const client = new HttpKubeClient({ ...common, access });
  closers.push(() => client.close());
  const told = new Map<string, string | undefined>();
  let changes = 0;
  const reflector = new Reflector<ConfigMap>({
    client,
    resource: configMaps,
    clock,
    random: () => 0.5,
    onChange: (key, now) => {
      changes += 1;
      told.set(key, now?.data?.['value']);
    },
  });
  closers.push(() => reflector.stop());
  const seen = (verb: string): number => server.requests.filter((request) => request.verb === verb).length;
  /** The store is what the server has, and so is what the handler was told. */
  const caughtUp = (): boolean => {
    const items = server.store.list<ConfigMap>(configMaps).items;
    const same = items.every(({ metadata: { namespace = '', name, resourceVersion } }) => {
      return reflector.store.get(namespace, name)?.metadata.resourceVersion === resourceVersion;
    });
    const alive = [...told.values()].filter((value) => value !== undefined).length;
    return same && reflector.store.list().length === items.length && alive === items.length;
  };
  return { server, reflector, seen, caughtUp, changesOf: () => changes };
}

describe('a reflector over HTTP', () => {
  it('follows 10,000 events with one list and one watch', async () => {
    const { server, reflector, seen, caughtUp, changesOf } = await harness(systemClock);
    reflector.start();
    await expect.poll(() => reflector.store.synced).toBe(true);
    await expect.poll(() => seen('watch')).toBe(1);
    for (let index = 0; index < 10_000; index += 1) {
      const name = `c${index % 500}`;
      const exists = server.store.get(configMaps, 'a', name) !== undefined;
      if (!exists) server.store.create(configMaps, object(name, '0'));
      else if (index % 7 === 0) server.store.delete(configMaps, 'a', name);
      else server.store.patch(configMaps, 'a', name, { data: { value: String(index) } });
    }
    await expect.poll(() => changesOf(), { timeout: 20_000 }).toBe(10_000);
    expect(caughtUp()).toBe(true);
    expect([seen('list'), seen('watch')]).toEqual([1, 1]);
  });

  it('loses nothing while streams are cut, answers fail and versions expire', async () => {
    const { server, reflector, seen, caughtUp } = await harness(hasty(100));
    const { store } = server;
    reflector.start();
    const troubles: (() => void)[] = [
      () => server.fault({ do: 'cut', afterEvents: 3, verbs: ['watch'], times: 1 }),
      () => server.fault({ do: 'error-event', status: 500, afterEvents: 2, verbs: ['watch'], times: 1 }),
      () => server.fault({ do: 'error-event', status: 410, afterEvents: 1, verbs: ['watch'], times: 1 }),
      () => server.fault({ do: 'status', status: 500, verbs: ['list', 'watch'], times: 2 }),
      () => server.fault({ do: 'status', status: 429, retryAfterSeconds: 1, verbs: ['watch'], times: 1 }),
      () => server.fault({ do: 'reset', times: 2 }),
      () => server.fault({ do: 'slow', delayMs: 20, times: 2 }),
      () => store.compact(),
      () => server.breakConnections(),
    ];
    for (let round = 0; round < 36; round += 1) {
      troubles[round % troubles.length]?.();
      for (let index = 0; index < 20; index += 1) {
        const name = `c${(round * 7 + index) % 40}`;
        if (store.get(configMaps, 'a', name) === undefined) store.create(configMaps, object(name, 'new'));
        else if (index % 3 === 0) store.delete(configMaps, 'a', name);
        else store.patch(configMaps, 'a', name, { data: { value: String(round) } });
      }
      if (round % 5 === 0) server.breakConnections();
      await expect.poll(caughtUp, { timeout: 20_000, interval: 5 }).toBe(true);
    }
    expect(seen('watch')).toBeGreaterThan(20);
    expect(seen('list')).toBeGreaterThan(10);
  });

  it('gives a watch up that says nothing, though its connection stands', async () => {
    const { server, reflector, seen } = await harness(hasty(500));
    server.fault({ do: 'silent', verbs: ['watch'], times: 1 });
    reflector.start();
    await expect.poll(() => seen('watch')).toBe(1);
    server.store.create(configMaps, object('unseen', '1'));
    // 540 s of silence by this clock.
    await expect.poll(() => reflector.store.get('a', 'unseen'), { timeout: 20_000 }).toBeDefined();
    expect([seen('list'), seen('watch')]).toEqual([1, 2]);
  });

  it('gives it up sooner where bookmarks came before', async () => {
    const { reflector, seen } = await harness(hasty(100), 50);
    reflector.start();
    await expect.poll(() => seen('watch')).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(seen('watch')).toBe(1);
    expect(reflector.store.staleMs(hasty(100).nowMs())).toBeLessThan(150_000);
  });

  it('comes back after the API server was away', async () => {
    const { server, reflector, caughtUp } = await harness(hasty(100));
    server.store.create(configMaps, object('before', '1'));
    reflector.start();
    await expect.poll(() => reflector.store.synced).toBe(true);
    const { port } = server;
    await server.close();
    server.store.create(configMaps, object('meanwhile', '1'));
    server.store.delete(configMaps, 'a', 'before');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(reflector.store.get('a', 'before')).toBeDefined();
    await server.listen(port);
    await expect.poll(caughtUp, { timeout: 20_000 }).toBe(true);
  });
});
