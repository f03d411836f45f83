import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../bench/lib/pair.ts';
import type { ArbiterAnswer, ArbiterRequest, Lease } from '../../gateway/replication/arbiter.ts';
import { KubernetesArbiter } from '../../gateway/replication/kubernetes-arbiter.ts';
import { LeaseHttp } from '../../gateway/replication/lease-http.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import * as faults from './kubernetes-faults.ts';
import { KubernetesPair, type LeaseStore } from './kubernetes-pair.ts';
import { leaseInCluster } from './lease-in-cluster.ts';

let plane: ControlPlane;
let store: LeaseStore;

beforeAll(async () => {
  plane = await startControlPlane();
  store = await leaseInCluster(plane);
});

afterAll(() => plane?.stop());

describe('the arbiter and a real API server', () => {
  const content = { epoch: 5, history: 'h', holder: 'a/1', inSync: ['a/1'] };
  let apis: LeaseHttp[];
  let arbiters: KubernetesArbiter[];
  let problems: string[];
  let changes: number;

  function connect(name = store.name): (request: ArbiterRequest) => Promise<ArbiterAnswer> {
    const { namespace, server, token, authority } = store;
    const place = { namespace, name };
    const files = { readToken: () => token, readAuthority: () => authority };
    const api = new LeaseHttp({ ...place, ...files, server, timeoutMs: 5_000, random: Math.random });
    const changed = () => {
      changes += 1;
    };
    const onProblem = (problem: string) => problems.push(problem);
    const arbiter = new KubernetesArbiter({ ...place, api, changed, onProblem, random: Math.random });
    apis.push(api);
    arbiters.push(arbiter);
    return (request) => new Promise((resolve) => arbiter.ask(request, resolve));
  }

  async function made(ask: ReturnType<typeof connect>): Promise<Lease> {
    await ask({ kind: 'read' });
    const answer = await ask({ kind: 'swap', expected: undefined, next: content });
    if (answer.kind !== 'swapped') throw new Error(`${answer.kind}: ${problems.join()}`);
    return answer.lease;
  }

  beforeEach(() => {
    [apis, arbiters, problems, changes] = [[], [], [], 0];
  });

  afterEach(async () => {
    for (const arbiter of arbiters) arbiter.stop();
    for (const api of apis) api.close();
    await store.remove();
  });

  it('makes the Lease by the rights of its one name, once', async () => {
    const [first, second] = [connect(), connect()];
    await second({ kind: 'read' });
    expect(await made(first)).toMatchObject(content);
    expect(await second({ kind: 'swap', expected: undefined, next: content })).toEqual({ kind: 'conflict' });
    expect(problems).toEqual([]);
  });

  it('may not touch another Lease', async () => {
    const ask = connect('shop-p1');
    expect(await ask({ kind: 'read' })).toEqual({ kind: 'unknown' });
    expect(problems[0]).toMatch(/Lease games\/shop-p1: HTTP 403: leases.*"shop-p1" is forbidden/);
  });

  it('refuses a write on a version that is no longer there', async () => {
    const [first, second] = [connect(), connect()];
    const lease = await made(first);
    await second({ kind: 'read' });
    const grown = { ...content, inSync: ['a/1', 'b/1'] };
    expect(await second({ kind: 'swap', expected: lease, next: grown })).toMatchObject({
      kind: 'swapped',
      lease: grown,
    });
    expect(await first({ kind: 'swap', expected: lease, next: content })).toEqual({ kind: 'conflict' });
  });

  it('does not bring a deleted Lease back by a change', async () => {
    const ask = connect();
    const lease = await made(ask);
    await store.remove();
    expect(await ask({ kind: 'swap', expected: lease, next: content })).toEqual({ kind: 'conflict' });
    expect(await ask({ kind: 'read' })).toEqual({ kind: 'lease', lease: undefined });
  });

  it('hears of what others write, of a deletion, and of a Lease that comes after it', async () => {
    const ask = connect();
    await made(ask);
    arbiters[0]?.start();
    const heard = async (act: () => Promise<unknown>) => {
      const before = changes;
      await act();
      await until(
        'the watch tells',
        () => changes > before,
        () => problems.join(),
      );
      await ask({ kind: 'read' });
    };
    const annotate = async () => {
      const object = await store.read();
      if (object === undefined) throw new Error('no Lease');
      const annotations = { ...object.metadata.annotations, 'gatesvr.io/epoch': '6' };
      await store.write({ ...object, metadata: { ...object.metadata, annotations } });
    };
    await heard(annotate);
    await heard(() => store.remove());
    await heard(() => made(connect()));
    expect(problems).toEqual([]);
  });
});

describe('a pair and a real API server', () => {
  let pair: KubernetesPair;

  beforeAll(async () => {
    pair = await KubernetesPair.start(store);
  });

  afterAll(() => pair?.stop());

  it.each([
    ['makes its first Lease', faults.firstPromotion],
    ['shrinks the set for a dead backup and takes it in again', faults.backupDies],
    ['goes on in the backup when the primary is killed', faults.primaryDies],
    ['goes on in the backup when the primary stands still', faults.primaryStandsStill],
    ['follows an operator’s swap', faults.operatorPromotes],
    ['hands over when the primary is stopped', faults.primaryIsStopped],
    ['goes on without the API server', faults.apiServerAway],
    ['commits nothing alone while it cannot say so', faults.backupDiesWithoutApi],
    ['makes a deleted Lease again', faults.leaseDeleted],
    ['says what is wrong in a Lease that was edited', faults.leaseSpoiled],
    ['begins a new history when both were killed', faults.bothDie],
  ])('%s', async (_name, fault) => fault(pair));
});
