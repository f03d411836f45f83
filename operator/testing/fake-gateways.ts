import type { DemoteResponse, DrainResponse, GatewayStatus, PromoteResponse } from '../../proto/gen/admin.ts';
import type {
  DemoteOrder,
  GatewayObservation,
  GatewayPeer,
  GatewayTarget,
  LinkState,
} from '../gateway-link/gateway-peer.ts';
import { KubeApiError } from '../kube-api.ts';
import type { Lease } from '../kube-objects.ts';
import { type LeaseContent, readLease } from '../lease-content.ts';
import type { Clock } from '../lib/clock.ts';
import { leases } from '../resources.ts';
import type { ApiStore } from './api-store.ts';

/** Gateways that do with the Lease what real ones do, without clients and without a log: their state is a number. */

const silenceMs = 1_000;

export interface Place {
  readonly namespace: string;
  readonly shard: string;
  readonly podName: string;
  readonly peerPodName: string;
}

/** One gateway process and its links. */
export class FakeGateway {
  readonly place: Place;
  readonly podUid: string;
  readonly version: string;
  alive = true;
  /** SIGSTOP: says nothing, and no stream breaks. */
  paused = false;
  cutFromPeer = false;
  cutFromOperator = false;
  ready = true;
  draining = false;
  /** Never gets in sync. */
  broken = false;
  refusesDemote = false;
  incarnation = '';
  role: 'standby' | 'backup' | 'primary' = 'standby';
  epoch = 0;
  history = '';
  /** All that was committed in this history. */
  complete = false;
  drains = 0;
  promotes: string[] = [];
  #store: ApiStore;
  #starts = 0;

  constructor(place: Place, podUid: string, version: string, store: ApiStore) {
    this.place = place;
    this.podUid = podUid;
    this.version = version;
    this.#store = store;
    this.restart();
  }

  /** Another process in the same pod. */
  restart(): void {
    this.alive = true;
    this.#discard();
  }

  #discard(): void {
    this.#starts += 1;
    this.incarnation = `${this.place.podName}/${this.podUid.slice(-4)}-${this.#starts}`;
    this.role = 'standby';
    this.epoch = 0;
    this.history = '';
    this.complete = false;
  }

  #lease(): { object: Lease | undefined; content: LeaseContent | undefined } {
    const object = this.#store.get<Lease>(leases, this.place.namespace, this.place.shard);
    return { object, content: object && readLease(object) };
  }

  hears(peer: FakeGateway | undefined): boolean {
    return peer?.alive === true && !peer.paused && !this.cutFromPeer && !peer.cutFromPeer;
  }

  /** What a gateway does between two heartbeats. */
  step(peer: FakeGateway | undefined): void {
    if (!this.alive || this.paused) return;
    const { content } = this.#lease();
    if (content === undefined) return;
    if (content.holder === this.incarnation) this.#lead(content, peer);
    else if (this.role === 'primary' || (this.history !== '' && this.history !== content.history)) this.#discard();
    else this.#follow(content, peer);
  }

  #lead(content: LeaseContent, peer: FakeGateway | undefined): void {
    this.role = 'primary';
    this.epoch = content.epoch;
    this.history = content.history;
    this.complete = true;
    const wanted = [this.incarnation];
    const joins = this.hears(peer) && peer?.complete === true && peer.history === this.history;
    if (peer !== undefined && joins) wanted.push(peer.incarnation);
    if (wanted.join() !== content.inSync.join()) this.#swap({ ...content, inSync: wanted });
  }

  #follow(content: LeaseContent, peer: FakeGateway | undefined): void {
    const leads = this.hears(peer) && peer?.role === 'primary' && peer.incarnation === content.holder;
    if (!leads || this.broken) return;
    this.role = 'backup';
    this.epoch = content.epoch;
    this.history = content.history;
    this.complete = true;
  }

  #swap(next: Omit<LeaseContent, 'resourceVersion'>): boolean {
    const { object } = this.#lease();
    if (object === undefined) return false;
    const annotations = {
      ...object.metadata.annotations,
      'gatesvr.io/epoch': String(next.epoch),
      'gatesvr.io/history': next.history,
      'gatesvr.io/in-sync': next.inSync.join(','),
    };
    const spec = { ...object.spec, holderIdentity: next.holder };
    try {
      this.#store.replace(leases, { ...object, metadata: { ...object.metadata, annotations }, spec });
      return true;
    } catch (error) {
      if (error instanceof KubeApiError) return false;
      throw error;
    }
  }

  /** Rule 13: nobody else has decided. */
  promoteItself(): void {
    const { content } = this.#lease();
    if (content === undefined || !content.inSync.includes(this.incarnation)) return;
    this.#swap({ ...content, epoch: content.epoch + 1, holder: this.incarnation, inSync: [this.incarnation] });
  }

  demote({ successor, epoch }: DemoteOrder): DemoteResponse {
    const { content } = this.#lease();
    const may = content?.holder === this.incarnation && content.epoch === epoch && content.inSync.includes(successor);
    if (content === undefined || !may || this.refusesDemote) {
      return { success: false, error: { code: 0, message: 'refused' } as never, epoch: BigInt(this.epoch) };
    }
    const done = this.#swap({ ...content, epoch: content.epoch + 1, holder: successor, inSync: [successor] });
    if (done) this.#discard();
    return { success: done, error: undefined, epoch: BigInt(epoch + 1) };
  }

  status(peer: FakeGateway | undefined): GatewayStatus {
    const inSync = this.#lease().content?.inSync ?? [];
    return {
      serverId: this.place.podName,
      incarnation: this.incarnation,
      version: this.version,
      ready: this.ready && (this.role === 'primary' || inSync.includes(this.incarnation)),
      draining: this.draining,
      overloadState: 'normal',
      limits: undefined,
      zones: [],
      zonesRevision: 0n,
      connections: 0,
      sessions: 0,
      podUid: this.podUid,
      fleetMapVersion: 0n,
      pairId: '',
      shards: [
        {
          shardId: this.place.shard,
          role: this.role,
          epoch: BigInt(this.epoch),
          logIndex: this.complete ? 10n : 0n,
          commitIndex: 0n,
          inSync: [...inSync],
          peerHeartbeatLost: !this.hears(peer),
          history: this.role === 'primary' ? this.history : '',
          blocked: '',
        },
      ],
    };
  }
}

