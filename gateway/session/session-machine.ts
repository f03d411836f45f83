import { ErrorCode } from '../protocol/error-codes.ts';
import type {
  AckCommand,
  CloseCommand,
  Command,
  ConfirmCommand,
  DetachCommand,
  LogIndex,
  PushIdentity,
} from './command.ts';
import type { Effect, Endpoint, Outcome } from './effect.ts';
import { joinGroup, leaveGroup } from './groups.ts';
import { broadcast, push, pushGroup } from './pushes.ts';
import { admit, answer, withdraw } from './requests.ts';
import type { Session } from './session.ts';
import { ShardState } from './shard-state.ts';
import { exportImages } from './snapshot-export.ts';
import type { SnapshotImage } from './snapshot-images.ts';
import { importImage } from './snapshot-import.ts';
import { start } from './start.ts';
import { promote, tick } from './time.ts';
import { registerZone, setZones, unregisterZone } from './zones.ts';

const done: Outcome = { kind: 'done' };

/** What handlers, servers and the delivery may see of a session; only commands change it. */
export type SessionView = Readonly<
  Pick<
    Session,
    | 'sessionId'
    | 'ordinal'
    | 'openid'
    | 'clientId'
    | 'userIp'
    | 'createTimeMs'
    | 'state'
    | 'zoneId'
    | 'binding'
    | 'heldBinding'
    | 'connection'
    | 'connected'
    | 'nextSeqId'
    | 'maxClientSeq'
    | 'ackUpTo'
    | 'queueBytes'
    | 'openCount'
    | 'heldCount'
    | 'places'
  >
> & { readonly queue: Pick<Session['queue'], 'ackUpTo' | 'nextSeqId' | 'length' | 'bytes' | 'entry'> };

export interface SessionCounts {
  readonly sessions: number;
  readonly connected: number;
  readonly inited: number;
  readonly normal: number;
  /** Messages and bytes in all queues, waiting pushes included. */
  readonly queueMessages: number;
  readonly queueBytes: number;
}

export interface SessionFilter {
  /** '' matches all. */
  readonly openid: string;
  readonly zoneId: string;
}

/**
 * The sessions of a shard as one deterministic state machine (design §5): the same commands in the same order give the
 * same state, outcomes and effects anywhere.
 */
export class SessionMachine {
  protected readonly state = new ShardState();

  /** Applies one command and appends what the primary must do about it to `effects`. */
  apply(index: LogIndex, command: Command, effects: Effect[]): Outcome {
    this.state.hash.mix(index);
    switch (command.kind) {
      case 'admit':
        return admit(this.state, command);
      case 'answer':
        answer(this.state, command, index, effects);
        return done;
      case 'ack':
        return this.#ack(command, effects);
      case 'push':
        return push(this.state, command, index, effects);
      case 'broadcast':
        return broadcast(this.state, command, index, effects);
      case 'push-group':
        return pushGroup(this.state, command, index, effects);
      case 'tick':
        tick(this.state, command, index, effects);
        return done;
      default:
        return this.#applyRare(command, effects);
    }
  }

