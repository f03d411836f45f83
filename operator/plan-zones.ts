import type { ZoneStatus as ZoneMessage } from '../proto/gen/admin.ts';
import type { GateSvr } from './api/gatesvr.ts';
import type { Zone } from './api/zone.ts';
import { hashOf } from './desired/names.ts';
import { type Endpoint, type Resolved, resolveEndpoints, type ZoneReferences } from './zone-endpoints.ts';

/** Whether something holds, and why. */
export interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface PlannedZone {
  readonly zone: Zone;
  readonly accepted: Verdict;
  readonly resolved: Verdict;
  /** What gateways are given; none while the Zone is not accepted. */
  readonly endpoints: readonly Endpoint[];
}

export interface ZonePlan {
  readonly planned: readonly PlannedZone[];
  /** The whole set, as gateways get it. */
  readonly set: readonly ZoneMessage[];
  /** Names the set. */
  readonly hash: string;
}

/** The zones of one GateSvr, from all Zones that name it. The oldest of those with the same number has it. */
export function planZones(gateSvr: GateSvr | undefined, zones: readonly Zone[], references: ZoneReferences): ZonePlan {
  const planned = [...zones]
    .sort(byAge)
    .map((zone, place, sorted) => planZone(gateSvr, zone, sorted.slice(0, place), references));
  const set = planned
    .filter(({ accepted }) => accepted.status === 'True')
    .map(({ zone, endpoints }) => ({
      zoneId: zone.spec.zoneId,
      uid: zone.metadata.uid ?? '',
      generation: BigInt(zone.metadata.generation ?? 0),
      endpoints: endpoints.map((endpoint) => ({ ...endpoint, healthy: false })),
    }))
    .sort((a, b) => (a.zoneId < b.zoneId ? -1 : 1));
  const named = set.map(({ generation, ...zone }) => ({ ...zone, generation: String(generation) }));
  return { planned, set, hash: hashOf(named) };
}

function planZone(
  gateSvr: GateSvr | undefined,
  zone: Zone,
  older: readonly Zone[],
  references: ZoneReferences,
): PlannedZone {
  const resolution = resolveEndpoints(zone, references);
  const { gateSvrRef } = zone.spec;
  if (gateSvr === undefined) {
    const message = `spec.gateSvrRef.name: there is no GateSvr ${gateSvrRef.name} in this namespace: make it, or make another Zone`;
    const resolved: Verdict = { status: 'False', reason: 'GateSvrNotFound', message };
    return { zone, accepted: { ...resolved, status: 'Unknown' }, resolved, endpoints: [] };
  }
  const accepted = acceptance(gateSvr, zone, older);
  const endpoints = accepted.status === 'True' && resolution.ok ? resolution.endpoints : [];
  return { zone, accepted, resolved: verdictOf(resolution), endpoints };
}

function acceptance({ metadata, spec }: GateSvr, zone: Zone, older: readonly Zone[]): Verdict {
  const { zoneId } = zone.spec;
  if (Number(zoneId) > spec.zoneCount) {
    const last = String(spec.zoneCount).padStart(3, '0');
    const message =
      `spec.zoneId: ${zoneId}: GateSvr ${metadata.name} has zones 001 to ${last}: ` +
      'make a Zone with one of them, or raise its spec.zoneCount, which moves users';
    return { status: 'False', reason: 'ZoneIdOutOfRange', message };
  }
  const holder = older.find((other) => other.spec.zoneId === zoneId);
  if (holder !== undefined) {
    const message = `spec.zoneId: ${zoneId}: Zone ${holder.metadata.name} is older and has it: delete one of them`;
    return { status: 'False', reason: 'ZoneIdTaken', message };
  }
  return { status: 'True', reason: 'Accepted', message: `zone ${zoneId} of GateSvr ${metadata.name}` };
}

function verdictOf(resolution: Resolved): Verdict {
  if (resolution.ok) return { status: 'True', reason: 'ResolvedRefs', message: resolution.message };
  return { status: 'False', reason: resolution.reason, message: resolution.message };
}

function byAge({ metadata: a }: Zone, { metadata: b }: Zone): number {
  const [timeA, timeB] = [a.creationTimestamp ?? '', b.creationTimestamp ?? ''];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