/** An operator's link to a fake gateway. */
export class FakePeer implements GatewayPeer {
  readonly target: GatewayTarget;
  #find: () => { gateway: FakeGateway | undefined; peer: FakeGateway | undefined };
  #clock: Clock;
  #changed: () => void;
  #state: LinkState = 'connecting';
  #sinceMs = 0;
  #lastBeatMs: number | undefined;
  #status: GatewayStatus | undefined;
  #said = '';
  closed = false;

  constructor(
    target: GatewayTarget,
    clock: Clock,
    find: () => { gateway: FakeGateway | undefined; peer: FakeGateway | undefined },
    changed: () => void,
  ) {
    this.target = target;
    this.#clock = clock;
    this.#find = find;
    this.#changed = changed;
    this.#sinceMs = clock.nowMs();
  }

  /** A heartbeat's time passes. */
  step(): void {
    if (this.closed) return;
    const nowMs = this.#clock.nowMs();
    const { gateway, peer } = this.#find();
    const isThere = gateway?.alive === true && !gateway.cutFromOperator;
    if (gateway !== undefined && isThere && !gateway.paused) {
      this.#lastBeatMs = nowMs;
      this.#status = gateway.status(peer);
      this.#become('connected');
    } else if (this.#state === 'connected') {
      const isDead = gateway === undefined || !gateway.alive;
      if (isDead) this.#become('reset');
      else if (nowMs - (this.#lastBeatMs ?? 0) >= silenceMs) this.#become('silent');
    }
    const said = JSON.stringify([this.#state, this.#status], (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    if (said === this.#said) return;
    this.#said = said;
    this.#changed();
  }

  #become(state: LinkState): void {
    if (state !== this.#state) this.#sinceMs = this.#clock.nowMs();
    this.#state = state;
  }

  observation(): GatewayObservation {
    const [state, sinceMs, lastBeatMs, status] = [this.#state, this.#sinceMs, this.#lastBeatMs, this.#status];
    return { state, sinceMs, lastBeatMs, status, tookLeave: false, reason: '' };
  }

  setZones(): Promise<never> {
    return Promise.reject(new Error('not asked for'));
  }

  setLimits(): Promise<never> {
    return Promise.reject(new Error('not asked for'));
  }

  promote(_shardId: string, epoch: number, incarnation: string): Promise<PromoteResponse> {
    const { gateway, peer } = this.#find();
    gateway?.promotes.push(incarnation);
    gateway?.step(peer);
    return Promise.resolve({ success: true, error: undefined, epoch: BigInt(epoch) });
  }

  demote(order: DemoteOrder): Promise<DemoteResponse> {
    const { gateway } = this.#find();
    if (gateway === undefined || !gateway.alive) return Promise.reject(new Error('unreachable'));
    return gateway.paused ? new Promise(() => {}) : Promise.resolve(gateway.demote(order));
  }

  drain(): Promise<DrainResponse> {
    const { gateway } = this.#find();
    if (gateway !== undefined) gateway.drains += 1;
    return Promise.resolve({ sessionsLeft: 0 });
  }

  close(): void {
    this.closed = true;
  }
}
