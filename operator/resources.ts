import type { Resource } from './kube-api.ts';

function namespaced(group: string, version: string, kind: string, plural: string): Resource {
  return { group, version, kind, plural, namespaced: true };
}

export const gateSvrs = namespaced('gatesvr.io', 'v1alpha1', 'GateSvr', 'gatesvrs');
export const zones = namespaced('gatesvr.io', 'v1alpha1', 'Zone', 'zones');

export const statefulSets = namespaced('apps', 'v1', 'StatefulSet', 'statefulsets');
export const services = namespaced('', 'v1', 'Service', 'services');
export const endpointSlices = namespaced('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices');
export const leases = namespaced('coordination.k8s.io', 'v1', 'Lease', 'leases');
export const pods = namespaced('', 'v1', 'Pod', 'pods');
export const nodes: Resource = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
export const secrets = namespaced('', 'v1', 'Secret', 'secrets');
export const configMaps = namespaced('', 'v1', 'ConfigMap', 'configmaps');
export const podDisruptionBudgets = namespaced('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets');
export const networkPolicies = namespaced('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies');
/** Those of events.k8s.io, which can hold a series. */
export const events = namespaced('events.k8s.io', 'v1', 'Event', 'events');
export const serviceAccounts = namespaced('', 'v1', 'ServiceAccount', 'serviceaccounts');
export const roles = namespaced('rbac.authorization.k8s.io', 'v1', 'Role', 'roles');
export const roleBindings = namespaced('rbac.authorization.k8s.io', 'v1', 'RoleBinding', 'rolebindings');

/** "apps/v1", "v1" */
export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

/** Everything the operator reads or writes. */
export const allResources: readonly Resource[] = [
  gateSvrs,
  zones,
  statefulSets,
  services,
  endpointSlices,
  leases,
  pods,
  nodes,
  secrets,
  configMaps,
  podDisruptionBudgets,
  networkPolicies,
  events,
  serviceAccounts,
  roles,
  roleBindings,
];

/** The resource of an object. @throws RangeError for a kind that is not in `allResources` */
export function resourceOf(object: { readonly apiVersion: string; readonly kind: string }): Resource {
  const found = allResources.find((each) => each.kind === object.kind && apiVersionOf(each) === object.apiVersion);
  if (found === undefined) throw new RangeError(`${object.apiVersion} ${object.kind}: no such resource`);
  return found;
}
