import type { LogIndex, MessageBody, PushIdentity, ShardLimits } from './command.ts';
import type { Endpoint } from './effect.ts';
import type { AnsweredRequest } from './ordered-queue.ts';
import type { PushAnswer } from './push-dedupe.ts';
import type { RequestWindowState } from './request-window.ts';
import type { EpochEnd, SessionState } from './session.ts';

/** Plain data, one piece of a shard's state each; times are shard time, 0 means never. */
export type SnapshotImage =
  | BeginImage
  | PushIdImage
  | { readonly kind: 'push-ids-done' }
  | ProducerImage
  | { readonly kind: 'pushes-done' }
  | SessionImage
  | { readonly kind: 'sessions-done'; readonly ordinal: number }
  | EndImage;

export interface BeginImage {
  readonly kind: 'begin';
  readonly timeMs: number;
  readonly epoch: number;
  readonly history: string;
  readonly historyEpoch: number;
  readonly limits: ShardLimits;
  readonly keepPushIdsUntilMs: number;
  readonly zonesRevision: number;
  readonly zones: readonly ZoneImage[];
}

export interface ZoneImage {
  readonly zoneId: string;
  readonly uid: string;
  readonly generation: number;
  readonly fixed: readonly Endpoint[];
  readonly leased: readonly (Endpoint & { readonly leaseMs: number; readonly endsAtMs: number })[];
}

export interface PushIdImage {
  readonly kind: 'push-id';
  readonly pushId: string;
  readonly answer: PushAnswer;
  readonly expiresAtMs: number;
  readonly index: LogIndex;
}

export interface ProducerImage {
  readonly kind: 'producer';
  readonly producerId: string;
  readonly highest: number;
  readonly lastUsedMs: number;
  readonly lastIndex: LogIndex;
  readonly endsAtMs: number;
  readonly answers: readonly { readonly number: number; readonly answer: PushAnswer }[];
}

export interface SessionImage {
  readonly kind: 'session';
  readonly sessionId: string;
  readonly ordinal: number;
  readonly openid: string;
  readonly clientId: string;
  readonly userIp: string;
  readonly createTimeMs: number;
  readonly state: SessionState;
  readonly zoneId: string;
  readonly binding: number;
  readonly heldBinding: number;
  /** Of the gateway that is primary; 0 and `connected` false when detached. */
  readonly connection: number;
  readonly connected: boolean;
  readonly resumeEndsAtMs: number;
  readonly ackUpTo: number;
  readonly requests: RequestWindowState;
  readonly open: readonly AnsweredRequest[];
  readonly returned: readonly number[];
  readonly endsKnownFrom: number;
  readonly epochEnds: readonly EpochEnd[];
  /** In order, without holes, from `ackUpTo + 1`. */
  readonly entries: readonly EntryImage[];
  readonly held: readonly HeldImage[];
  readonly groups: readonly string[];
}

export interface EntryImage extends AnsweredRequest {
  readonly logIndex: LogIndex;
  readonly expiresAtMs: number;
  readonly skip: boolean;
  /** Empty for a skip. */
  readonly body: MessageBody;
}

export interface HeldImage {
  readonly index: LogIndex;
  readonly clientSeq: number;
  readonly order: 'before' | 'after';
  readonly body: MessageBody;
  readonly identity: PushIdentity;
  readonly expiresAtMs: number;
  readonly dueAtMs: number;
}

export interface EndImage {
  readonly kind: 'end';
  readonly hash: number;
  readonly ended: readonly { readonly sessionId: string; readonly code: number }[];
}
