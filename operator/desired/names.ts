import { createHash } from 'node:crypto';
import type { GateSvr } from '../api/gatesvr.ts';
import type { KubeObject, ObjectMeta, OwnerReference } from '../kube-api.ts';

export type MemberName = 'a' | 'b';

export const memberNames: readonly MemberName[] = ['a', 'b'];

/** Where gateways listen inside their pods. */
export const ports = { quic: 8453, http: 8080, grpc: 8092, metrics: 9090, heartbeat: 8093, sync: 8094 } as const;

export const managedBy = 'gatesvr-operator';

export const labelKeys = {
  name: 'gatesvr.io/name',
  pair: 'gatesvr.io/pair',
  member: 'gatesvr.io/member',
  role: 'gatesvr.io/role',
} as const;

/** On pods and StatefulSets: which template they have. The same for every member of a GateSvr. */
export const templateHashKey = 'gatesvr.io/template-hash';

/** An object with whatever fields its kind has. */
export interface DesiredObject extends KubeObject {
  readonly [field: string]: unknown;
}

/** The objects of one GateSvr by name. Pairs count from 0. */
export function namesOf({ metadata: { name } }: GateSvr) {
  const pair = (index: number): string => `${name}-p${index}`;
  return {
    quic: `${name}-quic`,
    upstream: `${name}-upstream`,
    peers: `${name}-peers`,
    /** Limits that change while gateways run. */
    limits: `${name}-limits`,
    fleet: `${name}-fleet`,
    pairSecret: `${name}-pair`,
    authority: `${name}-ca`,
    /** Certificate of the gateways towards each other, zones and the operator. */
    gatewayTls: `${name}-tls`,
    /** Certificate of the gateways towards clients. */
    clientTls: `${name}-quic-tls`,
    operatorTls: `${name}-operator-tls`,
    zoneTls: `${name}-zone-tls`,
    /** Of the pair's Lease, ServiceAccount, Role, RoleBinding and PodDisruptionBudget; also its shard's id. */
    pair,
    statefulSet: (index: number, member: MemberName): string => `${pair(index)}-${member}`,
    pod: (index: number, member: MemberName): string => `${pair(index)}-${member}-0`,
  };
}

/** The DNS name of a pod, which is there while it is not ready too. */
export function podHost(gateSvr: GateSvr, index: number, member: MemberName): string {
  const names = namesOf(gateSvr);
  return `${names.pod(index, member)}.${names.peers}.${namespaceOf(gateSvr)}.svc`;
}

export function namespaceOf({ metadata }: KubeObject): string {
  return metadata.namespace ?? 'default';
}

function ownerOf({ apiVersion, kind, metadata }: GateSvr): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true };
}

/** Metadata of an object that belongs to the GateSvr and goes with it. */
export function metadataOf(
  gateSvr: GateSvr,
  name: string,
  more: Pick<ObjectMeta, 'labels' | 'annotations'> = {},
): ObjectMeta {
  return {
    name,
    namespace: namespaceOf(gateSvr),
    labels: {
      [labelKeys.name]: gateSvr.metadata.name,
      'app.kubernetes.io/name': 'gatesvr',
      'app.kubernetes.io/managed-by': managedBy,
      ...more.labels,
    },
    ...(more.annotations === undefined ? {} : { annotations: more.annotations }),
    ownerReferences: [ownerOf(gateSvr)],
  };
}

/** Labels that only the pods of this GateSvr, pair or member have. */
export function selectorLabels({ metadata }: GateSvr, index?: number, member?: MemberName): Record<string, string> {
  return {
    [labelKeys.name]: metadata.name,
    ...(index === undefined ? {} : { [labelKeys.pair]: `p${index}` }),
    ...(member === undefined ? {} : { [labelKeys.member]: member }),
  };
}

/** A short name for a value, the same whatever order its keys are in. */
export function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex')
    .slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]));
}
