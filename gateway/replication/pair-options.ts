import type { Arbiter, Lease } from './arbiter.ts';
import type { PeerMessage } from './peer-messages.ts';
import type { RoleSettings } from './role.ts';
import type { ReplicatedMachine, ShardRole } from './shard.ts';

/** How commands and snapshot images travel. */
export interface LogCodec<Command, Image> {
  encode(commands: readonly Command[]): Uint8Array;
  /** @throws when the bytes are not a batch. */
  decode(bytes: Uint8Array): readonly Command[];
  /** The next slice of a snapshot, bounded in bytes and time (rule 10). */
  encodeSlice(images: Iterator<Image>): { readonly bytes: Uint8Array; readonly done: boolean };
  /** @throws when the bytes are not a slice. */
  decodeSlice(bytes: Uint8Array): readonly Image[];
  readonly format: number;
}

export interface PairTiming {
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  /** An uncommitted entry older than this makes the primary shrink its set (rule 15). */
  readonly stallTimeoutMs: number;
  /** A request to the arbiter without an answer for this long has an unknown outcome. */
  readonly arbiterTimeoutMs: number;
  /** How often the Lease is read without a reason. */
  readonly leaseReadIntervalMs: number;
  /** The same as long as the peer is lost, and after a read that failed. */
  readonly urgentReadIntervalMs: number;
  /** A follower that hears nothing for this long asks again. */
  readonly rejoinAfterMs: number;
}

export interface PairLimits {
  readonly batchEntriesMax: number;
  /** How long commands may wait for acknowledgements to make larger batches; on an idle link they never do. */
  readonly batchWaitMs: number;
  readonly bufferEntriesMax: number;
  readonly bufferBytesMax: number;
}

/** The Lease as the two processes of a standalone pair tell it each other. */
export interface LeaseGossip {
  readonly announced: Lease | undefined;
  /** @returns whether this process learned of a newer Lease. */
  heard(lease: Lease | undefined): boolean;
}

/** Why and into what a shard's role on this gateway changed. */
export interface RoleChange {
  readonly role: ShardRole;
  readonly epoch: number;
  readonly reason: string;
}

export interface PairOptions<Command, Outcome, Effect, Image> {
  readonly id: string;
  readonly role: RoleSettings;
  readonly timing: PairTiming;
  readonly limits: PairLimits;
  readonly clientEndpoint: string;
  readonly zoneEndpoint: string;
  readonly createMachine: () => ReplicatedMachine<Command, Outcome, Effect, Image>;
  readonly codec: LogCodec<Command, Image>;
  /** The command that begins an epoch (rule 7). */
  readonly promotion: (epoch: number, history: string) => Command;
  /**
   * Whether a command may be dropped when followers lag too far: what begins something may, what ends or answers it may
   * not. Without it nothing is.
   */
  readonly isRefusable?: (command: Command) => boolean;
  /** Carries out one committed effect. */
  readonly perform: (effect: Effect) => void;
  /** Random ids for incarnations and histories. */
  readonly newId: () => string;
  readonly arbiter: Arbiter;
  /** Where heartbeats carry the Lease (a standalone pair). */
  readonly gossip?: LeaseGossip;
  readonly send: (message: PeerMessage) => void;
  /** Runs `flush` once at the end of the present turn. */
  readonly defer: (flush: () => void) => void;
  readonly onRole: (change: RoleChange) => void;
  /** The primary stops answering, or answers again: it can neither commit nor shrink its set, or has lost everybody (rule 15). */
  readonly onBlocked?: (blocked: boolean, reason: string) => void;
  /** What others watch of this gateway changed: role, epoch, set, whether the peer is lost, whether it serves. */
  readonly onChange?: () => void;
  /** Something is configured that cannot work. */
  readonly onProblem?: (problem: string) => void;
}

/** How a switchover ended: the epoch of the successor, or why this gateway goes on. */
export type SwitchoverResult =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly reason: string };
