import type { RegisterZoneCommand, SetZonesCommand, UnregisterZoneCommand } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { Endpoint } from './effect.ts';
import { zoneEndpointsMax, zonesMax } from './limits.ts';

/** An endpoint that registered itself and keeps itself alive by registering again. */
export interface LeasedEndpoint extends Endpoint {
  readonly leaseMs: number;
  deadline: Deadline | undefined;
}

export interface Zone {
  readonly zoneId: string;
  /** Of the operator's `Zone`; '' and 0 when it has none. */
  uid: string;
  generation: number;
  /** From the operator; they have no lease. */
  fixed: readonly Endpoint[];
  /** By address. */
  readonly leased: Map<string, LeasedEndpoint>;
}

/** Which addresses serve which zone, from both sources: the zones themselves and the operator. */
export class ZoneRegistrations {
  readonly zones = new Map<string, Zone>();
  revision = 0;

  /** The operator's endpoints first; one address appears once. */
  endpoints(zoneId: string): Endpoint[] {
    const zone = this.zones.get(zoneId);
    if (zone === undefined) return [];
    const merged = [...zone.fixed];
    for (const { address, weight, instanceId } of zone.leased.values()) {
      if (!zone.fixed.some((endpoint) => endpoint.address === address)) merged.push({ address, weight, instanceId });
    }
    return merged;
  }

  hasRoom(command: RegisterZoneCommand): boolean {
    const zone = this.zones.get(command.zoneId);
    if (zone === undefined) return this.zones.size < zonesMax;
    return zone.leased.has(command.address) || zone.leased.size < zoneEndpointsMax;
  }

  /** @returns whether the zone's endpoints changed, and the deadline that the new lease replaces. */
  register(command: RegisterZoneCommand, deadline: Deadline): { changed: boolean; replaced: Deadline | undefined } {
    const zone = this.#zone(command.zoneId);
    const { address, weight, instanceId, leaseMs } = command;
    const old = zone.leased.get(address);
    zone.leased.set(address, { address, weight, instanceId, leaseMs, deadline });
    const changed = old === undefined || old.weight !== weight || old.instanceId !== instanceId;
    return { changed, replaced: old?.deadline };
  }

  /** @returns the endpoint that was removed; none when another instance holds the address by now. */
  unregister(command: UnregisterZoneCommand): LeasedEndpoint | undefined {
    const leased = this.zones.get(command.zoneId)?.leased.get(command.address);
    if (leased === undefined || (command.instanceId !== '' && leased.instanceId !== command.instanceId))
      return undefined;
    this.remove(command.zoneId, command.address);
    return leased;
  }

  remove(zoneId: string, address: string): void {
    const zone = this.zones.get(zoneId);
    zone?.leased.delete(address);
    this.#dropIfEmpty(zone);
  }

  /** @returns the zones whose endpoints may have changed. */
  replaceFixed(command: SetZonesCommand): Set<string> {
    this.revision = command.revision;
    const touched = new Set<string>();
    for (const zone of this.zones.values()) {
      if (zone.fixed.length > 0 || zone.uid !== '') touched.add(zone.zoneId);
      zone.fixed = [];
      zone.uid = '';
      zone.generation = 0;
    }
    for (const given of command.zones.slice(0, zonesMax)) {
      const zone = this.#zone(given.zoneId);
      zone.uid = given.uid;
      zone.generation = given.generation;
      zone.fixed = given.endpoints
        .slice(0, zoneEndpointsMax)
        .map(({ address, weight }) => ({ address, weight, instanceId: given.uid }));
      touched.add(given.zoneId);
    }
    for (const zoneId of touched) this.#dropIfEmpty(this.zones.get(zoneId));
    return touched;
  }

  #zone(zoneId: string): Zone {
    let zone = this.zones.get(zoneId);
    if (zone === undefined) {
      zone = { zoneId, uid: '', generation: 0, fixed: [], leased: new Map() };
      this.zones.set(zoneId, zone);
    }
    return zone;
  }

  #dropIfEmpty(zone: Zone | undefined): void {
    if (zone !== undefined && zone.uid === '' && zone.fixed.length === 0 && zone.leased.size === 0) {
      this.zones.delete(zone.zoneId);
    }
  }
}
