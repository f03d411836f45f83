import type { ZoneStatus as ZoneMessage } from '../proto/gen/admin.ts';
import type { Zone, ZoneStatus, ZoneStatusCondition, ZoneStatusEndpoint, ZoneStatusGateway } from './api/zone.ts';
import type { PlannedZone, Verdict } from './plan-zones.ts';

/** What one primary has, as far as the operator knows. */
export interface PrimaryZones {
  readonly pod: string;
  readonly zones: readonly ZoneMessage[];
}

export interface FleetZones {
  /** Revision of the whole set. */
  readonly revision: number;
  readonly primaries: readonly PrimaryZones[];
  /** Pairs whose primary is not reached: "p1". */
  readonly pairsWithout: readonly string[];
  /** Why a gateway does not take the set; '' when none refuses. */
  readonly refusal: string;
  readonly wallMs: number;
}

/** The status of a Zone. What did not change stays as it was, so that nothing is written for it. */
export function zoneStatus({ zone, accepted, resolved, endpoints }: PlannedZone, fleet: FleetZones): ZoneStatus {
  const before = zone.status ?? {};
  const addresses = endpoints.map(({ address }) => address);
  const generation = zone.metadata.generation ?? 0;
  const isSame =
    before.revision !== undefined &&
    before.observedGeneration === generation &&
    sameText(
      addresses,
      (before.endpoints ?? []).map(({ address }) => address),
    );
  const revision = isSame ? before.revision : fleet.revision;
  const wanted = { uid: zone.metadata.uid ?? '', generation: BigInt(generation), addresses };
  const programmedAt = fleet.primaries.filter(({ zones }) => has(zones, zone.spec.zoneId, wanted));
  const shown = endpoints.map(({ address }) => endpointStatus(zone.spec.zoneId, address, programmedAt));
  const gateways: ZoneStatusGateway[] =
    accepted.status === 'True' ? programmedAt.map(({ pod }) => ({ pod, revision })) : [];
  const verdicts = {
    Accepted: accepted,
    ResolvedRefs: resolved,
    Programmed: programmed(accepted, programmedAt.length, fleet),
  };
  return {
    observedGeneration: generation,
    revision,
    healthy: `${shown.filter(({ healthy }) => healthy).length}/${shown.length}`,
    endpoints: shown,
    gateways,
    conditions: Object.entries(verdicts).map(([type, verdict]) =>
      conditionOf(type, verdict, before.conditions ?? [], generation, fleet.wallMs),
    ),
  };
}

/** A gateway has this Zone as it is; zone servers that registered themselves do not matter. */
function has(
  zones: readonly ZoneMessage[],
  zoneId: string,
  wanted: { readonly uid: string; readonly generation: bigint; readonly addresses: readonly string[] },
): boolean {
  const found = zones.find((zone) => zone.zoneId === zoneId);
  if (found === undefined || found.uid !== wanted.uid || found.generation !== wanted.generation) return false;
  return wanted.addresses.every((address) => found.endpoints.some((endpoint) => endpoint.address === address));
}

function endpointStatus(zoneId: string, address: string, primaries: readonly PrimaryZones[]): ZoneStatusEndpoint {
  const unhealthyAt = primaries
    .filter(({ zones }) => {
      const zone = zones.find((each) => each.zoneId === zoneId);
      return zone?.endpoints.some((endpoint) => endpoint.address === address && endpoint.healthy) !== true;
    })
    .map(({ pod }) => pod);
  const healthy = primaries.length > 0 && unhealthyAt.length === 0;
  return { address, healthy, ...(unhealthyAt.length === 0 ? {} : { unhealthyAt }) };
}

function programmed(accepted: Verdict, count: number, fleet: FleetZones): Verdict {
  if (accepted.status !== 'True') {
    return { status: 'False', reason: 'NotAccepted', message: 'gateways do not get it: see the condition Accepted' };
  }
  if (fleet.refusal !== '') return { status: 'False', reason: 'Refused', message: fleet.refusal };
  if (fleet.pairsWithout.length > 0) {
    const message = `no primary is reached of ${fleet.pairsWithout.join(', ')}; ${count} have it`;
    return { status: 'False', reason: 'NoPrimary', message };
  }
  if (count < fleet.primaries.length) {
    return { status: 'False', reason: 'Pending', message: `${count} of ${fleet.primaries.length} primaries have it` };
  }
  return { status: 'True', reason: 'Programmed', message: `${count} of ${count} primaries have it` };
}

function conditionOf(
  type: string,
  { status, reason, message }: Verdict,
  before: readonly ZoneStatusCondition[],
  observedGeneration: number,
  wallMs: number,
): ZoneStatusCondition {
  const former = before.find((condition) => condition.type === type);
  const now = new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const lastTransitionTime = former?.status === status ? former.lastTransitionTime : now;
  return { type, status, observedGeneration, lastTransitionTime, reason, message };
}

/** Two statuses say the same. */
export function sameStatus(a: Zone['status'], b: ZoneStatus): boolean {
  return a !== undefined && sortedJson(a) === sortedJson(b);
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([x], [y]) => (x < y ? -1 : 1)))
      : item,
  );
}

function sameText(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, place) => text === b[place]);
}
