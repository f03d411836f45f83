import { afterAll, beforeAll, describe, it } from 'vitest';
import { FakeLeaseServer } from '../../gateway/testing/fake-lease-server.ts';
import * as faults from './kubernetes-faults.ts';
import { KubernetesPair } from './kubernetes-pair.ts';

// The same against a real API server, and more of it: kubernetes-pair.cluster.test.ts.
describe('a pair whose arbiter is a Lease', () => {
  let server: FakeLeaseServer;
  let pair: KubernetesPair;

  beforeAll(async () => {
    server = await FakeLeaseServer.start();
    pair = await KubernetesPair.start(server.asStore());
  });

  afterAll(async () => {
    await pair?.stop();
    await server?.close();
  });

  it.each([
    ['makes its first Lease', faults.firstPromotion],
    ['goes on in the backup when the primary is killed', faults.primaryDies],
    ['follows an operator’s swap', faults.operatorPromotes],
    ['makes a deleted Lease again', faults.leaseDeleted],
    ['goes on without the API server', faults.apiServerAway],
  ])('%s', async (_name, fault) => fault(pair));
});
