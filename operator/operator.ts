import type { GateSvr } from './api/gatesvr.ts';
import type { Zone } from './api/zone.ts';
import type { OperatorConfig } from './config.ts';
import { connectPods } from './connect-pod.ts';
import type { Secret } from './desired/secrets.ts';
import type { ConnectPod } from './gateway-peers.ts';
import type { KubeClient, KubeObject } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { OperatorMetrics } from './metrics.ts';
import { type ObjectStore, objectKey } from './object-store.ts';
import { Reconcilers } from './reconcilers.ts';
import type { Reflected } from './reflections.ts';
import {
  configMaps,
  endpointSlices,
  gateSvrs,
  leases,
  networkPolicies,
  nodes,
  podDisruptionBudgets,
  pods,
  roleBindings,
  roles,
  secrets,
  serviceAccounts,
  services,
  statefulSets,
  zones,
} from './resources.ts';
import { type Controllers, type LeaseChoice, Runtime, type RuntimeView } from './runtime.ts';
import { SettingsControllers } from './settings-controllers.ts';
import { type Handle, WorkQueue } from './work-queue.ts';
import type { EndpointSlice, Service } from './zone-endpoints.ts';

/** Owner of the fields that the operator applies. */
export const fieldManager = 'gatesvr-operator';

export interface OperatorOptions {
  readonly client: KubeClient;
  readonly electionClient: KubeClient;
  readonly config: OperatorConfig;
  readonly lease: LeaseChoice | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** An id that nothing had before. */
  readonly newId: () => string;
  readonly log: Logger;
  readonly metrics: OperatorMetrics;
  readonly identity: string;
  readonly podName: string;
  readonly onLost: () => void;
  /** Over the network when absent. */
  readonly connect?: ConnectPod;
}

/** What carries this label belongs to a GateSvr. */
const labelSelector = 'gatesvr.io/name';

const reflected: readonly Reflected[] = [
  { resource: gateSvrs },
  { resource: zones },
  // Zones may name any Service.
  { resource: services },
  { resource: endpointSlices },
  // Not by label: a gateway that makes a lost Lease again knows none. Those of nodes change all the time.
  { resource: leases, fieldSelector: 'metadata.namespace!=kube-node-lease' },
  { resource: nodes },
  { resource: pods, labelSelector },
  { resource: statefulSets, labelSelector },
  { resource: configMaps, labelSelector },
  { resource: secrets, labelSelector },
  { resource: podDisruptionBudgets, labelSelector },
  { resource: networkPolicies, labelSelector },
  { resource: serviceAccounts, labelSelector },
  { resource: roles, labelSelector },
  { resource: roleBindings, labelSelector },
];

/** Of one reconcile; it ends long before unless the API server or a gateway is slow. */
const timeoutMs = 60_000;
const gateSvrWorkers = 8;

/** The whole operator, wired: what it watches, what it does about it, and who leads. */
export function makeOperator(options: OperatorOptions): Runtime {
  const { namespaces } = options.config;
  const makeControllers = (view: RuntimeView): Controllers => controllersOf(options, view);
  return new Runtime({ ...options, namespaces, reflected, makeControllers });
}

function controllersOf(options: OperatorOptions, { storeOf, isLeader }: RuntimeView): Controllers {
  const { clock, random, metrics, log, config } = options;
  const queue = (name: string, workers: number, handle: Handle): WorkQueue =>
    new WorkQueue({ name, workers, handle, timeoutMs, clock, random, metrics, log });
  const pairs = queue('pair', config.workers, (key, signal) => reconcilers.pair(key, signal));
  const wholes = queue('gatesvr', gateSvrWorkers, (key, signal) => reconcilers.gateSvr(key, signal));
  const connect = options.connect ?? connectPods({ secrets: stored(storeOf<Secret>(secrets)), clock, random });
  const reconcilers: Reconcilers = new Reconcilers({
    ...options,
    registry: metrics.registry,
    instance: options.podName,
    inputs: { defaultImage: config.gatewayImage },
    isLeader,
    storeOf,
    connect: (gateSvr, target, changed) =>
      connect(gateSvr, target, () => {
        changed();
        settings.gatewayChanged(objectKey(gateSvr), target, clock.nowMs());
      }),
    enqueuePair: (key) => pairs.add(key),
    enqueueGateSvr: (key) => wholes.add(key),
  });
  const settings = new SettingsControllers({
    ...options,
    stores: {
      gateSvrs: stored(storeOf<GateSvr>(gateSvrs)),
      zones: stored(storeOf<Zone>(zones)),
      services: stored(storeOf<Service>(services)),
      endpointSlices: stored(storeOf<EndpointSlice>(endpointSlices)),
    },
    isLeader,
    findPeer: (namespace, podName) => reconcilers.peers.find(namespace, podName),
    tell: (object, { message }) => {
      const reason = object.kind === zones.kind ? 'ZoneNotServed' : 'LimitsRefused';
      reconcilers.events.tell(object, { type: 'Warning', reason, action: 'Reconcile', note: message });
    },
  });
  return {
    queues: new Map([
      ['pair', pairs],
      ['gatesvr', wholes],
      ['zone', settings.zones],
      ['limits', settings.limits],
    ]),
    changed: (resource, object, previous) => {
      reconcilers.changed(resource, object, previous);
      settings.changed(resource, object, previous);
    },
    leadershipChanged: () => {
      reconcilers.leadershipChanged();
      settings.leadershipChanged();
    },
    stop: () => reconcilers.stop(),
  };
}

function stored<T extends KubeObject>(store: ObjectStore<T> | undefined): ObjectStore<T> {
  if (store === undefined) throw new TypeError('a resource that is needed is not reflected');
  return store;
}
