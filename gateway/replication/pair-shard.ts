import { PushLevel } from '../../proto/gen/upstream.ts';
import { type ArbiterAnswer, type ArbiterRequest, type Lease, nameIncarnation } from './arbiter.ts';
import { Follower } from './follower.ts';
import { HeartbeatMonitor } from './heartbeat.ts';
import { LeaseClient, type LeasePurpose } from './lease-client.ts';
import type { PairOptions, SwitchoverResult } from './pair-options.ts';
import type { HeartbeatMessage, PeerMessage, PeerStatus } from './peer-messages.ts';
import { beginningOf, type Decision, decide, type Observation, type Phase, promotionOf } from './role.ts';
import type { LogIndex, ReplicatedMachine, ShardRole } from './shard.ts';
import { Tenure } from './tenure.ts';

/** Steps of the role in a row; there are never more than a few, and the next tick goes on. */
const stepsMax = 8;

/**
 * One shard on one gateway of a pair: standby, backup or primary of it. Pure: messages, time and the arbiter's answers
 * come in; messages, requests and committed effects go out through the options.
 */
export class PairShard<Command, Outcome, Effect, Image> {
  readonly id: string;
  #options: PairOptions<Command, Outcome, Effect, Image>;
  #heartbeat: HeartbeatMonitor;
  #leases: LeaseClient;
  #follower: Follower<Command, Outcome, Effect, Image>;
  #tenure: Tenure<Command, Outcome, Effect, Image> | undefined;
  #role: ShardRole = 'standby';
  #nowMs = 0;
  #wallMs = 0;
  /** The history asked for, while this incarnation has not led. */
  #beginning = '';
  #stepping = false;

