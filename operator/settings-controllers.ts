import type { GateSvr } from './api/gatesvr.ts';
import type { Zone } from './api/zone.ts';
import type { FindPeer } from './fleet-peers.ts';
import type { GatewayTarget } from './gateway-link/gateway-peer.ts';
import type { KubeClient, KubeObject, Resource } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import { type ObjectStore, objectKey } from './object-store.ts';
import type { Verdict } from './plan-zones.ts';
import { LimitsReconciler } from './reconcile-limits.ts';
import { keyOfZone, keysOfService, ZoneReconciler } from './reconcile-zone.ts';
import { endpointSlices, gateSvrs, services, zones } from './resources.ts';
import { SettingsFacts } from './settings-facts.ts';
import { type Handle, type QueueMetrics, WorkQueue } from './work-queue.ts';
import type { EndpointSlice, Service } from './zone-endpoints.ts';

export interface SettingsStores {
  readonly gateSvrs: ObjectStore<GateSvr>;
  readonly zones: ObjectStore<Zone>;
  readonly services: ObjectStore<Service>;
  readonly endpointSlices: ObjectStore<EndpointSlice>;
}

export interface SettingsControllersOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: QueueMetrics;
  readonly stores: SettingsStores;
  readonly isLeader: () => boolean;
  readonly findPeer: FindPeer;
  readonly tell: (object: KubeObject, problem: Verdict) => void;
}

const workers = 8;
const timeoutMs = 30_000;

/** Zones and limits, which only the leader brings to gateways: two would outbid each other's revisions. */
export class SettingsControllers {
  readonly zones: WorkQueue;
  readonly limits: WorkQueue;
  #options: SettingsControllersOptions;
  #facts = new SettingsFacts();

  constructor(options: SettingsControllersOptions) {
    const { stores, tell } = options;
    this.#options = options;
    const zoneReconciler = new ZoneReconciler({ ...options, stores });
    const limitsReconciler = new LimitsReconciler({ ...options, gateSvrs: stores.gateSvrs, tell });
    this.zones = this.#queue('zone', (key, signal) => zoneReconciler.handle(key, signal));
    this.limits = this.#queue('limits', (key, signal) => limitsReconciler.handle(key, signal));
  }

  changed(resource: Resource, object: KubeObject | undefined, previous: KubeObject | undefined): void {
    if (resource === zones) {
      for (const each of [previous, object]) if (each !== undefined) this.zones.add(keyOfZone(each as Zone));
    } else if (resource === services || resource === endpointSlices) {
      const seen = (object ?? previous) as Service | EndpointSlice;
      for (const key of keysOfService(seen, this.#options.stores.zones)) this.zones.add(key);
    } else if (resource === gateSvrs) {
      const seen = object ?? previous;
      if (seen !== undefined) this.#add(objectKey(seen));
    }
  }

  /** A gateway was heard, or no longer is. @param key of its GateSvr */
  gatewayChanged(key: string, target: GatewayTarget, nowMs: number): void {
    const { findPeer } = this.#options;
    const peer = findPeer(target.namespace, target.podName);
    const pod = `${target.namespace}/${target.podName}`;
    if (peer === undefined) this.#facts.forget(pod);
    else if (!this.#facts.changed(pod, peer.observation(nowMs))) return;
    this.#add(key);
  }

  leadershipChanged(): void {
    for (const gateSvr of this.#options.stores.gateSvrs.list()) this.#add(objectKey(gateSvr));
    for (const zone of this.#options.stores.zones.list()) this.zones.add(keyOfZone(zone));
  }

  #add(key: string): void {
    this.zones.add(key);
    this.limits.add(key);
  }

  #queue(name: string, handle: (key: string, signal: AbortSignal) => ReturnType<Handle>): WorkQueue {
    const { clock, random, metrics, log, isLeader } = this.#options;
    const onlyLeading: Handle = async (key, signal) =>
      isLeader() ? ((await handle(key, signal)) ?? undefined) : undefined;
    return new WorkQueue({ name, workers, timeoutMs, clock, random, metrics, log, handle: onlyLeading });
  }
}
