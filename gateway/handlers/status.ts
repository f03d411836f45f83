import type { GatewayStatus, ZoneStatus } from '../../proto/gen/admin.ts';
import type { HandlerContext } from './context.ts';

export interface GatewayIdentity {
  readonly serverId: string;
  readonly version: string;
  /** '' outside Kubernetes. */
  readonly podUid: string;
}

/** The status that AdminService.Watch streams. */
export function gatewayStatus(
  context: HandlerContext,
  identity: GatewayIdentity,
  ready: boolean,
  draining: boolean,
): GatewayStatus {
  const { shard, protector } = context;
  return {
    serverId: identity.serverId,
    version: identity.version,
    podUid: identity.podUid,
    incarnation: shard.incarnation,
    ready,
    draining,
    shards: [
      {
        shardId: shard.id,
        role: shard.role,
        epoch: BigInt(shard.epoch),
        logIndex: BigInt(shard.logIndex),
        commitIndex: BigInt(shard.commitIndex),
        inSync: [...shard.inSync],
        peerHeartbeatLost: shard.peerHeartbeatLost,
        history: shard.history,
        blocked: shard.blocked,
      },
    ],
    overloadState: protector.state,
    limits: protector.limits,
    zones: zoneStatuses(context),
    zonesRevision: BigInt(context.sessions.zonesRevision),
    connections: context.connections.size,
    sessions: context.sessions.counts().sessions,
    fleetMapVersion: BigInt(context.fleet?.fleet.version ?? 0),
    pairId: context.fleet?.fleet.pairId ?? '',
  };
}

/** What is registered, with the router's word on who is healthy. */
function zoneStatuses(context: HandlerContext): ZoneStatus[] {
  const health = context.router.status();
  return context.sessions.zones().map(({ zoneId, uid, generation, endpoints }) => ({
    zoneId,
    uid,
    generation: BigInt(generation),
    endpoints: endpoints.map(({ address, weight }) => ({
      address,
      weight,
      healthy: health.get(zoneId)?.some((endpoint) => endpoint.address === address && endpoint.healthy) ?? false,
    })),
  }));
}
