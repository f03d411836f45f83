import type { KubeClient, KubeObject, Resource } from '../kube-api.ts';
import {
  configMaps,
  endpointSlices,
  events,
  gateSvrs,
  leases,
  networkPolicies,
  nodes,
  podDisruptionBudgets,
  pods,
  secrets,
  services,
  statefulSets,
  zones,
} from '../resources.ts';
import type { PodReader } from './pod-reader.ts';
import { redacted } from './redact.ts';

/** Of a fleet by its label, and what stands around it. */
const labelled: readonly Resource[] = [
  statefulSets,
  pods,
  services,
  endpointSlices,
  leases,
  configMaps,
  secrets,
  podDisruptionBudgets,
  networkPolicies,
];
const itemsMax = 500;
const answers = ['/health', '/ready', '/stats', '/performance'];

export interface Report {
  readonly [part: string]: unknown;
}

/** Everything support needs of one fleet. What cannot be read is named with the reason, and the rest goes on. */
export async function makeReport(
  client: KubeClient,
  reader: PodReader,
  namespace: string,
  name: string,
): Promise<Report> {
  const labelSelector = `gatesvr.io/name=${name}`;
  const objects: Record<string, unknown> = {};
  const parts: readonly (readonly [Resource, object])[] = [
    [gateSvrs, { fieldSelector: `metadata.name=${name}` }],
    [zones, {}],
    [events, {}],
    ...labelled.map((resource) => [resource, { labelSelector }] as const),
  ];
  for (const [resource, selection] of parts) {
    objects[resource.plural] = await attempt(() => listed(client, resource, { namespace, ...selection }));
  }
  objects[nodes.plural] = await attempt(() => listed(client, nodes, {}));
  const found = await client
    .list<KubeObject>(pods, { namespace, labelSelector, limit: itemsMax })
    .catch(() => undefined);
  const gateways: Record<string, unknown> = {};
  for (const { metadata } of found?.items ?? [])
    gateways[metadata.name] = await gatewayPart(reader, namespace, metadata.name);
  return { fleet: `${namespace}/${name}`, objects, gateways };
}

async function listed(client: KubeClient, resource: Resource, selection: object): Promise<unknown[]> {
  const { items } = await client.list<KubeObject>(resource, { ...selection, limit: itemsMax });
  return items.map(redacted);
}

async function gatewayPart(reader: PodReader, namespace: string, pod: string): Promise<object> {
  const http: Record<string, unknown> = {};
  for (const path of answers)
    http[path] = await attempt(async () => redacted(JSON.parse(await reader.http(namespace, pod, path))));
  const log = await attempt(() => reader.log(namespace, pod, false));
  const previousLog = await attempt(() => reader.log(namespace, pod, true));
  return { ...http, log, previousLog };
}

async function attempt(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read();
  } catch (error) {
    return { unreadable: error instanceof Error ? error.message : String(error) };
  }
}
