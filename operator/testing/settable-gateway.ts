import {
  GatewayStatus,
  type OverloadLimits,
  type SetOverloadLimitsResponse,
  type SetZonesRequest,
  type SetZonesResponse,
  type ZoneStatus,
} from '../../proto/gen/admin.ts';
import { ErrorCode, type Error as ErrorMessage } from '../../proto/gen/message.ts';
import { GatewayLinkError, type GatewayObservation, type GatewayPeer } from '../gateway-link/gateway-peer.ts';

const nothing = GatewayStatus.decode(new Uint8Array());

/** A gateway that takes zones and limits as the real one does, seen through the operator's link to it. */
export class SettableGateway implements GatewayPeer {
  readonly target;
  state: GatewayObservation['state'] = 'connected';
  role = 'primary';
  epoch = 1n;
  incarnation: string;
  zones: readonly ZoneStatus[] = [];
  zonesRevision = 0n;
  /** Addresses whose health checks fail. */
  unhealthy = new Set<string>();
  limits: OverloadLimits | undefined;
  /** What is answered to the next calls instead. */
  refusal: Partial<ErrorMessage> | undefined;
  unreachable = false;
  calls: string[] = [];

  constructor(podName: string) {
    this.target = { namespace: 'games', podName, podUid: `uid-${podName}`, address: '10.0.0.1:8092', tlsName: podName };
    this.incarnation = `${podName}/1`;
  }

  /** The process starts again and holds nothing. */
  restart(): void {
    this.incarnation = `${this.target.podName}/${Number(this.incarnation.split('/')[1]) + 1}`;
    this.zones = [];
    this.zonesRevision = 0n;
    this.limits = undefined;
  }

  observation(): GatewayObservation {
    return {
      state: this.state,
      sinceMs: 0,
      lastBeatMs: 0,
      status: this.#status(),
      tookLeave: false,
      reason: '',
    };
  }

  #status(): GatewayStatus {
    const { podName } = this.target;
    const shard = { shardId: podName.slice(0, -4), role: this.role, epoch: this.epoch };
    const rest = { logIndex: 0n, commitIndex: 0n, inSync: [], peerHeartbeatLost: false, history: 'h', blocked: '' };
    const zones = this.zones.map((zone) => ({
      ...zone,
      endpoints: zone.endpoints.map((endpoint) => ({ ...endpoint, healthy: !this.unhealthy.has(endpoint.address) })),
    }));
    const identity = { serverId: podName, incarnation: this.incarnation, version: '1.0.0' };
    const counts = { ready: true, draining: false, overloadState: 'normal', connections: 0, sessions: 0 };
    const { zonesRevision, limits } = this;
    return { ...nothing, ...identity, ...counts, zones, zonesRevision, limits, shards: [{ ...shard, ...rest }] };
  }

  async setZones({ zones, revision }: SetZonesRequest): Promise<SetZonesResponse> {
    this.#call(`zones ${revision}`);
    if (this.refusal !== undefined) return { success: false, error: this.#error(), revision: 0n };
    if (revision >= this.zonesRevision) {
      this.zones = zones;
      this.zonesRevision = revision;
    }
    return { success: true, error: undefined, revision: this.zonesRevision };
  }

  async setLimits(limits: OverloadLimits): Promise<SetOverloadLimitsResponse> {
    this.#call(`limits ${limits.maxQps}`);
    if (this.refusal !== undefined) return { success: false, error: this.#error(), limits: this.limits };
    this.limits = limits;
    return { success: true, error: undefined, limits };
  }

  #call(what: string): void {
    this.calls.push(what);
    if (this.unreachable) throw new GatewayLinkError('no answer within 2 s');
  }

  #error(): ErrorMessage {
    return { code: ErrorCode.ERROR_BAD_MESSAGE, message: 'refused', retryAfterMs: 0, redirect: '', ...this.refusal };
  }

  promote(): never {
    throw new GatewayLinkError('not of this fake');
  }

  demote(): never {
    throw new GatewayLinkError('not of this fake');
  }

  drain(): never {
    throw new GatewayLinkError('not of this fake');
  }

  close(): void {
    this.state = 'connecting';
  }
}
