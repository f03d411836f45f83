import type { GatesvrError } from './client-errors.ts';

export type ClientState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

/** What came with a change of state; what does not apply is absent. */
export interface StateDetail {
  readonly endpoint?: string;
  /** connected: the session is the one from before, with nothing missing. */
  readonly resumed?: boolean;
  /** reconnecting: until the next try. */
  readonly delayMs?: number;
  /** Why: the gateway's code, 0 when there was none. */
  readonly code?: number;
  readonly reason?: string;
  /** closed: what ended it; absent after `close()`. */
  readonly error?: GatesvrError;
}

export interface SessionReset {
  readonly code: number;
  readonly codeName: string;
  readonly reason: string;
  /** Requests that were rejected with SessionLostError. */
  readonly lostRequests: number;
}

/** What the pure session asks of its edge, to be carried out in order. */
export type ClientEffect =
  /** Ask the application for a proof of the openid, answer with `tokenReady` or `attemptFailed`. */
  | { readonly kind: 'token'; readonly attempt: number }
  /** Answer with `connectionOpened` or `attemptFailed`. */
  | { readonly kind: 'dial'; readonly attempt: number; readonly endpoint: string }
  | { readonly kind: 'send'; readonly frame: Uint8Array }
  /** Drop the dial or connection under way; nothing more is heard of it. */
  | { readonly kind: 'disconnect'; readonly code: number; readonly reason: string }
  | {
      readonly kind: 'push';
      readonly seqId: number;
      readonly data: Uint8Array;
      readonly headers: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'answer';
      readonly id: number;
      readonly seqId: number;
      readonly data: Uint8Array;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'fail'; readonly id: number; readonly error: Error }
  | { readonly kind: 'state'; readonly state: ClientState; readonly detail: StateDetail }
  | { readonly kind: 'reset'; readonly reset: SessionReset }
  /** Something that the client gets over, but somebody should know. */
  | { readonly kind: 'warning'; readonly error: GatesvrError };
