import type { GateSvr } from '../api/gatesvr.ts';
import { fleetMapFileName } from './gateway-config.ts';
import { type DesiredObject, memberNames, metadataOf, namesOf, podHost, ports } from './names.ts';

/** More versions than a generation can have: each of at most 100 pairs leaves once. */
const versionsPerGeneration = 128;

/**
 * The pairs of the fleet and where to find them; gateways read it again when it changes.
 * @param draining pairs beyond `spec.pairs` that still have sessions. Within one generation they only become fewer, so the version
 * rises with every change.
 */
export function fleetMap(gateSvr: GateSvr, draining: readonly number[]): DesiredObject {
  const { generation = 1 } = gateSvr.metadata;
  const active = Array.from({ length: gateSvr.spec.pairs }, (_, index) => index);
  const leaving = draining.filter((index) => index >= gateSvr.spec.pairs);
  const map = {
    version: generation * versionsPerGeneration + versionsPerGeneration - 1 - leaving.length,
    pairs: [...active, ...leaving].map((index) => ({
      id: `p${index}`,
      client_endpoints: clientEndpoints(gateSvr, index),
      zone_endpoints: memberNames.map((member) => `${podHost(gateSvr, index, member)}:${ports.grpc}`),
      state: index < gateSvr.spec.pairs ? 'active' : 'draining',
    })),
  };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(gateSvr, namesOf(gateSvr).fleet),
    data: { [fleetMapFileName]: JSON.stringify(map, undefined, 2) },
  };
}

/** Where clients find a pair again; inside the cluster that can be its pods. */
function clientEndpoints(gateSvr: GateSvr, index: number): string[] {
  const { advertise } = gateSvr.spec.quic;
  if (advertise !== undefined) return [advertisedAddress(advertise, index)];
  return memberNames.map((member) => `${podHost(gateSvr, index, member)}:${ports.quic}`);
}

export function advertisedAddress(advertise: string, index: number): string {
  return advertise.replaceAll('{pair}', String(index));
}
