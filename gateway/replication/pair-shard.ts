import type { ArbiterAnswer, Lease } from './arbiter.ts';
import type { LeasePurpose } from './lease-client.ts';
import type { SwitchoverResult } from './pair-options.ts';
import { PairParts } from './pair-parts.ts';
import type { PeerMessage } from './peer-messages.ts';
import {
  beginningOf,
  type Decision,
  decide,
  type Observation,
  type Phase,
  promotionOf,
  restorationOf,
} from './role.ts';
import type { ShardRole } from './shard.ts';
import { Tenure } from './tenure.ts';

/** A primary that has lost its peer writes its Lease this often while the other waits to begin anew. */
const touchesPerReset = 4;

/** Steps of the role in a row; there are never more than a few, and the next tick goes on. */
const stepsMax = 8;

/**
 * One shard on one gateway of a pair: standby, backup or primary of it. Pure: messages, time and the arbiter's answers
 * come in; messages, requests and committed effects go out through the options.
 */
export class PairShard<Command, Outcome, Effect, Image> extends PairParts<Command, Outcome, Effect, Image> {
  #nowMs = 0;
  #wallMs = 0;
  /** The history asked for, while this incarnation has not led. */
  #beginning = '';
  #stepping = false;
  #blocked = '';
  #complained = false;
  /** What was last told to those who watch. */
  #told = '';

