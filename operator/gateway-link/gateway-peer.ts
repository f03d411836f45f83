import type {
  DemoteResponse,
  DrainResponse,
  GatewayStatus,
  OverloadLimits,
  PromoteResponse,
  SetOverloadLimitsResponse,
  SetZonesRequest,
  SetZonesResponse,
} from '../../proto/gen/admin.ts';

/**
 * How the operator's watch of one pod stands. Only `reset` (a stream that was connected broke) and `silent` (connected, but
 * no beat for the timeout) count as lost; a pod that was never reached is not lost (design §5, "Who decides in Kubernetes").
 */
export type LinkState = 'connecting' | 'connected' | 'reset' | 'silent';

/** What the operator sees of one gateway at one moment. */
export interface GatewayObservation {
  readonly state: LinkState;
  /** When the link came into this state. */
  readonly sinceMs: number;
  /** When the last beat arrived; undefined before the first. */
  readonly lastBeatMs: number | undefined;
  /** What the last beat said; it stays known after the link was lost. */
  readonly status: GatewayStatus | undefined;
  /** The process ended in good order: it took its leave in the stream, which is no crash. */
  readonly tookLeave: boolean;
  /** Why the link is not connected, for conditions and logs; '' while it is. */
  readonly reason: string;
}

/** The one pod that a peer stands for; a pod of the same name with another uid is another. */
export interface GatewayTarget {
  readonly namespace: string;
  readonly podName: string;
  readonly podUid: string;
  /** HOST:PORT of the pod's AdminService. */
  readonly address: string;
  /** The name that the gateway's certificate must carry. */
  readonly tlsName: string;
}

export interface DemoteOrder {
  readonly shardId: string;
  /** Of the Lease that was seen: a later primary is not meant. */
  readonly epoch: number;
  /** Incarnation that takes over. */
  readonly successor: string;
  readonly deadlineMs: number;
}

/** One gateway as the operator deals with it. Every call has a deadline and throws `GatewayLinkError`. */
export interface GatewayPeer {
  readonly target: GatewayTarget;
  observation(nowMs: number): GatewayObservation;
  setZones(zones: SetZonesRequest): Promise<SetZonesResponse>;
  setLimits(limits: OverloadLimits): Promise<SetOverloadLimitsResponse>;
  /** A hint: the gateway reads its Lease at once; what the Lease says counts (rule 3). */
  promote(shardId: string, epoch: number, incarnation: string): Promise<PromoteResponse>;
  /** Asks for a switchover (rule 16); the answer comes when it is over. */
  demote(order: DemoteOrder): Promise<DemoteResponse>;
  drain(deadlineMs: number, sessionsPerSecond: number): Promise<DrainResponse>;
  /** Ends the link; nothing is observed any more. */
  close(): void;
}

/** Makes the peer of a pod and begins to watch it; `changed` is called whenever its observation changed. */
export type ConnectGateway = (target: GatewayTarget, changed: () => void) => GatewayPeer;

/** A call that brought no answer: what it asked for may have happened. */
export class GatewayLinkError extends Error {
  override readonly name = 'GatewayLinkError';
}

/** The watch of a gateway is lost: half of the evidence that a primary is gone. */
export function isLost({ state }: GatewayObservation): boolean {
  return state === 'reset' || state === 'silent';
}
