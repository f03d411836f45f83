import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { KubeApiError, KubeObject, WatchEvent } from '../kube-api.ts';
import { systemClock } from '../lib/clock.ts';
import { configMaps, gateSvrs, nodes } from '../resources.ts';
import { FakeApiServer, type FakeApiServerOptions } from '../testing/fake-api-server.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { HttpKubeClient } from './http-kube-client.ts';

type Loose = KubeObject & Record<string, unknown>;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function plainAccess(server: URL): ClusterAccess {
  return { server, namespace: 'a', connection: async () => ({ tls: {}, headers: {} }), refused: () => {} };
}

function clientOf(access: ClusterAccess, callTimeoutMs = 5000) {
  const codes: string[] = [];
  const metrics = { requested: (method: string, code: string) => codes.push(`${method} ${code}`) };
  const options = { access, clock: systemClock, metrics, fieldManager: 'op', userAgent: 'test', callTimeoutMs };
  const client = new HttpKubeClient(options);
  closers.push(() => client.close());
  return { client, codes };
}

async function harness({ callTimeoutMs = 5000, ...options }: FakeApiServerOptions & { callTimeoutMs?: number } = {}) {
  const server = new FakeApiServer(options);
  await server.listen();
  closers.push(() => server.close());
  return { server, ...clientOf(plainAccess(server.url), callTimeoutMs) };
}

const object = (name: string, data: object = {}): Loose => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'a' },
  data,
});

async function failureOf(promise: Promise<unknown>): Promise<KubeApiError> {
  try {
    await promise;
  } catch (error) {
    return error as KubeApiError;
  }
  throw new Error('it succeeded');
}

async function take(
  events: AsyncIterable<WatchEvent<KubeObject>>,
): Promise<{ seen: string[]; failure?: KubeApiError }> {
  const seen: string[] = [];
  try {
    for await (const event of events) seen.push(event.type);
    return { seen };
  } catch (error) {
    return { seen, failure: error as KubeApiError };
  }
}

describe('calls', () => {
  it('reads and writes in every way', async () => {
    const { client } = await harness();
    const made = await client.create(configMaps, object('c', { x: '1' }));
    expect(made.metadata.uid).toBeDefined();
    await client.replace(configMaps, { ...made, data: { x: '2' } });
    expect(await failureOf(client.replace(configMaps, made))).toMatchObject({ status: 409, reason: 'Conflict' });
    await client.apply(configMaps, object('c', { y: '3' }));
    await client.patch(configMaps, 'a', 'c', { data: { z: '4' } });
    expect(await client.get(configMaps, 'a', 'c')).toMatchObject({ data: { x: '2', y: '3', z: '4' } });
    const gateSvr = { apiVersion: 'gatesvr.io/v1alpha1', kind: 'GateSvr', metadata: { name: 'g', namespace: 'a' } };
    await client.create(gateSvrs, gateSvr);
    await client.applyStatus(gateSvrs, { ...gateSvr, status: { one: 1 } } as Loose, 'one');
    await client.applyStatus(gateSvrs, { ...gateSvr, status: { two: 2 } } as Loose, 'two');
    expect(await client.get(gateSvrs, 'a', 'g')).toMatchObject({ status: { one: 1, two: 2 } });
    expect(await failureOf(client.delete(configMaps, 'a', 'c', { uid: 'other' }))).toMatchObject({ status: 409 });
    await client.delete(configMaps, 'a', 'c');
    await client.delete(configMaps, 'a', 'c');
    expect(await client.get(configMaps, 'a', 'c')).toBeUndefined();
    await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } });
    expect(await client.get(nodes, '', 'n')).toBeDefined();
  });

  it('lists in pages, and says of each item what it is', async () => {
    const { client, server } = await harness();
    for (const name of ['a', 'b', 'c']) server.store.create(configMaps, object(name));
    const first = await client.list(configMaps, { limit: 2 });
    expect(first.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    const { continueToken } = first;
    const second = await client.list(configMaps, { limit: 2, continueToken });
    expect(second).toMatchObject({ continueToken: '', items: [{ metadata: { name: 'c' } }] });
    server.store.compact();
    expect(await failureOf(client.list(configMaps, { continueToken }))).toMatchObject({
      status: 410,
      reason: 'Expired',
    });
  });

  it('uses its connections again', async () => {
    const { client, server, codes } = await harness();
    for (let index = 0; index < 100; index += 1) await client.list(configMaps, {});
    await Promise.all(Array.from({ length: 100 }, () => client.list(configMaps, {})));
    expect(server.connections).toBeLessThanOrEqual(17);
    expect(codes).toHaveLength(200);
  });
});