  #applyRare(
    command: Exclude<Command, { kind: 'admit' | 'answer' | 'ack' | 'push' | 'broadcast' | 'push-group' | 'tick' }>,
    effects: Effect[],
  ): Outcome {
    switch (command.kind) {
      case 'start':
        return start(this.state, command, effects);
      case 'confirm':
        return this.#confirm(command);
      case 'detach':
        return this.#detach(command);
      case 'withdraw':
        withdraw(this.state, command);
        return done;
      case 'close':
        return this.#close(command, effects);
      case 'configure':
        this.state.limits = command.limits;
        return done;
      case 'promote':
        return promote(this.state, command, effects);
      case 'register-zone':
        return registerZone(this.state, command, effects);
      case 'unregister-zone':
        return unregisterZone(this.state, command, effects);
      case 'set-zones':
        return setZones(this.state, command, effects);
      case 'join-group':
        return joinGroup(this.state, command);
      case 'leave-group':
        return leaveGroup(this.state, command);
    }
  }

  #ack(command: AckCommand, effects: Effect[]): Outcome {
    const session = this.state.sessions.get(command.sessionId);
    if (session === undefined) return done;
    const end = session.queue.nextSeqId - 1;
    if (command.upTo > end) {
      const reason = `ack_up_to ${command.upTo} is past the end ${end}`;
      return { kind: 'refused', code: ErrorCode.ERROR_PROTOCOL, reason };
    }
    this.state.acknowledge(session, command.upTo, effects);
    return done;
  }

  #confirm(command: ConfirmCommand): Outcome {
    const session = this.state.sessions.get(command.sessionId);
    if (session !== undefined && session.binding === command.binding) session.heldBinding = command.binding;
    return done;
  }

  #detach(command: DetachCommand): Outcome {
    const session = this.state.sessions.get(command.sessionId);
    if (session !== undefined && session.binding === command.binding) this.state.detach(session);
    return done;
  }

  #close(command: CloseCommand, effects: Effect[]): Outcome {
    const session = this.state.sessions.get(command.sessionId);
    if (session !== undefined) this.state.endSession(session, command.code, command.reason, effects);
    return done;
  }

  // Reads. They show what is applied, which may be more than is committed.

  /** Shard time (rule 7): a new primary goes on from it. */
  get timeMs(): number {
    return this.state.timeMs;
  }

  get epoch(): number {
    return this.state.epoch;
  }

  get history(): string {
    return this.state.history;
  }

  get limits() {
    return this.state.limits;
  }

  /** All sessions, in no order that means anything. */
  all(): Iterable<SessionView> {
    return this.state.sessions.values();
  }

  session(sessionId: string): SessionView | undefined {
    return this.state.sessions.get(sessionId);
  }

  /** It was here, and why it ended is known. */
  hasEnded(sessionId: string): boolean {
    return this.state.ended.has(sessionId);
  }

  sessionOf(openid: string): SessionView | undefined {
    return this.state.byOpenid.get(openid);
  }

  /** Whether a repeat of this push would get its first answer. */
  remembers(identity: PushIdentity): boolean {
    return this.state.dedupe.find(identity) !== 'new';
  }

  counts(): SessionCounts {
    const { sessions, connectedCount, zoneSessions, queueMessages, queueBytes } = this.state;
    let normal = 0;
    for (const count of zoneSessions.values()) normal += count;
    return {
      sessions: sessions.size,
      connected: connectedCount,
      inited: sessions.size - normal,
      normal,
      queueMessages,
      queueBytes,
    };
  }

  /** Activated sessions by zone; zones without any are absent. */
  zoneSessions(): ReadonlyMap<string, number> {
    return this.state.zoneSessions;
  }

  /**
   * Sessions in the order they were made, at most `pageSize`, beginning after `pageToken` ('' for the first page).
   * @returns the token of the next page, '' when this was the last.
   * @throws RangeError when the token is not one of ours.
   */
  list(filter: SessionFilter, pageSize: number, pageToken: string): { sessions: SessionView[]; nextPageToken: string } {
    const after = pageToken === '' ? 0 : Number(pageToken);
    if (!Number.isSafeInteger(after) || after < 0) throw new RangeError(`page_token "${pageToken}" is not from a list`);
    const one = filter.openid === '' ? undefined : this.state.byOpenid.get(filter.openid);
    const candidates = filter.openid === '' ? this.state.sessions.values() : one === undefined ? [] : [one];
    const found: Session[] = [];
    for (const session of candidates) {
      if (session.ordinal > after && (filter.zoneId === '' || filter.zoneId === session.zoneId)) found.push(session);
    }
    found.sort((a, b) => a.ordinal - b.ordinal);
    const sessions = found.slice(0, pageSize);
    const last = found.length > pageSize ? sessions.at(-1) : undefined;
    return { sessions, nextPageToken: last === undefined ? '' : String(last.ordinal) };
  }

  /** All zones that are registered, with the endpoints that serve them now. */
  zones(): { zoneId: string; uid: string; generation: number; endpoints: Endpoint[] }[] {
    const { zones } = this.state;
    return [...zones.zones.values()].map(({ zoneId, uid, generation }) => {
      return { zoneId, uid, generation, endpoints: zones.endpoints(zoneId) };
    });
  }

  get zonesRevision(): number {
    return this.state.zones.revision;
  }

  /**
   * The state piece by piece, taken while commands go on; see `exportImages`. A copy gets the first image before any of
   * those commands.
   * @param startIndex The index of the next command that will be applied.
   */
  snapshot(startIndex: LogIndex): Generator<SnapshotImage, void, void> {
    return exportImages(this.state, startIndex);
  }

  /** Takes one image into a machine that began empty, at the place in the log where it was taken. */
  restore(image: SnapshotImage): void {
    importImage(this.state, image);
  }

  /** Not all images were restored yet: outcomes and effects mean nothing. */
  get restoring(): boolean {
    return this.state.importing !== undefined;
  }

  /**
   * Counts refusals because of the bytes of all queues together. A copy cannot see those while it lacks sessions: one
   * during whose snapshot this number rose must begin anew.
   */
  get totalLimitHits(): number {
    return this.state.totalLimitHits;
  }

  /** Equal for two members that applied the same commands (rule 9). */
  stateHash(): number {
    return this.state.hash.value;
  }
}
