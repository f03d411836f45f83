import type { GatewayStatus } from '../proto/gen/admin.ts';
import type { GateSvr } from './api/gatesvr.ts';
import { memberNames, namesOf, namespaceOf } from './desired/names.ts';
import type { GatewayPeer } from './gateway-link/gateway-peer.ts';

/** The link to the pod of this name; undefined while there is none. */
export type FindPeer = (namespace: string, podName: string) => GatewayPeer | undefined;

/** A gateway that is heard now. */
export interface HeardGateway {
  readonly pod: string;
  readonly peer: GatewayPeer;
  readonly status: GatewayStatus;
}

/** One gateway of a fleet, heard or not. */
export interface Member {
  readonly pod: string;
  readonly pair: string;
  readonly heard: HeardGateway | undefined;
}

/** Every gateway that a GateSvr should have. */
export function membersOfFleet(gateSvr: GateSvr, find: FindPeer, nowMs: number): Member[] {
  const names = namesOf(gateSvr);
  const pairs = Array.from({ length: gateSvr.spec.pairs }, (_, index) => index);
  return pairs.flatMap((index) =>
    memberNames.map((member) => {
      const pod = names.pod(index, member);
      const peer = find(namespaceOf(gateSvr), pod);
      const { state, status } = peer?.observation(nowMs) ?? { state: 'connecting', status: undefined };
      const isHeard = peer !== undefined && state === 'connected' && status !== undefined;
      return { pod, pair: `p${index}`, heard: isHeard ? { pod, peer, status } : undefined };
    }),
  );
}

/** The primary of each pair by what gateways say; of two, the one of the later epoch. */
export function primariesOf(members: readonly Member[]): Map<string, HeardGateway> {
  const primaries = new Map<string, HeardGateway>();
  for (const { pair, heard } of members) {
    if (heard === undefined || epochAsPrimary(heard) === undefined) continue;
    const other = primaries.get(pair);
    if (other === undefined || (epochAsPrimary(other) ?? 0n) < (epochAsPrimary(heard) ?? 0n))
      primaries.set(pair, heard);
  }
  return primaries;
}

function epochAsPrimary({ status }: HeardGateway): bigint | undefined {
  return status.shards.find(({ role }) => role === 'primary')?.epoch;
}
