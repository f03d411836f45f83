import { Registry } from 'prom-client';
import type { GateSvr } from '../api/gatesvr.ts';
import { labelKeys } from '../desired/names.ts';
import type { GatewayTarget } from '../gateway-link/gateway-peer.ts';
import type { KubeObject, Resource } from '../kube-api.ts';
import { isOwnedBy, type Pod, type StatefulSet } from '../kube-objects.ts';
import { silentLogger } from '../lib/log.ts';
import { Reconcilers } from '../reconcilers.ts';
import { Reflector } from '../reflector.ts';
import * as all from '../resources.ts';
import { WorkQueue } from '../work-queue.ts';
import { ApiStore } from './api-store.ts';
import { gateSvrOf } from './defaulted.ts';
import { FakeGateway, FakePeer } from './fake-gateways.ts';
import { MemoryKube, type Write } from './memory-kube.ts';
import { VirtualClock } from './virtual-clock.ts';

const stepMs = 50;
const finalizer = 'testing/kubelet';
const namespace = 'games';
const madeSecrets = new Map<number, readonly KubeObject[]>();

/** One operator process: reflectors, queues and reconcilers over a client that can die. */
export interface Operator {
  readonly client: MemoryKube;
  leader: boolean;
  readonly registry: Registry;
  kill(): void;
}

/** A cluster in this process: StatefulSets and kubelets, fake gateways, and as many operators as are started. Time is virtual. */
export class PairCluster {
  readonly clock = new VirtualClock();
  readonly store = new ApiStore({ wallMs: () => this.clock.wallMs() });
  readonly gateways = new Map<string, FakeGateway>();
  /** Images that never start. */
  readonly badImages = new Set<string>();
  /** Gateways of these images run, and never get in sync. */
  readonly brokenImages = new Set<string>();
  #peers: FakePeer[] = [];
  #ips = 0;
  #operators = 0;

