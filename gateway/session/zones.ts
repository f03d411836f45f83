import { ErrorCode } from '../protocol/error-codes.ts';
import type { RegisterZoneCommand, SetZonesCommand, UnregisterZoneCommand } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { Effect, Outcome } from './effect.ts';
import { zoneEndpointsMax, zonesMax } from './limits.ts';
import { deadlineKind, type ShardState } from './shard-state.ts';

export function zoneEffect(state: ShardState, zoneId: string): Effect {
  return { kind: 'zone-endpoints', zoneId, endpoints: state.zones.endpoints(zoneId) };
}

/** Adds an endpoint or keeps it alive; the endpoints are told only when they changed. */
export function registerZone(state: ShardState, command: RegisterZoneCommand, effects: Effect[]): Outcome {
  if (!state.zones.hasRoom(command)) {
    const reason = `no more than ${zonesMax} zones and ${zoneEndpointsMax} endpoints each`;
    return { kind: 'refused', code: ErrorCode.ERROR_OVERLOADED, reason };
  }
  const deadline = leaseDeadline(state, command.zoneId, command.address, command.leaseMs);
  const { changed, replaced } = state.zones.register(command, deadline);
  state.deadlines.cancel(replaced);
  if (changed) effects.push(zoneEffect(state, command.zoneId));
  state.hash.mixText(command.address);
  return { kind: 'done' };
}

export function unregisterZone(state: ShardState, command: UnregisterZoneCommand, effects: Effect[]): Outcome {
  const removed = state.zones.unregister(command);
  if (removed !== undefined) {
    state.deadlines.cancel(removed.deadline);
    effects.push(zoneEffect(state, command.zoneId));
  }
  return { kind: 'done' };
}

/** Takes the operator's whole set over, unless a newer one was seen. */
export function setZones(state: ShardState, command: SetZonesCommand, effects: Effect[]): Outcome {
  if (command.revision >= state.zones.revision) {
    for (const zoneId of state.zones.replaceFixed(command)) effects.push(zoneEffect(state, zoneId));
    state.hash.mix(command.revision);
  }
  return { kind: 'zones', revision: state.zones.revision };
}

export function leaseIsDue(state: ShardState, due: Deadline, effects: Effect[]): void {
  const { zoneId, address } = leaseOf(due.key);
  state.zones.remove(zoneId, address);
  effects.push(zoneEffect(state, zoneId));
}

export function restartLeases(state: ShardState): void {
  for (const zone of state.zones.zones.values()) {
    for (const leased of zone.leased.values()) {
      state.deadlines.cancel(leased.deadline);
      leased.deadline = leaseDeadline(state, zone.zoneId, leased.address, leased.leaseMs);
    }
  }
}

function leaseDeadline(state: ShardState, zoneId: string, address: string, leaseMs: number): Deadline {
  return state.deadlines.add(state.timeMs + leaseMs, deadlineKind.zoneLease, leaseKey(zoneId, address), 0);
}

/** How a lease's deadline is named. */
export function leaseKey(zoneId: string, address: string): string {
  return `${zoneId} ${address}`;
}

function leaseOf(key: string): { zoneId: string; address: string } {
  const space = key.indexOf(' ');
  return { zoneId: key.slice(0, space), address: key.slice(space + 1) };
}
