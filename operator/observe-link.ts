import type { ShardStatus } from '../proto/gen/admin.ts';
import type { GatewayPeer } from './gateway-link/gateway-peer.ts';
import type { LinkView } from './pair-view.ts';

/**
 * What is heard of a gateway.
 * @param podUid of the pod as it is now; '' or undefined: there is none
 */
export function linkView(
  peer: GatewayPeer | undefined,
  podUid: string | undefined,
  shardId: string,
  nowMs: number,
): LinkView {
  const seen = peer?.observation(nowMs);
  const shard = seen?.status?.shards.find((each) => each.shardId === shardId);
  // A link to a former pod of this name tells of that one; it counts only while the pod is not replaced.
  const isOther = podUid !== undefined && peer !== undefined && peer.target.podUid !== podUid;
  if (seen === undefined || isOther) return { ...silence, state: 'none' };
  return {
    ...silence,
    state: seen.state,
    sinceMs: seen.sinceMs,
    lastBeatMs: seen.lastBeatMs ?? 0,
    incarnation: seen.status?.incarnation ?? '',
    ready: seen.status?.ready === true,
    draining: seen.status?.draining === true,
    tookLeave: seen.tookLeave,
    ...(shard === undefined ? {} : shardView(shard)),
  };
}

function shardView(shard: ShardStatus): Partial<LinkView> {
  return {
    role: shard.role,
    epoch: Number(shard.epoch),
    history: shard.history,
    inSync: shard.inSync,
    peerLost: shard.peerHeartbeatLost,
    blocked: shard.blocked,
    holdsState: shard.logIndex > 0n || shard.role === 'primary',
  };
}

const silence: LinkView = {
  state: 'connecting',
  sinceMs: 0,
  lastBeatMs: 0,
  incarnation: '',
  role: '',
  epoch: 0,
  history: '',
  inSync: [],
  ready: false,
  draining: false,
  peerLost: false,
  blocked: '',
  holdsState: false,
  tookLeave: false,
};