  constructor() {
    for (const name of ['n1', 'n2']) {
      this.store.create(all.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name } });
      this.setNodeReady(name, true);
    }
  }

  setNodeReady(name: string, ready: boolean): void {
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }];
    this.store.setStatus(all.nodes, '', name, { conditions });
  }

  createGateSvr(spec: object = {}, name = 'chat'): GateSvr {
    const { metadata: _, ...rest } = gateSvrOf({}, { image: 'gateway:1', ...spec });
    const created = this.store.create(all.gateSvrs, { ...rest, metadata: { name, namespace } } as GateSvr);
    if (name === 'chat') this.#seedSecrets(rest.spec.pairs);
    return created;
  }

  gateSvr(name = 'chat'): GateSvr {
    return this.get<GateSvr>(all.gateSvrs, name);
  }

  get<T extends KubeObject>(resource: Resource, name: string): T {
    const found = this.store.get<T>(resource, resource.namespaced ? namespace : '', name);
    if (found === undefined) throw new Error(`no ${resource.kind} ${name}`);
    return found;
  }

  has(resource: Resource, name: string): boolean {
    return this.store.get(resource, namespace, name) !== undefined;
  }

  patch(resource: Resource, name: string, patch: object): void {
    this.store.patch(resource, resource.namespaced ? namespace : '', name, patch);
  }

  deletePod(name: string): void {
    this.store.delete(all.pods, namespace, name);
  }

  gateway(podName: string): FakeGateway {
    const found = this.gateways.get(podName);
    if (found === undefined) throw new Error(`no gateway ${podName}`);
    return found;
  }

  startOperator(
    options: { leader?: boolean; beforeWrite?: (write: Write) => void; afterWrite?: (write: Write) => void } = {},
  ): Operator {
    this.#operators += 1;
    const { leader = true, ...hooks } = options;
    const client = new MemoryKube({ store: this.store, ...hooks });
    return startOperator(this, client, leader, `op-${this.#operators}`);
  }

  connect(target: GatewayTarget, changed: () => void): FakePeer {
    const find = () => {
      const gateway = this.gateways.get(target.podName);
      const mine = gateway?.podUid === target.podUid ? gateway : undefined;
      return { gateway: mine, peer: mine && this.gateways.get(mine.place.peerPodName) };
    };
    const peer = new FakePeer(target, this.clock, find, changed);
    this.#peers.push(peer);
    return peer;
  }

  /** Lets time pass for everybody. */
  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.#controllers();
      for (const gateway of this.gateways.values()) gateway.step(this.gateways.get(gateway.place.peerPodName));
      this.#peers = this.#peers.filter(({ closed }) => !closed);
      for (const peer of this.#peers) peer.step();
      await this.clock.advance(stepMs);
    }
  }

  /** @throws when it does not come true within `withinMs` */
  async until(what: string, condition: () => boolean, withinMs = 60_000): Promise<void> {
    for (let passed = 0; passed < withinMs; passed += stepMs) {
      if (condition()) return;
      await this.run(stepMs);
    }
    throw new Error(`not within ${withinMs} ms: ${what}`);
  }

  /** Secrets that a former cluster of this process has made: to make keys takes longer than all the rest. */
  #seedSecrets(pairs: number): void {
    for (const secret of madeSecrets.get(pairs) ?? []) {
      if (this.has(all.secrets, secret.metadata.name)) continue;
      const { namespace: at, name, labels = {}, ownerReferences = [] } = secret.metadata;
      this.store.create(all.secrets, { ...secret, metadata: { namespace: at ?? '', name, labels, ownerReferences } });
    }
  }

  /** Keys are made on threads of this process, in real time, while the virtual one hardly moves. */
  async keysAreMade(pairs: number): Promise<void> {
    const last = `chat-p${pairs - 1}-b`;
    for (let polls = 0; !this.has(all.statefulSets, last); polls += 1) {
      if (polls > 1_000) throw new Error(`no StatefulSet ${last}`);
      await this.clock.advance(10);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    madeSecrets.set(pairs, this.store.list(all.secrets).items);
  }

  #controllers(): void {
    const sets = this.store.list<StatefulSet>(all.statefulSets).items;
    for (const pod of this.store.list<Pod>(all.pods).items) this.#kubelet(pod);
    for (const set of sets) {
      const name = `${set.metadata.name}-0`;
      if (this.store.get(all.pods, namespace, name) === undefined) this.#createPod(set, name);
    }
  }

  #createPod(set: StatefulSet, name: string): void {
    const template = set.spec?.template as { metadata: object; spec: { containers: { image: string }[] } };
    const metadata = {
      ...template.metadata,
      name,
      namespace,
      finalizers: [finalizer],
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: set.metadata.name, uid: set.metadata.uid }],
    };
    const member = set.metadata.labels?.[labelKeys.member];
    const spec = { ...template.spec, nodeName: member === 'a' ? 'n1' : 'n2' };
    this.store.create(all.pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec } as unknown as KubeObject);
    this.store.setStatus(all.pods, namespace, name, { phase: 'Pending' });
  }

  #kubelet(pod: Pod): void {
    const { name, uid = '', deletionTimestamp, labels = {} } = pod.metadata;
    const gateway = this.gateways.get(name);
    const node = this.store.get(all.nodes, '', pod.spec?.nodeName ?? '') as {
      status?: { conditions?: { status: string }[] };
    };
    const reachable = node.status?.conditions?.[0]?.status === 'True';
    const orphaned = (pod.metadata.ownerReferences ?? []).every((owner) => !this.#exists(owner.name, owner.uid));
    if (deletionTimestamp !== undefined || orphaned) {
      const gracePassed = this.clock.wallMs() - Date.parse(deletionTimestamp ?? '') >= 2_000;
      if (!reachable && deletionTimestamp !== undefined) this.removePod(name, true);
      if (reachable && (gateway?.role !== 'primary' || gracePassed || orphaned)) this.removePod(name);
      return;
    }
    if (pod.status?.phase !== 'Pending') return;
    const image = (pod.spec as unknown as { containers: { image: string }[] }).containers[0]?.image ?? '';
    if (this.badImages.has(image)) {
      const waiting = { reason: 'ImagePullBackOff', message: 'no such image' };
      const containerStatuses = [{ name: 'gateway', image, state: { waiting } }];
      const before = pod.status as { containerStatuses?: unknown };
      if (before.containerStatuses === undefined) {
        this.store.setStatus(all.pods, namespace, name, { phase: 'Pending', containerStatuses });
      }
      return;
    }
    this.#ips += 1;
    const conditions = [{ type: 'Ready', status: 'True' }];
    this.store.setStatus(all.pods, namespace, name, { phase: 'Running', podIP: `10.0.0.${this.#ips}`, conditions });
    const shard = `${labels[labelKeys.name]}-${labels[labelKeys.pair]}`;
    const peerPodName = `${shard}-${labels[labelKeys.member] === 'a' ? 'b' : 'a'}-0`;
    const started = new FakeGateway({ namespace, shard, podName: name, peerPodName }, uid, image, this.store);
    started.broken = this.brokenImages.has(image);
    this.gateways.set(name, started);
  }

  #exists(name: string, uid: string): boolean {
    return this.store.get(all.statefulSets, namespace, name)?.metadata.uid === uid;
  }

  /** The pod object goes, and the process ends unless its node is out of reach. */
  removePod(name: string, processStays = false): void {
    const gateway = this.gateways.get(name);
    if (gateway !== undefined && !processStays) gateway.alive = false;
    this.gateways.delete(name);
    const pod = this.store.get(all.pods, namespace, name);
    if (pod === undefined) return;
    this.store.patch(all.pods, namespace, name, { metadata: { finalizers: null } });
    if (pod.metadata.deletionTimestamp === undefined) this.store.delete(all.pods, namespace, name);
  }

  /** Kubernetes' own view of what belongs to a GateSvr, for tests that delete one. */
  owned(resource: Resource, uid: string): readonly KubeObject[] {
    return this.store.list(resource).items.filter((object) => isOwnedBy(object, uid));
  }
}

