import type { Connection, LogIndex } from './command.ts';

/** What the one who submitted a command learns; it leaves the gateway only once the command is committed (I3). */
export type Outcome =
  | { readonly kind: 'done' }
  | StartedOutcome
  | { readonly kind: 'refused'; readonly code: number; readonly reason: string }
  | AdmitOutcome
  | PushOutcome
  | BroadcastOutcome
  | { readonly kind: 'zones'; readonly revision: number }
  | { readonly kind: 'members'; readonly changed: number; readonly missing: readonly string[] };

export interface StartedOutcome {
  readonly kind: 'started';
  readonly sessionId: string;
  /** Names this binding; the resume token is a MAC over session and binding. */
  readonly binding: number;
  /** The session existed and nothing is missing. */
  readonly resumed: boolean;
  /** The first number that will be sent on this connection. */
  readonly nextSeqId: number;
  readonly maxClientSeq: number;
}

/** forward: to the zone. open: being answered. resend: answered as `seqId`, still queued. acked: nothing to say. refused: PUSH_ERROR. */
export type AdmitOutcome =
  | { readonly kind: 'admit'; readonly action: 'forward' | 'open' | 'acked' }
  | { readonly kind: 'admit'; readonly action: 'resend'; readonly seqId: number }
  | { readonly kind: 'admit'; readonly action: 'refused'; readonly code: number; readonly reason: string };

export type PushRefusal =
  | 'not-primary'
  | 'no-session'
  | 'queue-full'
  | 'too-large'
  | 'overloaded'
  | 'invalid'
  | 'expired'
  | 'unknown';

/** A bound push that still waits has seqId 0 and status ok. `repeated`: the first answer, given again. */
export interface PushOutcome {
  readonly kind: 'push';
  readonly status: 'ok' | PushRefusal;
  readonly sessionId: string;
  readonly seqId: number;
  readonly repeated: boolean;
  /** Set while the push waits for a response; the effect 'placed' names it when it gets its number. */
  readonly heldIndex?: LogIndex;
}

export interface BroadcastOutcome {
  readonly kind: 'broadcast';
  readonly status: 'ok' | PushRefusal;
  readonly matched: number;
  readonly accepted: number;
  readonly repeated: boolean;
}

export interface Endpoint {
  readonly address: string;
  readonly weight: number;
  readonly instanceId: string;
}

/** What the gateway that is primary does once the command is committed; a backup drops them. */
export type Effect =
  /** The session has entries that were never sent on its connection. */
  | { readonly kind: 'deliver'; readonly sessionId: string }
  /** Another binding took over, or the session ended: tell and close this connection. */
  | { readonly kind: 'replaced'; readonly connection: Connection; readonly code: number; readonly reason: string }
  | {
      readonly kind: 'closed';
      readonly sessionId: string;
      readonly connection: Connection | undefined;
      readonly code: number;
      readonly reason: string;
    }
  | { readonly kind: 'acked'; readonly sessionId: string; readonly upTo: number }
  /** A push that waited for a response got its number. */
  | { readonly kind: 'placed'; readonly sessionId: string; readonly seqId: number; readonly pushIndex: LogIndex }
  /** The entry became a skip before it was acknowledged. */
  | { readonly kind: 'expired'; readonly sessionId: string; readonly seqId: number }
  | { readonly kind: 'zone-endpoints'; readonly zoneId: string; readonly endpoints: readonly Endpoint[] };
