import type { GateSvr } from '../api/gatesvr.ts';
import { type DesiredObject, labelKeys, metadataOf, namesOf, namespaceOf, ports, selectorLabels } from './names.ts';

/** What a pair's gateways may do in the cluster: read, watch and change their own Lease. */
export function pairAccess(gateSvr: GateSvr, index: number): DesiredObject[] {
  const name = namesOf(gateSvr).pair(index);
  const metadata = metadataOf(gateSvr, name, { labels: selectorLabels(gateSvr, index) });
  const apiGroup = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata, automountServiceAccountToken: false },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'Role',
      metadata,
      rules: [
        {
          apiGroups: ['coordination.k8s.io'],
          resources: ['leases'],
          resourceNames: [name],
          // create: a PUT makes a Lease that was deleted, and that has a name (a POST has none to be checked).
          verbs: ['get', 'watch', 'update', 'patch', 'create'],
        },
      ],
    },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: namespaceOf(gateSvr) }],
    },
  ];
}

/** Keeps the primary until it has handed over; a backup may always go, and so may a pod that is broken. */
export function disruptionBudget(gateSvr: GateSvr, index: number): DesiredObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(gateSvr, namesOf(gateSvr).pair(index), { labels: selectorLabels(gateSvr, index) }),
    spec: {
      minAvailable: 1,
      selector: { matchLabels: { ...selectorLabels(gateSvr, index), [labelKeys.role]: 'primary' } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}

/**
 * Nothing but what gateways need. Zones, the API server, key servers and Redis may be at any address and port, so TCP goes out
 * freely; what comes in is told apart, and on gRPC by certificates too.
 */
export function networkPolicy(gateSvr: GateSvr): DesiredObject {
  const fleet = [{ podSelector: { matchLabels: selectorLabels(gateSvr) } }];
  const port = (number: number, protocol = 'TCP') => ({ port: number, protocol });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(gateSvr, gateSvr.metadata.name),
    spec: {
      podSelector: { matchLabels: selectorLabels(gateSvr) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        { ports: [port(ports.quic, 'UDP')] },
        { ports: [port(ports.grpc), port(ports.http), port(ports.metrics)] },
        { from: fleet, ports: [port(ports.heartbeat), port(ports.sync)] },
      ],
      egress: [{ ports: [port(53, 'UDP'), { protocol: 'TCP' }] }],
    },
  };
}
