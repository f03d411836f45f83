import type { GatewayObservation } from './gateway-link/gateway-peer.ts';

/**
 * Tells beats that matter for zones and limits from those that only say that time has passed: gateways beat several times a
 * second.
 */
export class SettingsFacts {
  /** Pod → what it said last. */
  #known = new Map<string, string>();

  /** @param pod "NAMESPACE/NAME" @returns whether zones and limits should be looked at again */
  changed(pod: string, { state, status }: GatewayObservation): boolean {
    const facts = JSON.stringify([
      state,
      status?.incarnation,
      status?.shards.map(({ role, epoch }) => `${role} ${epoch}`),
      String(status?.zonesRevision),
      status?.limits,
      status?.zones.map(({ zoneId, uid, endpoints }) => [zoneId, uid, endpoints]),
    ]);
    if (this.#known.get(pod) === facts) return false;
    this.#known.set(pod, facts);
    return true;
  }

  forget(pod: string): void {
    this.#known.delete(pod);
  }
}
