import { describe, expect, it } from 'vitest';
import type { KubeObject } from './kube-api.ts';
import { silentLogger } from './lib/log.ts';
import { OperatorMetrics } from './metrics.ts';
import { configMaps, gateSvrs, leases, nodes } from './resources.ts';
import { Runtime, type RuntimeView } from './runtime.ts';
import { ApiStore } from './testing/api-store.ts';
import { MemoryKube, type MemoryKubeOptions } from './testing/memory-kube.ts';
import { settle, VirtualClock } from './testing/virtual-clock.ts';
import { type Handle, WorkQueue } from './work-queue.ts';

const gateSvr = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'gatesvr.io/v1alpha1',
  kind: 'GateSvr',
  metadata: { name, namespace },
});

interface Shape extends Omit<MemoryKubeOptions, 'store'> {
  readonly namespaces?: readonly string[];
  readonly elects?: boolean;
  readonly handle?: Handle;
  readonly store?: ApiStore;
  readonly clock?: VirtualClock;
}

function harness({ namespaces = [], elects = true, handle = async () => {}, ...shape }: Shape = {}) {
  const clock = shape.clock ?? new VirtualClock();
  const store = shape.store ?? new ApiStore({ wallMs: () => clock.wallMs() });
  const client = new MemoryKube({ ...shape, store });
  const metrics = new OperatorMetrics('api');
  const events: string[] = [];
  let view: RuntimeView | undefined;
  const random = (): number => 0.5;
  const runtime = new Runtime({
    client,
    electionClient: client,
    clock,
    random,
    log: silentLogger,
    metrics,
    identity: `me-${clock.nowMs()}`,
    namespaces,
    reflected: [{ resource: gateSvrs }, { resource: nodes }, { resource: configMaps, labelSelector: 'x' }],
    lease: elects ? { namespace: 'ops', name: 'operator' } : undefined,
    makeControllers: (given) => {
      view = given;
      const queue = new WorkQueue({ name: 'q', workers: 2, handle, timeoutMs: 10_000, clock, random, metrics });
      return {
        queues: new Map([['q', queue]]),
        changed: (resource, object) => {
          events.push(`${resource.plural} ${object?.metadata.name}`);
          queue.add(object?.metadata.name ?? '');
        },
        leadershipChanged: () => events.push('leadership'),
        stop: () => events.push('stopped'),
      };
    },
    onLost: () => events.push('lost'),
  });
  return { runtime, clock, store, client, events, metrics, view: () => view as RuntimeView };
}

describe('the runtime', () => {
  it('is ready when everything was listed, and leads when elected', async () => {
    const { runtime, store, events, view } = harness();
    store.create(gateSvrs, gateSvr('a', 'one'));
    expect(runtime.readyProblems()).toEqual(['not started']);
    runtime.start();
    expect(runtime.readyProblems()).toEqual(
      ['gatesvrs', 'nodes', 'configmaps'].map((each) => `${each}: not listed yet`),
    );
    await settle();
    expect(runtime.readyProblems()).toEqual([]);
    expect(runtime.healthProblems()).toEqual([]);
    expect(events.toSorted()).toEqual(['gatesvrs one', 'leadership']);
    expect(view().isLeader()).toBe(true);
    expect(view().storeOf(gateSvrs)?.get('a', 'one')).toBeDefined();
    await runtime.stop();
  });

  it('leads without asking when it is told so', async () => {
    const { runtime, store } = harness({ elects: false });
    expect(runtime.isLeader).toBe(false);
    runtime.start();
    await settle();
    expect(runtime.isLeader).toBe(true);
    expect(store.get(leases, 'ops', 'operator')).toBeUndefined();
    await runtime.stop();
  });

  it('sees nothing outside of its namespaces', async () => {
    const { runtime, store, view } = harness({ namespaces: ['a', 'b'] });
    for (const namespace of ['a', 'b', 'c']) store.create(gateSvrs, gateSvr(namespace, `in-${namespace}`));
    runtime.start();
    await settle();
    const names = (namespace?: string) =>
      view()
        .storeOf(gateSvrs)
        ?.list(namespace)
        .map(({ metadata }) => metadata.name);
    expect(names()).toEqual(['in-a', 'in-b']);
    expect(names('b')).toEqual(['in-b']);
    expect(names('c')).toEqual([]);
    expect(view().storeOf(gateSvrs)?.get('c', 'in-c')).toBeUndefined();
    expect(view().storeOf(nodes)).toBeUndefined();
    expect(runtime.readyProblems()).toEqual([]);
    await runtime.stop();
  });

  it('finishes what is under way before it gives leadership back', async () => {
    let end = (): void => {};
    const handle: Handle = () =>
      new Promise<void>((resolve) => {
        end = resolve;
      });
    const { runtime, store, events } = harness({ handle });
    const holder = () => store.get<KubeObject & { spec: { holderIdentity: string } }>(leases, 'ops', 'operator')?.spec;
    store.create(gateSvrs, gateSvr('a', 'one'));
    runtime.start();
    await settle();
    const stopped = runtime.stop();
    await settle();
    expect(runtime.isLeader).toBe(false);
    expect(runtime.readyProblems()).toEqual(['stopping']);
    expect(holder()?.holderIdentity).toBe('me-0');
    end();
    await stopped;
    expect(holder()?.holderIdentity).toBe('');
    expect(events.at(-1)).toBe('stopped');
  });

  it('is unwell when a watch is wedged or a handle never ends', async () => {
    const hangs = () => new Promise<void>(() => {});
    const { runtime, clock, store } = harness({
      handle: hangs,
      beforeRead: (verb, resource) => (verb === 'watch' && resource === nodes ? hangs() : undefined),
    });
    store.create(gateSvrs, gateSvr('a', 'one'));
    runtime.start();
    await clock.advance(30_000);
    expect(runtime.healthProblems()).toEqual([]);
    await clock.advance(900_000);
    expect(runtime.healthProblems()).toEqual(['watch of nodes: wedged', 'queue q: one: stuck']);
  });

  it('stays well while the API server is away', async () => {
    let away = false;
    const down = () => (away ? Promise.reject(new Error('connection refused')) : undefined);
    const { runtime, clock, metrics } = harness({ elects: false, beforeRead: down, beforeWrite: down });
    runtime.start();
    await settle();
    away = true;
    await clock.advance(3_600_000);
    expect(runtime.healthProblems()).toEqual([]);
    expect(runtime.readyProblems()).toEqual([]);
    const staleSeconds = async () => {
      const text = await metrics.text();
      return Number(/^gatesvr_operator_store_stale_seconds\{resource="gatesvrs"\} (\S+)$/m.exec(text)?.[1]);
    };
    expect(await staleSeconds()).toBeGreaterThan(3000);
    away = false;
    await clock.advance(60_000);
    expect(await staleSeconds()).toBeLessThan(60);
    await runtime.stop();
  });
});
