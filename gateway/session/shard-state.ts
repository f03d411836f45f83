import type { LogIndex, MessageBody, ShardLimits } from './command.ts';
import { type Deadline, Deadlines } from './deadlines.ts';
import type { Effect } from './effect.ts';
import { EndedSessions } from './ended-sessions.ts';
import { Groups } from './groups.ts';
import { defaultShardLimits } from './limits.ts';
import type { AnsweredRequest, QueueEntry } from './ordered-queue.ts';
import { PushDedupe } from './push-dedupe.ts';
import type { Session } from './session.ts';
import { StateHash } from './state-hash.ts';
import { ZoneRegistrations } from './zone-registrations.ts';

/** What a deadline is about; the value breaks ties, so it is part of the protocol between members. */
export const deadlineKind = { resumeWindow: 0, entryExpiry: 1, heldPush: 2, producer: 3, zoneLease: 4 } as const;

/** All state of one shard, and the steps that keep its tables, counts and deadlines true to each other. */
export class ShardState {
  timeMs = 0;
  epoch = 0;
  history = '';
  /** The epoch this history began with. */
  historyEpoch = 0;
  limits: ShardLimits = defaultShardLimits;
  readonly sessions = new Map<string, Session>();
  readonly byOpenid = new Map<string, Session>();
  /** Activated sessions by zone; a zone without any is absent. */
  readonly zoneSessions = new Map<string, number>();
  connectedCount = 0;
  /** Sessions ever made. */
  ordinal = 0;
  queueMessages = 0;
  queueBytes = 0;
  readonly deadlines = new Deadlines();
  readonly dedupe = new PushDedupe();
  readonly ended = new EndedSessions();
  readonly zones = new ZoneRegistrations();
  readonly groups = new Groups();
  readonly hash = new StateHash();
  /** What a copy under way still lacks: it follows commands for the sessions it has, and makes none (rule 10). */
  importing: 'push-ids' | 'producers' | 'sessions' | 'rest' | undefined;
  /** How often the bytes of all queues together were the reason to refuse; a copy under way cannot see that (rule 10). */
  totalLimitHits = 0;

  addSession(session: Session): void {
    this.sessions.set(session.sessionId, session);
    this.byOpenid.set(session.openid, session);
    if (session.zoneId !== '') this.#countZone(session.zoneId, 1);
    if (session.connected) this.connectedCount += 1;
    this.queueMessages += session.queue.length + session.heldCount;
    this.queueBytes += session.queueBytes;
  }

  /** Ends a session for good and says so. */
  endSession(session: Session, code: number, reason: string, effects: Effect[]): void {
    const connection = session.connection;
    this.sessions.delete(session.sessionId);
    if (this.byOpenid.get(session.openid) === session) this.byOpenid.delete(session.openid);
    if (session.zoneId !== '') this.#countZone(session.zoneId, -1);
    if (session.connected) this.connectedCount -= 1;
    this.queueMessages -= session.queue.length + session.heldCount;
    this.queueBytes -= session.queueBytes;
    this.#cancelAll(session);
    this.groups.removeAll(session);
    session.state = 'closed';
    session.connection = undefined;
    this.ended.add(session.sessionId, code);
    this.hash.mix(session.ordinal);
    this.hash.mix(code);
    effects.push({ kind: 'closed', sessionId: session.sessionId, connection, code, reason });
  }

  activate(session: Session, zoneId: string): void {
    session.state = 'normal';
    session.zoneId = zoneId;
    this.#countZone(zoneId, 1);
  }

  /** Gives the session's next number to a message; the caller has made sure that it has a place. */
  append(session: Session, request: AnsweredRequest, body: MessageBody, index: LogIndex): QueueEntry {
    const entry = session.queue.append(request, body, index);
    this.queueMessages += 1;
    this.queueBytes += body.length;
    this.hash.mix(session.ordinal);
    this.hash.mix(entry.seqId);
    this.hash.mix(body.length);
    return entry;
  }

  /** Removes what is acknowledged. `upTo` is not past the end. */
  acknowledge(session: Session, upTo: number, effects: Effect[]): void {
    const queue = session.queue;
    if (upTo <= queue.ackUpTo) return;
    const bytesBefore = queue.bytes;
    const lengthBefore = queue.length;
    while (queue.ackUpTo < upTo) {
      const entry = queue.shift();
      if (entry === undefined) break;
      if (entry.expiry !== undefined) this.deadlines.cancel(entry.expiry);
    }
    this.queueMessages -= lengthBefore - queue.length;
    this.queueBytes -= bytesBefore - queue.bytes;
    this.hash.mix(session.ordinal);
    this.hash.mix(upTo);
    effects.push({ kind: 'acked', sessionId: session.sessionId, upTo });
  }

  /** The session's connection is gone: its resume window starts. */
  detach(session: Session): void {
    if (session.connected) this.connectedCount -= 1;
    session.connection = undefined;
    this.deadlines.cancel(session.resumeDeadline);
    session.resumeDeadline = this.resumeDeadline(session, this.timeMs + this.limits.resumeWindowMs);
  }

  resumeDeadline(session: Session, atMs: number): Deadline {
    return this.deadlines.add(atMs, deadlineKind.resumeWindow, session.sessionId, 0);
  }

  #countZone(zoneId: string, by: number): void {
    const count = (this.zoneSessions.get(zoneId) ?? 0) + by;
    if (count > 0) this.zoneSessions.set(zoneId, count);
    else this.zoneSessions.delete(zoneId);
  }

  #cancelAll(session: Session): void {
    this.deadlines.cancel(session.resumeDeadline);
    for (let seqId = session.ackUpTo + 1; seqId < session.nextSeqId; seqId += 1) {
      this.deadlines.cancel(session.queue.entry(seqId)?.expiry);
    }
    for (const push of session.held ?? []) this.deadlines.cancel(push.deadline);
  }
}