  /** Orders a command; `dropped` is called instead of `committed` when its outcome will not be known here. */
  submit(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void {
    if (this.tenure === undefined) dropped?.();
    else this.tenure.submit(command, committed, dropped);
  }

  /** Time passes: heartbeats, stalls, the next step of the role. About every 50 ms. */
  tick(nowMs: number, wallMs: number): void {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    this.watch.tick(nowMs);
    this.leases.tick(nowMs, this.watch.monitor.lost);
    const isDead = (incarnation: string) => this.watch.monitor.isDead(incarnation, this.leases.seenMs);
    this.tenure?.tick(nowMs, { lost: this.watch.monitor.lost, isDead });
    if (this.tenure?.membership.mustRead === true) this.leases.read();
    this.#step();
    this.#report();
  }

  /** A message of the peer. */
  received(nowMs: number, message: PeerMessage): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    switch (message.kind) {
      case 'ping':
      case 'pong':
        this.watch.heard(this.#nowMs, message);
        return this.#step();
      case 'join':
        this.tenure?.join(message);
        return;
      case 'ack':
        this.tenure?.acknowledged(message);
        return;
      default: {
        if (this.tenure !== undefined) return;
        const reason = this.follower.received(this.#nowMs, message);
        if (reason !== undefined) this.#discard(reason);
        this.#step();
      }
    }
  }

  /** The heartbeat connection broke. */
  connectionReset(): void {
    this.watch.monitor.connectionReset();
  }

  /** Nobody listens at the peer's address: with a reset before it, its process is dead (rule 13). */
  connectionRefused(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.watch.monitor.connectionRefused();
    if (this.watch.monitor.refused) this.#step();
  }

  /** The stream to the primary broke; what is missing is asked for again. */
  primaryLinkBroken(): void {
    this.follower.detach();
  }

  /** The stream from a follower broke; it joins again. */
  followerLinkBroken(): void {
    this.tenure?.detached();
  }

  /** A watch or a hint (Promote) says that the Lease changed: it is read before anything rests on it. */
  lookAtLease(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.leases.read();
  }

  /** The peer should hear of news at once. */
  announce(): void {
    this.watch.announce(this.#nowMs);
  }

  /** Hands the shard over to `successor` within `withinMs` (rule 16); on any failure before that it goes on here. */
  switchover(nowMs: number, successor: string, withinMs: number, done: (result: SwitchoverResult) => void): void {
    if (this.tenure === undefined) return done({ ok: false, reason: 'not primary' });
    this.tenure.switchover(successor, nowMs + withinMs, done);
    this.#step();
  }

  /** Tells once of what changed, or cannot work. */
  #report(): void {
    const { blocked } = this;
    if ((blocked === '') !== (this.#blocked === '')) this.options.onBlocked?.(blocked !== '', blocked);
    this.#blocked = blocked;
    const { mode } = this.options.role;
    if (this.#complained || this.peer?.mode !== mode) return;
    this.#complained = true;
    this.options.onProblem?.(`backup.mode: both gateways are ${mode}: expected one primary and one backup`);
  }

  #step(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let steps = 0; steps < stepsMax; steps += 1) {
        if (!this.#carryOut(decide(this.#observe(), this.options.role))) break;
      }
      this.#writeMembership();
    } finally {
      this.#stepping = false;
    }
    this.#tell();
  }

  #tell(): void {
    const { held, epoch, incarnation, inSync, serving, peerHeartbeatLost } = this;
    const now = [held, epoch, incarnation, serving, peerHeartbeatLost, ...inSync].join(' ');
    if (now === this.#told) return;
    this.#told = now;
    this.options.onChange?.();
  }

  #observe(): Observation {
    const { status, confirmedAtMs, lost, lostForMs } = this.watch.monitor;
    const { replica } = this.follower;
    const { lease, known, seenMs, unchangedMs, beginsHistory, missing } = this.leases;
    const held: Phase = replica.complete ? 'holding' : replica.isEmpty ? 'empty' : 'copying';
    return {
      incarnation: replica.incarnation,
      phase: this.tenure === undefined ? held : 'primary',
      epoch: this.tenure?.epoch ?? replica.epoch,
      history: this.tenure?.history ?? replica.history,
      beginning: this.#beginning,
      leaseKnown: known,
      lease,
      leaseSeenMs: seenMs,
      leaseUnchangedMs: unchangedMs,
      leaseBeginsHistory: beginsHistory,
      missing,
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
      case 'renew':
        this.#renew(decision.lease);
        return false;
      case 'restore':
        if (!this.leases.free) return false;
        this.leases.swap('restore', restorationOf(this.#observe(), decision.missing, decision.lease, this.#wallMs));
        return this.leases.free;
      case 'promote':
        if (!this.leases.free) return false;
        this.leases.swap('promote', promotionOf(decision.lease, this.incarnation));
        return this.leases.free;
      case 'begin':
        if (!this.leases.free) return false;
        this.#beginning = this.options.newId();
        this.leases.swap('begin', beginningOf(this.#observe(), this.#beginning, this.#wallMs));
        return this.leases.free;
      case 'follow':
        if (this.follower.follow(this.#nowMs)) {
          if (this.held !== 'backup') this.#setRole('backup', `following ${decision.primary}`);
          return false;
        }
        this.#discard('the copy was interrupted');
        return true;
    }
  }

  /** All state is thrown away: a new incarnation, which follows whoever holds the Lease. */
  #discard(reason: string): void {
    const tenure = this.tenure;
    this.tenure = undefined;
    this.follower.discard();
    this.#beginning = '';
    tenure?.end(this.leases.lease);
    this.#setRole(tenure === undefined ? 'standby' : 'deposed', reason);
    this.announce();
  }

  /** The same state in another epoch: what was not committed is now, for this gateway is the whole set. */
  #renew(lease: Lease): void {
    const before = this.tenure;
    const applied = before?.log.last ?? this.follower.replica.applied;
    this.tenure = undefined;
    before?.end(lease);
    this.#setRole('standby', 'the Lease was lost and made again');
    this.#lead(lease, applied);
  }

  #lead(lease: Lease, applied = this.follower.replica.applied): void {
    const { machine } = this.follower.replica;
    this.#beginning = '';
    const tenure = new Tenure(this.options, lease, machine, applied);
    this.tenure = tenure;
    tenure.begin();
    this.#setRole('primary', `the Lease names this incarnation in epoch ${lease.epoch}`);
    this.announce();
  }

  #writeMembership(): void {
    const tenure = this.tenure;
    if (tenure === undefined || !this.leases.free) return;
    const { role } = this.options;
    const touch =
      role.arbiter === 'shared' &&
      this.watch.monitor.lost &&
      this.leases.unchangedMs >= role.resetAfterMs / touchesPerReset;
    const next = tenure.nextWrite(touch);
    if (next !== undefined) this.leases.swap('membership', { kind: 'swap', expected: tenure.membership.lease, next });
  }

  protected override answered(purpose: LeasePurpose, answer: ArbiterAnswer): void {
    if (purpose === 'membership') this.tenure?.writeAnswered(answer);
    else if (answer.kind === 'lease' && answer.lease !== undefined) this.tenure?.sawLease(answer.lease);
    this.#step();
  }

  #setRole(role: ShardRole, reason: string): void {
    this.held = role;
    this.options.onRole({ role, epoch: this.epoch, reason });
  }
}