  constructor(options: PairOptions<Command, Outcome, Effect, Image>) {
    this.id = options.id;
    this.#options = options;
    const { heartbeatIntervalMs, heartbeatTimeoutMs, arbiterTimeoutMs, leaseReadIntervalMs } = options.timing;
    this.#heartbeat = new HeartbeatMonitor({ intervalMs: heartbeatIntervalMs, timeoutMs: heartbeatTimeoutMs });
    this.#leases = new LeaseClient({
      arbiter: options.arbiter,
      timeoutMs: arbiterTimeoutMs,
      readIntervalMs: leaseReadIntervalMs,
      answered: (purpose, answer) => this.#answered(purpose, answer),
    });
    this.#follower = new Follower({
      codec: options.codec,
      createMachine: options.createMachine,
      newIncarnation: () => nameIncarnation(options.role.serverId, options.newId()),
      send: (message) => {
        if (this.#tenure === undefined) options.send(message);
      },
      defer: options.defer,
      rejoinAfterMs: options.timing.rejoinAfterMs,
    });
  }

  get role(): ShardRole {
    return this.#role;
  }

  get incarnation(): string {
    return this.#follower.replica.incarnation;
  }

  /** The state as it is applied here: the primary's own, or its copy. Another object after a change of incarnation. */
  get machine(): ReplicatedMachine<Command, Outcome, Effect, Image> {
    return this.#follower.replica.machine;
  }

  /** This gateway decides for the shard now. */
  get serving(): boolean {
    return this.#tenure?.serving === true;
  }

  /** The primary can neither commit nor shrink its set (rule 15). */
  get blocked(): boolean {
    return this.#tenure?.blocked === true;
  }

  /** Followers lag: admit less. */
  get congested(): boolean {
    return this.#tenure?.log.congested === true;
  }

  get epoch(): number {
    return this.#tenure?.epoch ?? this.#leases.lease?.epoch ?? 0;
  }

  get history(): string {
    return this.#tenure?.history ?? this.#leases.lease?.history ?? '';
  }

  get logIndex(): LogIndex {
    return this.#tenure?.log.last ?? this.#follower.replica.applied;
  }

  get commitIndex(): LogIndex {
    return this.#tenure?.commitIndex ?? 0;
  }

  get inSync(): readonly string[] {
    return this.#tenure?.membership.confirmed ?? this.#leases.lease?.inSync ?? [];
  }

  /** This gateway holds all that was committed: it may be promoted. */
  get isInSync(): boolean {
    return this.inSync.includes(this.incarnation);
  }

  get peerHeartbeatLost(): boolean {
    return this.#heartbeat.lost;
  }

  /** The peer's own word, as old as its last heartbeat. */
  get peer(): PeerStatus | undefined {
    return this.#heartbeat.status;
  }

  /** Where clients find the primary; '' when it is here or not known. */
  get redirect(): string {
    return this.#tenure === undefined && this.peer?.role === 'primary' ? this.peer.clientEndpoint : '';
  }

  /** As `redirect`, for zones and administrators. */
  get zoneRedirect(): string {
    return this.#tenure === undefined && this.peer?.role === 'primary' ? this.peer.zoneEndpoint : '';
  }

  /** How safe a push is whose outcome is heard now (I2). */
  get pushLevel(): PushLevel {
    const full = this.#tenure?.level === 'committed';
    return full ? PushLevel.PUSH_LEVEL_COMMITTED : PushLevel.PUSH_LEVEL_COMMITTED_DEGRADED;
  }

  /** Orders a command; `dropped` is called instead of `committed` when its outcome will not be known here. */
  submit(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void {
    if (this.#tenure === undefined) dropped?.();
    else this.#tenure.submit(command, committed, dropped);
  }

  /** Time passes: heartbeats, stalls, the next step of the role. About every 50 ms. */
  tick(nowMs: number, wallMs: number): void {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    const ping = this.#heartbeat.tick(nowMs);
    if (ping !== undefined) this.#sendHeartbeat('ping', ping);
    this.#leases.tick(nowMs);
    const isDead = (incarnation: string) => this.#heartbeat.isDead(incarnation, this.#leases.seenMs);
    this.#tenure?.tick(nowMs, { lost: this.#heartbeat.lost, isDead });
    if (this.#tenure?.membership.mustRead === true) this.#leases.read();
    this.#step();
  }

  /** A message of the peer. */
  received(nowMs: number, message: PeerMessage): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    switch (message.kind) {
      case 'ping':
      case 'pong':
        return this.#heardHeartbeat(message);
      case 'join':
        this.#tenure?.join(message);
        return;
      case 'ack':
        this.#tenure?.acknowledged(message);
        return;
      default: {
        if (this.#tenure !== undefined) return;
        const reason = this.#follower.received(this.#nowMs, message);
        if (reason !== undefined) this.#discard(reason);
        this.#step();
      }
    }
  }

  /** The heartbeat connection broke. */
  connectionReset(): void {
    this.#heartbeat.connectionReset();
  }

  /** Nobody listens at the peer's address: with a reset before it, its process is dead (rule 13). */
  connectionRefused(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#heartbeat.connectionRefused();
    if (this.#heartbeat.refused) this.#step();
  }

  /** The stream to the primary broke; what is missing is asked for again. */
  primaryLinkBroken(): void {
    this.#follower.detach();
  }

  /** The stream from a follower broke; it joins again. */
  followerLinkBroken(): void {
    this.#tenure?.detached();
  }

  /** A watch or a hint (Promote) says that the Lease changed: it is read before anything rests on it. */
  lookAtLease(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#leases.read();
  }

  /** The peer should hear of news at once. */
  announce(): void {
    this.#sendHeartbeat('ping', this.#heartbeat.pingNow(this.#nowMs));
  }

  /** Hands the shard over to `successor` within `withinMs` (rule 16); on any failure before that it goes on here. */
  switchover(nowMs: number, successor: string, withinMs: number, done: (result: SwitchoverResult) => void): void {
    if (this.#tenure === undefined) return done({ ok: false, reason: 'not primary' });
    this.#tenure.switchover(successor, nowMs + withinMs, done);
    this.#step();
  }

  #step(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let steps = 0; steps < stepsMax; steps += 1) {
        if (!this.#carryOut(decide(this.#observe(), this.#options.role))) break;
      }
      this.#writeMembership();
    } finally {
      this.#stepping = false;
    }
  }

  #observe(): Observation {
    const { status, confirmedAtMs, lost, lostForMs } = this.#heartbeat;
    const { replica } = this.#follower;
    const { lease, known, seenMs } = this.#leases;
    const held: Phase = replica.complete ? 'holding' : replica.isEmpty ? 'empty' : 'copying';
    return {
      incarnation: replica.incarnation,
      phase: this.#tenure === undefined ? held : 'primary',
      epoch: this.#tenure?.epoch ?? replica.epoch,
      history: this.#tenure?.history ?? replica.history,
      beginning: this.#beginning,
      leaseKnown: known,
      lease,
      leaseSeenMs: seenMs,
      peer: { status, confirmedAtMs, lost, lostForMs },
    };
  }

  /** @returns whether something changed that asks for another look at once. */
  #carryOut(decision: Decision): boolean {
    switch (decision.kind) {
      case 'wait':
        return false;
      case 'step-down':
      case 'discard':
        this.#discard(decision.reason);
        return true;
      case 'lead':
        this.#lead(decision.lease);
        return false;
      case 'promote':
        if (!this.#leases.free) return false;
        return this.#swap('promote', promotionOf(decision.lease, this.incarnation));
      case 'begin':
        if (!this.#leases.free) return false;
        this.#beginning = this.#options.newId();
        return this.#swap('begin', beginningOf(this.#observe(), this.#beginning, this.#wallMs));
      case 'follow':
        if (this.#follower.follow(this.#nowMs)) {
          if (this.#role !== 'backup') this.#setRole('backup', `following ${decision.primary}`);
          return false;
        }
        this.#discard('the copy was interrupted');
        return true;
    }
  }

  /** All state is thrown away: a new incarnation, which follows whoever holds the Lease. */
  #discard(reason: string): void {
    const tenure = this.#tenure;
    this.#tenure = undefined;
    this.#follower.discard();
    this.#beginning = '';
    tenure?.end(this.#leases.lease);
    this.#setRole(tenure === undefined ? 'standby' : 'deposed', reason);
    this.announce();
  }

  #lead(lease: Lease): void {
    const { machine, applied } = this.#follower.replica;
    this.#beginning = '';
    const tenure = new Tenure(this.#options, lease, machine, applied);
    this.#tenure = tenure;
    tenure.begin();
    this.#setRole('primary', `the Lease names this incarnation in epoch ${lease.epoch}`);
    this.announce();
  }

  /** @returns whether the arbiter answered at once. */
  #swap(purpose: 'promote' | 'begin', request: ArbiterRequest): boolean {
    this.#leases.swap(purpose, request);
    return this.#leases.free;
  }

  #writeMembership(): void {
    const tenure = this.#tenure;
    if (tenure === undefined || !this.#leases.free) return;
    const next = tenure.nextWrite();
    if (next !== undefined) this.#leases.swap('membership', { kind: 'swap', expected: tenure.membership.lease, next });
  }

  #answered(purpose: LeasePurpose, answer: ArbiterAnswer): void {
    if (purpose === 'membership') this.#tenure?.writeAnswered(answer);
    else if (answer.kind === 'lease' && answer.lease !== undefined) this.#tenure?.sawLease(answer.lease);
    this.#step();
  }

  #heardHeartbeat(message: HeartbeatMessage): void {
    const known = this.peer?.incarnation;
    if (message.kind === 'ping') this.#sendHeartbeat('pong', message.number);
    this.#heartbeat.heard(this.#nowMs, message);
    // A new incarnation is believed once it answers; ask at once.
    if (known !== undefined && known === this.peer?.incarnation && known !== message.status.incarnation)
      this.announce();
    if (this.#options.gossip?.heard(message.status.lease) === true) this.#leases.read();
    this.#step();
  }

  #sendHeartbeat(kind: 'ping' | 'pong', number: number): void {
    const { role, clientEndpoint, zoneEndpoint, gossip } = this.#options;
    const status: PeerStatus = {
      serverId: role.serverId,
      incarnation: this.incarnation,
      mode: role.mode,
      role: this.#role,
      epoch: this.epoch,
      history: this.history,
      complete: this.#tenure !== undefined || this.#follower.replica.complete,
      logIndex: this.logIndex,
      lease: gossip === undefined ? this.#leases.lease : gossip.announced,
      clientEndpoint,
      zoneEndpoint,
    };
    this.#options.send({ kind, number, status });
  }

  #setRole(role: ShardRole, reason: string): void {
    this.#role = role;
    this.#options.onRole({ role, epoch: this.epoch, reason });
  }
}