describe('an API server in trouble', () => {
  it('gets no longer than the deadline', async () => {
    const { client, server, codes } = await harness({ callTimeoutMs: 100 });
    server.fault({ do: 'hang', verbs: ['list', 'watch'] });
    expect(await failureOf(client.list(configMaps, {}))).toMatchObject({
      status: 0,
      message: 'GET /api/v1/configmaps: no answer: not within 100 ms',
    });
    const watch = client.watch(configMaps, { resourceVersion: '1', timeoutSeconds: 10 }, new AbortController().signal);
    expect((await take(watch)).failure).toMatchObject({ status: 0 });
    expect(codes).toEqual(['GET <error>', 'GET <error>']);
  });

  it('is obeyed when it says how long to wait', async () => {
    const { client, server, codes } = await harness();
    server.fault({ do: 'status', status: 429, retryAfterSeconds: 0.05, times: 2 });
    await client.create(configMaps, object('c'));
    expect(codes).toEqual(['POST 429', 'POST 429', 'POST 201']);
    server.fault({ do: 'status', status: 429, retryAfterSeconds: 60, times: 1 });
    expect(await failureOf(client.get(configMaps, 'a', 'c'))).toMatchObject({ status: 429, retryAfterMs: 60_000 });
  });

  it('is reported with its status, and what was in the way with its text', async () => {
    const { client, server } = await harness();
    server.fault({ do: 'status', status: 500, times: 1 });
    expect(await failureOf(client.get(configMaps, 'a', 'c'))).toMatchObject({
      status: 500,
      message: 'GET /api/v1/namespaces/a/configmaps/c: 500: by fault',
    });
    const proxy = createServer((_, response) => response.writeHead(502).end('<html>bad gateway'));
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closers.push(() => new Promise<void>((resolve) => proxy.close(() => resolve())));
    const { client: other } = clientOf(
      plainAccess(new URL(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`)),
    );
    const failure = await failureOf(other.get(configMaps, 'a', 'c'));
    expect(failure.message).toBe('GET /api/v1/namespaces/a/configmaps/c: 502: <html>bad gateway');
  });

  it('may have done what it gave no answer to', async () => {
    const { client, server } = await harness();
    server.fault({ do: 'lose-answer', verbs: ['create'], times: 1 });
    expect(await failureOf(client.create(configMaps, object('c')))).toMatchObject({ status: 0 });
    expect(server.store.get(configMaps, 'a', 'c')).toBeDefined();
  });

  it('may close an idle connection at any time: a read is sent again, a write is not', async () => {
    const { client, server } = await harness();
    await client.list(configMaps, {});
    server.fault({ do: 'reset', times: 1 });
    await client.list(configMaps, {});
    server.fault({ do: 'reset', times: 1 });
    expect(await failureOf(client.create(configMaps, object('c')))).toMatchObject({ status: 0 });
    expect(server.requests.filter(({ verb }) => verb === 'create')).toHaveLength(1);
  });
});

describe('watches', () => {
  const never = new AbortController().signal;

  it('ends without an error when its time is over', async () => {
    const { client, server } = await harness({ bookmarkMs: 20 });
    const from = server.store.resourceVersion;
    server.store.create(configMaps, object('c'));
    const { seen, failure } = await take(client.watch(configMaps, { resourceVersion: from, timeoutSeconds: 1 }, never));
    expect(failure).toBeUndefined();
    expect(seen.slice(0, 2)).toEqual(['ADDED', 'BOOKMARK']);
  });

  it.each([
    { name: 'a cut stream', fault: { do: 'cut', afterEvents: 2 }, status: 0, events: 2 },
    { name: 'an ERROR event', fault: { do: 'error-event', status: 500, afterEvents: 1 }, status: 500, events: 1 },
    { name: 'an expired version', fault: { do: 'error-event', status: 410, afterEvents: 0 }, status: 410, events: 0 },
    { name: 'a refusal', fault: { do: 'status', status: 403 }, status: 403, events: 0 },
  ] as const)('fails on $name', async ({ fault, status, events }) => {
    const { client, server } = await harness();
    const from = server.store.resourceVersion;
    for (const name of ['a', 'b', 'c']) server.store.create(configMaps, object(name));
    server.fault({ ...fault, verbs: ['watch'] });
    const { seen, failure } = await take(client.watch(configMaps, { resourceVersion: from, timeoutSeconds: 5 }, never));
    expect(seen).toHaveLength(events);
    expect(failure).toMatchObject({ name: 'KubeApiError', status });
  });

  it('takes events of every size in pieces of every size', async () => {
    const { client, server } = await harness();
    const from = server.store.resourceVersion;
    const text = 'é🙂'.repeat(200_000);
    for (const name of ['a', 'b']) server.store.create(configMaps, object(name, { text }));
    const texts: unknown[] = [];
    for await (const event of client.watch<Loose>(configMaps, { resourceVersion: from, timeoutSeconds: 5 }, never)) {
      if (event.type === 'ADDED') texts.push((event.object['data'] as { text: string }).text === text);
      if (texts.length === 2) break;
    }
    expect(texts).toEqual([true, true]);
  });

  it('gives its connection back when the reader leaves or aborts', async () => {
    const { client, server } = await harness();
    const abort = new AbortController();
    const watch = take(client.watch(configMaps, { resourceVersion: '1000', timeoutSeconds: 5 }, abort.signal));
    await expect.poll(() => server.requests.length).toBe(1);
    abort.abort(new Error('enough'));
    expect((await watch).failure).toMatchObject({ status: 0, message: 'GET /api/v1/configmaps: no answer: enough' });
  });
});
