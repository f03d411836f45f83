import type { Registry } from 'prom-client';
import type { GateSvr } from './api/gatesvr.ts';
import { Applier } from './apply.ts';
import { labelKeys } from './desired/names.ts';
import type { DesiredInputs } from './desired/pod-template.ts';
import { EventRecorder } from './events.ts';
import { FailoverMetrics } from './failover-metrics.ts';
import { type ConnectPod, GatewayPeers } from './gateway-peers.ts';
import type { KubeClient, KubeObject, Resource } from './kube-api.ts';
import type { Pod } from './kube-objects.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import { PairObserver } from './observe-pair.ts';
import type { OperatorContext } from './operator-context.ts';
import { pairKeyOf, pairKeyOfLease } from './pair-key.ts';
import { GateSvrReconciler } from './reconcile-gatesvr.ts';
import { PairReconciler } from './reconcile-pair.ts';
import { configMaps, gateSvrs, leases, nodes, pods, secrets } from './resources.ts';
import { StatusWriter } from './status.ts';
import { Templates } from './templates.ts';
import type { Requeue } from './work-queue.ts';
import { type StoreOf, WrittenObjects } from './written-objects.ts';

export interface ReconcilersOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly registry: Registry;
  /** Names this process in Events. */
  readonly instance: string;
  readonly log: Logger;
  readonly inputs: DesiredInputs;
  readonly isLeader: () => boolean;
  readonly newId: () => string;
  readonly storeOf: StoreOf;
  readonly connect: ConnectPod;
  readonly enqueuePair: (key: string) => void;
  readonly enqueueGateSvr: (key: string) => void;
}

/** What the operator does about GateSvrs and their pairs: handles for two work queues, and which keys a change concerns. */
export class Reconcilers {
  readonly peers: GatewayPeers;
  readonly events: EventRecorder;
  readonly #options: ReconcilersOptions;
  readonly #context: OperatorContext;
  readonly #pairs: PairReconciler;
  readonly #gateSvrs: GateSvrReconciler;

  constructor(options: ReconcilersOptions) {
    const { client, clock, log, isLeader } = options;
    this.#options = options;
    this.peers = new GatewayPeers(options.connect);
    this.events = new EventRecorder({ client, clock, log, instance: options.instance });
    const objects = new WrittenObjects(options.storeOf, clock);
    const templates = new Templates(options.inputs);
    this.#context = {
      ...options,
      objects,
      templates,
      observer: new PairObserver({ objects, peers: this.peers, clock, templates, isLeader }),
      applier: new Applier(client, objects),
      status: new StatusWriter(client, objects),
      events: this.events,
      metrics: new FailoverMetrics(options.registry),
    };
    this.#pairs = new PairReconciler(this.#context);
    this.#gateSvrs = new GateSvrReconciler(this.#context, isLeader);
  }

  /** Handles "NAMESPACE/NAME/pN". */
  pair(key: string, signal: AbortSignal): Promise<Requeue | undefined> {
    return this.#pairs.reconcile(key, signal);
  }

  /** Handles "NAMESPACE/NAME". */
  gateSvr(key: string, signal: AbortSignal): Promise<Requeue | undefined> {
    return this.#gateSvrs.reconcile(key, signal);
  }

  /** A reflected object has changed: whoever depends on it is put on its queue. */
  changed(resource: Resource, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    const seen = object ?? previous;
    if (seen === undefined) return;
    if (resource === nodes) return this.#nodeChanged(seen.metadata.name);
    const pairKey = pairKeyOf(seen) ?? (resource === leases ? pairKeyOfLease(seen) : undefined);
    if (pairKey !== undefined) this.#options.enqueuePair(pairKey);
    if (resource === gateSvrs) return this.#gateSvrChanged(object as GateSvr | undefined, seen);
    const { [labelKeys.name]: name } = seen.metadata.labels ?? {};
    // Pods matter to the pair, which says when the whole is concerned.
    if (name !== undefined && resource !== pods) this.#options.enqueueGateSvr(`${seen.metadata.namespace}/${name}`);
    else if (resource === secrets || resource === configMaps) this.#dataChanged(seen);
  }

  /** Leadership came or went: everything is looked at again. */
  leadershipChanged(): void {
    for (const { metadata } of this.#options.storeOf(gateSvrs)?.list() ?? []) {
      this.#options.enqueueGateSvr(`${metadata.namespace}/${metadata.name}`);
    }
  }

  stop(): void {
    this.peers.stop();
  }

  #gateSvrChanged(object: GateSvr | undefined, { metadata }: KubeObject): void {
    const key = `${metadata.namespace}/${metadata.name}`;
    this.#options.enqueueGateSvr(key);
    // Links to the pods of one that is gone are ended by their pairs.
    const pairs = object === undefined ? this.#pairs.keysOf(key) : [];
    for (const pair of pairs) this.#options.enqueuePair(pair);
  }

  #nodeChanged(nodeName: string): void {
    for (const pod of this.#options.storeOf<Pod>(pods)?.list() ?? []) {
      const key = pod.spec?.nodeName === nodeName ? pairKeyOf(pod) : undefined;
      if (key !== undefined) this.#options.enqueuePair(key);
    }
  }

  /** Perhaps one that a GateSvr names and waits for. */
  #dataChanged({ metadata }: KubeObject): void {
    for (const each of this.#options.storeOf(gateSvrs)?.list(metadata.namespace) ?? []) {
      this.#options.enqueueGateSvr(`${each.metadata.namespace}/${each.metadata.name}`);
    }
  }
}
