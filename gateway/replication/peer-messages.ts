import type { Lease } from './arbiter.ts';
import type { LogIndex, ShardRole } from './shard.ts';

/** First wish of a configured gateway; a peer that holds state wins over it. */
export type PairMode = 'primary' | 'backup';

/** What each heartbeat says of its sender. */
export interface PeerStatus {
  readonly serverId: string;
  readonly incarnation: string;
  readonly mode: PairMode;
  readonly role: ShardRole;
  readonly epoch: number;
  readonly history: string;
  /** Holds a whole state: nothing is missing from its copy. */
  readonly complete: boolean;
  readonly logIndex: LogIndex;
  /** What the sender knows of the Lease. */
  readonly lease: Lease | undefined;
  /** Where clients and zones find the sender. */
  readonly clientEndpoint: string;
  readonly zoneEndpoint: string;
}

/** A pong repeats the number of the ping it answers, so that it is known to be said after that. */
export interface HeartbeatMessage {
  readonly kind: 'ping' | 'pong';
  readonly number: number;
  readonly status: PeerStatus;
}

/** A follower asks for the log from `applied + 1`, or for everything. `stream` names this attempt. */
export interface JoinMessage {
  readonly kind: 'join';
  readonly stream: number;
  readonly incarnation: string;
  /** Of the state held; primary is who it came from. Empty state: '' and 0. */
  readonly history: string;
  readonly epoch: number;
  readonly primary: string;
  readonly applied: LogIndex;
  readonly hash: number;
  readonly formatMax: number;
}

/** What the follower has processed; `frame` counts batches and chunks of the stream. */
export interface AckMessage {
  readonly kind: 'ack';
  readonly stream: number;
  readonly incarnation: string;
  readonly history: string;
  readonly epoch: number;
  readonly frame: number;
  /** 0 while the copy is not complete. */
  readonly index: LogIndex;
  readonly hash: number;
}

export interface WelcomeMessage {
  readonly kind: 'welcome';
  readonly stream: number;
  readonly primary: string;
  readonly epoch: number;
  readonly history: string;
  /** The log goes on after this index; with `snapshot` the follower must begin empty. */
  readonly after: LogIndex;
  readonly snapshot: boolean;
}

export interface BatchMessage {
  readonly kind: 'batch';
  readonly stream: number;
  readonly frame: number;
  readonly epoch: number;
  readonly history: string;
  readonly first: LogIndex;
  readonly last: LogIndex;
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

/** A piece of a snapshot, true at its place in the stream: after the batches before it. */
export interface ChunkMessage {
  readonly kind: 'chunk';
  readonly stream: number;
  readonly frame: number;
  readonly epoch: number;
  readonly history: string;
  readonly last: boolean;
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

/** The follower must throw its state away (hash mismatch, snapshot no longer good) or look elsewhere. */
export interface DismissMessage {
  readonly kind: 'dismiss';
  readonly stream: number;
  readonly discard: boolean;
  readonly reason: string;
}

export type FollowerMessage = JoinMessage | AckMessage;
export type PrimaryMessage = WelcomeMessage | BatchMessage | ChunkMessage | DismissMessage;
export type PeerMessage = HeartbeatMessage | FollowerMessage | PrimaryMessage;
