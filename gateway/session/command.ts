/**
 * The commands of a shard: the only way its state changes. A command carries every decision that is not the state's own:
 * times, ids, limits (design §5, rules 5–8, 11, 12). Applying the same commands in the same order gives the same state anywhere.
 */

/** Position in a shard's log, from 1. */
export type LogIndex = number;
/** Local name of a client connection; means something only on the gateway that holds it. */
export type Connection = number;

/** Encoded `ServerPush` fields type, payload and headers: everything but msg_id and seq_id. Encoded once, shared, never changed. */
export type MessageBody = Uint8Array;

export type SecondLogin = 'resume' | 'replace' | 'refuse';
export type PushOrderKind = 'immediate' | 'before' | 'after';

/** Limits the state machine obeys; they change only by a command, so that every member obeys the same ones. */
export interface ShardLimits {
  readonly sessionsMax: number;
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  /** Bytes in all queues of the shard together. */
  readonly totalQueueBytesMax: number;
  readonly openRequestsMax: number;
  readonly resumeWindowMs: number;
  /** How long a bound push waits for the response it is bound to before it goes out on its own. */
  readonly bindWaitMs: number;
  /** How long the first answer to a unary push_id is kept. */
  readonly pushDedupeHorizonMs: number;
  readonly pushDedupeEntriesMax: number;
  readonly producersMax: number;
}

/** Shard time rises only by this (rule 7). Runs everything that is due: expiries, resume windows, bind waits, horizons. */
export interface TickCommand {
  readonly kind: 'tick';
  readonly timeMs: number;
}

export interface ConfigureCommand {
  readonly kind: 'configure';
  readonly limits: ShardLimits;
}

/** A START that was admitted and whose token's MAC or proof of the openid was checked. */
export interface StartCommand {
  readonly kind: 'start';
  readonly openid: string;
  readonly clientId: string;
  readonly userIp: string;
  readonly connection: Connection;
  readonly wallMs: number;
  /** What a valid resume token says; absent when the openid was proved anew. */
  readonly token?: { readonly sessionId: string; readonly binding: number };
  /** Where the client stands (rule 5); absent counts as received 0. */
  readonly place?: { readonly sessionId: string; readonly epoch: number; readonly receivedSeqId: number };
  readonly secondLogin: SecondLogin;
  /** Id of the session if one is made. */
  readonly newSessionId: string;
}

/** The first message after START arrived on this binding's connection: the token before it is void (rule 12). */
export interface ConfirmCommand {
  readonly kind: 'confirm';
  readonly sessionId: string;
  readonly binding: number;
}

/**
 * The binding's connection is gone; the resume window starts, or starts anew when the client asks to resume and is told to come
 * back later. Ignored when a newer binding holds the session.
 */
export interface DetachCommand {
  readonly kind: 'detach';
  readonly sessionId: string;
  readonly binding: number;
}

/** A BUSINESS request wants to go to its zone. */
export interface AdmitCommand {
  readonly kind: 'admit';
  readonly sessionId: string;
  readonly binding: number;
  readonly clientSeq: number;
  readonly msgId: number;
}

/** The request never reached a zone: its number may be sent again. */
export interface WithdrawCommand {
  readonly kind: 'withdraw';
  readonly sessionId: string;
  readonly clientSeq: number;
}

/** The response to an open request takes the session's next number. */
export interface AnswerCommand {
  readonly kind: 'answer';
  readonly sessionId: string;
  readonly clientSeq: number;
  readonly body: MessageBody;
  /** Used instead of `body` when the queue has no room for it in bytes. */
  readonly overflowBody: MessageBody;
  /** Set when a zone answered with success: activates an Inited session with this zone. */
  readonly zoneId?: string;
}

/** Push dedupe: a unary push has its push_id, a streamed one its producer's number (rule 11). */
export type PushIdentity =
  | { readonly kind: 'none' }
  | { readonly kind: 'id'; readonly pushId: string }
  | { readonly kind: 'producer'; readonly producerId: string; readonly number: number };

export interface PushCommand {
  readonly kind: 'push';
  readonly identity: PushIdentity;
  /** Either may be empty, not both; given both, they must belong together. */
  readonly openid: string;
  readonly sessionId: string;
  readonly body: MessageBody;
  /** 0: not bound. */
  readonly bindClientSeq: number;
  readonly order: PushOrderKind;
  /** 0: never expires in the queue. */
  readonly ttlMs: number;
}

/** One command for all sessions it matches (rule 8). */
export interface BroadcastCommand {
  readonly kind: 'broadcast';
  readonly identity: PushIdentity;
  readonly body: MessageBody;
  readonly ttlMs: number;
  /** Empty lists match all; both given: a session must match both. */
  readonly zoneIds: readonly string[];
  readonly openids: readonly string[];
}

/** Puts sessions into a group or takes them out; those that are not here are named in the outcome. */
export interface ChangeGroupCommand {
  readonly kind: 'join-group' | 'leave-group';
  readonly group: string;
  readonly openids: readonly string[];
  readonly sessionIds: readonly string[];
}

/** A broadcast to the sessions of one group. */
export interface PushGroupCommand {
  readonly kind: 'push-group';
  readonly identity: PushIdentity;
  readonly body: MessageBody;
  readonly ttlMs: number;
  readonly group: string;
}

export interface AckCommand {
  readonly kind: 'ack';
  readonly sessionId: string;
  readonly upTo: number;
}

/** Ends a session for good: STOP (code 0), kick, session timeout, protocol error. */
export interface CloseCommand {
  readonly kind: 'close';
  readonly sessionId: string;
  readonly code: number;
  readonly reason: string;
}

/** A new primary begins: all bindings are detached, deadlines but ttl start anew, every session's end is kept (rules 5, 7). */
export interface PromoteCommand {
  readonly kind: 'promote';
  readonly epoch: number;
  readonly history: string;
}

export interface RegisterZoneCommand {
  readonly kind: 'register-zone';
  readonly zoneId: string;
  readonly address: string;
  readonly instanceId: string;
  readonly weight: number;
  /** Without another register within this time (shard time) the endpoint is removed. */
  readonly leaseMs: number;
}

export interface UnregisterZoneCommand {
  readonly kind: 'unregister-zone';
  readonly zoneId: string;
  readonly address: string;
  readonly instanceId: string;
}

/** The operator's whole set; a lower revision than the last is ignored. Endpoints from it have no lease. */
export interface SetZonesCommand {
  readonly kind: 'set-zones';
  readonly revision: number;
  readonly zones: readonly {
    readonly zoneId: string;
    readonly uid: string;
    readonly generation: number;
    readonly endpoints: readonly { readonly address: string; readonly weight: number }[];
  }[];
}

export type Command =
  | TickCommand
  | ConfigureCommand
  | StartCommand
  | ConfirmCommand
  | DetachCommand
  | AdmitCommand
  | WithdrawCommand
  | AnswerCommand
  | PushCommand
  | BroadcastCommand
  | AckCommand
  | CloseCommand
  | PromoteCommand
  | RegisterZoneCommand
  | UnregisterZoneCommand
  | SetZonesCommand
  | ChangeGroupCommand
  | PushGroupCommand;
