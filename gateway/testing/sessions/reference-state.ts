import type { PushCommand, ShardLimits } from '../../session/command.ts';

export interface RefMessage {
  bytes: number;
  readonly clientSeq: number;
  expiresAtMs: number;
}

export interface RefHeld {
  readonly command: PushCommand;
  readonly index: number;
  dueAtMs: number;
  readonly expiresAtMs: number;
}

/** A session with its whole past: nothing is ever forgotten. */
export interface RefSession {
  readonly id: string;
  readonly openid: string;
  readonly bornInEpoch: number;
  binding: number;
  heldBinding: number;
  connected: boolean;
  expiresAtMs: number;
  zoneId: string;
  /** Message n is at n - 1. */
  messages: RefMessage[];
  acked: number;
  max: number;
  requests: Map<number, 'open' | 'answered' | 'returned'>;
  held: RefHeld[];
  groups: Set<string>;
  ends: { epoch: number; end: number }[];
}

/** The sessions of the reference, and what is said of them by counting. */
export class ReferenceState {
  limits: ShardLimits;
  timeMs = 0;
  epoch = 0;
  sessions: RefSession[] = [];
  protected ended = new Map<string, number>();

  constructor(limits: ShardLimits) {
    this.limits = limits;
  }

  bytesOf(session: RefSession): number {
    const queued = session.messages.slice(session.acked);
    const held = session.held.reduce((sum, { command }) => sum + command.body.length, 0);
    return queued.reduce((sum, { bytes }) => sum + bytes, held);
  }

  protected find(sessionId: string): RefSession | undefined {
    return this.sessions.find(({ id }) => id === sessionId);
  }

  protected end(session: RefSession, code: number): void {
    this.sessions = this.sessions.filter((other) => other !== session);
    this.ended.set(session.id, code);
  }

  protected detach(session: RefSession): void {
    session.connected = false;
    session.expiresAtMs = this.timeMs + this.limits.resumeWindowMs;
  }

  protected endedCode(sessionId: string): number {
    const code = this.ended.get(sessionId) ?? 0;
    return code >= 3000 ? code : 3001;
  }

  protected openCount(session: RefSession): number {
    return [...session.requests.values()].filter((state) => state === 'open').length;
  }

  protected placesLeft(session: RefSession): number {
    const taken = session.messages.length - session.acked + this.openCount(session) + session.held.length;
    return this.limits.queueMessagesMax - taken;
  }

  protected totalBytes(): number {
    return this.sessions.reduce((sum, session) => sum + this.bytesOf(session), 0);
  }
}
