import { PushLevel } from '../../proto/gen/upstream.ts';
import { type ArbiterAnswer, nameIncarnation } from './arbiter.ts';
import { Follower } from './follower.ts';
import { LeaseClient, type LeasePurpose } from './lease-client.ts';
import type { PairOptions } from './pair-options.ts';
import type { PeerStatus } from './peer-messages.ts';
import { PeerWatch } from './peer-watch.ts';
import type { LogIndex, ReplicatedMachine, ShardRole } from './shard.ts';
import type { Tenure } from './tenure.ts';

/** While the primary is heard, it may have handed over a moment ago. */
const successionMs = { alive: 100, inDoubt: 1_000 };

/** What one gateway of a pair holds and knows of a shard; `PairShard` decides what to do with it. */
export abstract class PairParts<Command, Outcome, Effect, Image> {
  readonly id: string;
  protected readonly options: PairOptions<Command, Outcome, Effect, Image>;
  protected readonly watch: PeerWatch;
  protected readonly leases: LeaseClient;
  protected readonly follower: Follower<Command, Outcome, Effect, Image>;
  /** Present while this gateway is primary. */
  protected tenure: Tenure<Command, Outcome, Effect, Image> | undefined;
  protected held: ShardRole = 'standby';

  constructor(options: PairOptions<Command, Outcome, Effect, Image>) {
    this.id = options.id;
    this.options = options;
    const { heartbeatIntervalMs, heartbeatTimeoutMs, arbiterTimeoutMs } = options.timing;
    this.watch = new PeerWatch({
      intervalMs: heartbeatIntervalMs,
      timeoutMs: heartbeatTimeoutMs,
      own: () => this.#status(),
      send: options.send,
      gossip: options.gossip,
      leaseHeard: () => this.leases.read(),
    });
    this.leases = new LeaseClient({
      arbiter: options.arbiter,
      timeoutMs: arbiterTimeoutMs,
      readIntervalMs: options.timing.leaseReadIntervalMs,
      urgentReadIntervalMs: options.timing.urgentReadIntervalMs,
      answered: (purpose, answer) => this.answered(purpose, answer),
    });
    this.follower = new Follower({
      codec: options.codec,
      createMachine: options.createMachine,
      newIncarnation: () => nameIncarnation(options.role.serverId, options.newId()),
      send: (message) => {
        if (this.tenure === undefined) options.send(message);
      },
      defer: options.defer,
      rejoinAfterMs: options.timing.rejoinAfterMs,
    });
  }

  /** The arbiter answered the last request. */
  protected abstract answered(purpose: LeasePurpose, answer: ArbiterAnswer): void;

  get role(): ShardRole {
    return this.held;
  }

  get incarnation(): string {
    return this.follower.replica.incarnation;
  }

  /** The state as it is applied here: the primary's own, or its copy. Another object after a change of incarnation. */
  get machine(): ReplicatedMachine<Command, Outcome, Effect, Image> {
    return this.follower.replica.machine;
  }

  /** This gateway decides for the shard now. */
  get serving(): boolean {
    return this.tenure?.serving === true && this.blocked === '';
  }

  /** Why a primary does not answer its clients (rule 15); '' when it does. */
  get blocked(): string {
    if (this.tenure === undefined) return '';
    if (this.tenure.blocked) return 'nothing can be committed and the set cannot shrink';
    const { role, timing } = this.options;
    const alone = this.watch.monitor.lost && this.leases.silentMs >= timing.stallTimeoutMs;
    return role.arbiter === 'shared' && alone ? 'neither the peer nor the arbiter is reachable' : '';
  }

  /** Followers lag: admit less. */
  get congested(): boolean {
    return this.tenure?.log.congested === true;
  }

  get epoch(): number {
    return this.tenure?.epoch ?? this.leases.lease?.epoch ?? 0;
  }

  get history(): string {
    return this.tenure?.history ?? this.leases.lease?.history ?? '';
  }

  get logIndex(): LogIndex {
    return this.tenure?.log.last ?? this.follower.replica.applied;
  }

  get commitIndex(): LogIndex {
    return this.tenure?.commitIndex ?? 0;
  }

  get inSync(): readonly string[] {
    return this.tenure?.membership.confirmed ?? this.leases.lease?.inSync ?? [];
  }

  /** This gateway holds all that was committed: it may be promoted. */
  get isInSync(): boolean {
    return this.inSync.includes(this.incarnation);
  }

  get peerHeartbeatLost(): boolean {
    return this.watch.monitor.lost;
  }

  /** The peer's own word, as old as its last heartbeat. */
  get peer(): PeerStatus | undefined {
    return this.watch.monitor.status;
  }

  /** How long somebody who comes to resume may wait here for this gateway to take over; 0 when it will not. */
  get successionWaitMs(): number {
    if (this.tenure !== undefined || !this.isInSync) return 0;
    return this.watch.monitor.inDoubt ? successionMs.inDoubt : successionMs.alive;
  }

  /** Where clients find the primary; '' when it is here or not known. */
  get redirect(): string {
    const elsewhere = this.tenure === undefined && this.peer?.role === 'primary' && !this.peerHeartbeatLost;
    return elsewhere ? (this.peer?.clientEndpoint ?? '') : '';
  }

  /** As `redirect`, for zones and administrators. */
  get zoneRedirect(): string {
    return this.tenure === undefined && this.peer?.role === 'primary' ? this.peer.zoneEndpoint : '';
  }

  /** How safe a push is whose outcome is heard now (I2). */
  get pushLevel(): PushLevel {
    const full = this.tenure?.level === 'committed';
    return full ? PushLevel.PUSH_LEVEL_COMMITTED : PushLevel.PUSH_LEVEL_COMMITTED_DEGRADED;
  }

  /** What heartbeats say of this gateway. */
  #status(): PeerStatus {
    const { role, clientEndpoint, zoneEndpoint, gossip } = this.options;
    return {
      serverId: role.serverId,
      incarnation: this.incarnation,
      mode: role.mode,
      role: this.held,
      epoch: this.epoch,
      history: this.history,
      complete: this.tenure !== undefined || this.follower.replica.complete,
      logIndex: this.logIndex,
      lease: gossip === undefined ? this.leases.lease : gossip.announced,
      clientEndpoint,
      zoneEndpoint,
    };
  }
}