function startOperator(cluster: PairCluster, client: MemoryKube, leader: boolean, instance: string): Operator {
  const { clock } = cluster;
  const registry = new Registry();
  const reflectors = new Map<string, Reflector<KubeObject>>();
  const metrics = { added() {}, retried() {}, depth() {}, waited() {}, worked() {} };
  const operator = { client, leader, registry, kill: () => {} };
  const reconcilers = new Reconcilers({
    client,
    clock,
    registry,
    instance,
    log: silentLogger,
    inputs: { defaultImage: 'gateway:0' },
    isLeader: () => operator.leader,
    newId: () => `history-${instance}-${clock.nowMs()}`,
    storeOf: (resource) => reflectors.get(resource.plural)?.store as never,
    connect: (_, target, changed) => cluster.connect(target, changed),
    enqueuePair: (key) => pairs.add(key),
    enqueueGateSvr: (key) => fleets.add(key),
  });
  const common = { timeoutMs: 30_000, clock, random: () => 0.5, metrics };
  const pairs: WorkQueue = new WorkQueue({
    ...common,
    name: 'pair',
    workers: 4,
    handle: (key, signal) => reconcilers.pair(key, signal),
  });
  const fleets: WorkQueue = new WorkQueue({
    ...common,
    name: 'gatesvr',
    workers: 2,
    handle: (key, signal) => reconcilers.gateSvr(key, signal),
  });
  for (const resource of all.allResources) {
    const onChange = (_: string, object: KubeObject | undefined, previous: KubeObject | undefined): void => {
      reconcilers.changed(resource, object, previous);
    };
    const reflector = new Reflector({ client, resource, clock, random: () => 0.5, onChange });
    reflectors.set(resource.plural, reflector);
    reflector.start();
  }
  operator.kill = () => {
    client.kill();
    reconcilers.stop();
    void pairs.stop(0);
    void fleets.stop(0);
  };
  return operator;
}
