import type { OperatorConfig } from './config.ts';
import type { KubeClient } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { OperatorMetrics } from './metrics.ts';
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
import { type Controllers, type LeaseChoice, Runtime } from './runtime.ts';

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

/** The whole operator, wired: what it watches, what it does about it, and who leads. */
export function makeOperator(options: OperatorOptions): Runtime {
  const { config } = options;
  const makeControllers = (): Controllers => ({
    queues: new Map(),
    changed: () => {},
    leadershipChanged: () => {},
    stop: () => {},
  });
  return new Runtime({ ...options, namespaces: config.namespaces, reflected, makeControllers });
}
