import { afterAll, beforeAll, describe } from 'vitest';
import { HttpKubeClient } from '../kube-client/http-kube-client.ts';
import { systemClock } from '../lib/clock.ts';
import { itIsAnApiServer } from './api-conformance.ts';
import { ApiStore } from './api-store.ts';
import { FakeApiServer } from './fake-api-server.ts';
import { MemoryKube } from './memory-kube.ts';

describe('the API server in memory', () => {
  const store = new ApiStore();
  const client = new MemoryKube({ store, fieldManager: 'op' });
  const other = new MemoryKube({ store, fieldManager: 'other' });
  itIsAnApiServer({ client: () => client, other: () => other, namespace: 'a' });
});

describe('the same over HTTP', () => {
  const server = new FakeApiServer();
  const clients: HttpKubeClient[] = [];
  const clientOf = (fieldManager: string): HttpKubeClient => {
    const connection = async () => ({ tls: {}, headers: {} });
    const access = { server: server.url, namespace: 'a', connection, refused: () => {} };
    const metrics = { requested: () => {} };
    const made = new HttpKubeClient({ access, clock: systemClock, metrics, fieldManager, userAgent: 'test' });
    clients.push(made);
    return made;
  };
  beforeAll(async () => {
    await server.listen();
    clientOf('op');
    clientOf('other');
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await server.close();
  });
  itIsAnApiServer({
    client: () => clients[0] as HttpKubeClient,
    other: () => clients[1] as HttpKubeClient,
    namespace: 'a',
  });
});
