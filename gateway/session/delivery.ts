import { ErrorCode } from '../protocol/error-codes.ts';
import type { Connection, LogIndex, MessageBody } from './command.ts';
import { Deadlines } from './deadlines.ts';
import type { SessionView } from './session-machine.ts';
import { Wire } from './wire.ts';

export interface DeliveryLimits {
  /** Messages sent on a connection and not acknowledged. */
  readonly windowMessages: number;
  readonly ackTimeoutMs: number;
  /** How often a message is sent again on one connection before that is closed. */
  readonly maxRetries: number;
  /** How long a connection may stay blocked before it is closed. */
  readonly slowConsumerMs: number;
}

export const defaultDeliveryLimits: DeliveryLimits = {
  windowMessages: 256,
  ackTimeoutMs: 30_000,
  maxRetries: 3,
  slowConsumerMs: 10_000,
};

/** Where messages go; the gateway puts msg_id and seq_id before the body. */
export interface DeliveryPort {
  /** @returns false when the connection takes no more until it is writable again; this message was taken. */
  send(connection: Connection, seqId: number, msgId: number, body: MessageBody): boolean;
  close(connection: Connection, code: number, reason: string): void;
}

export interface DeliveryOptions {
  readonly sessions: { session(sessionId: string): SessionView | undefined };
  readonly port: DeliveryPort;
  /** Nothing made by a later command is sent (I3). */
  readonly commitIndex: () => LogIndex;
  readonly limits: DeliveryLimits;
}

/** Sent runs are told apart at this share of the ack timeout: a bound on their number and on how late a repeat is. */
const runsPerTimeout = 64;

/**
 * Which connection serves which session on this gateway, and what was sent on it: in order, within the window, again only
 * after the ack timeout. Local and pure: `nowMs` of a monotonic clock comes in, messages leave through the port.
 */
export class Delivery {
  #options: DeliveryOptions;
  #bySession = new Map<string, Wire>();
  #byConnection = new Map<Connection, Wire>();
  #deadlines = new Deadlines();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** A START was committed: the session is served here from `nextSeqId`, at once, and no other connection any more. */
  bind(sessionId: string, connection: Connection, nextSeqId: number, nowMs: number): void {
    this.unbindSession(sessionId);
    const session = this.#options.sessions.session(sessionId);
    if (session === undefined) return;
    const wire = new Wire(session, connection, nextSeqId);
    this.#bySession.set(sessionId, wire);
    this.#byConnection.set(connection, wire);
    this.#pump(wire, nowMs);
  }

  /** The connection is gone, or told to go. @returns the session it served. */
  unbind(connection: Connection): string | undefined {
    const wire = this.#byConnection.get(connection);
    if (wire === undefined) return undefined;
    this.#remove(wire);
    return wire.session.sessionId;
  }

  /** The session ended or moved. */
  unbindSession(sessionId: string): void {
    const wire = this.#bySession.get(sessionId);
    if (wire !== undefined) this.#remove(wire);
  }

  /** Whether frames of this connection still speak for a session. */
  sessionOf(connection: Connection): string | undefined {
    return this.#byConnection.get(connection)?.session.sessionId;
  }

  connectionOf(sessionId: string): Connection | undefined {
    return this.#bySession.get(sessionId)?.connection;
  }

  /** Sends what may be sent now: after the effects 'deliver', 'acked' and 'expired' of the session. */
  deliver(sessionId: string, nowMs: number): void {
    const wire = this.#bySession.get(sessionId);
    if (wire !== undefined) this.#pump(wire, nowMs);
  }

  /** The transport took what was buffered. */
  writable(connection: Connection, nowMs: number): void {
    const wire = this.#byConnection.get(connection);
    if (wire === undefined || wire.blockedSinceMs === undefined) return;
    wire.blockedSinceMs = undefined;
    this.#pump(wire, nowMs);
  }

  /**
   * Judges an ack before it becomes a command: 'past' is more than was sent on this connection (a protocol error),
   * 'old' acknowledges nothing new, 'unbound' comes from a connection that no longer serves a session.
   */
  ackVerdict(connection: Connection, upTo: number): 'ok' | 'old' | 'past' | 'unbound' {
    const wire = this.#byConnection.get(connection);
    if (wire === undefined || !isNewest(wire)) return 'unbound';
    const { ackUpTo } = wire.session.queue;
    if (upTo <= ackUpTo) return 'old';
    return upTo < wire.next ? 'ok' : 'past';
  }

  /**
   * The client repeated a request that is answered and not acknowledged (the outcome 'resend'). A request first made on an
   * earlier connection needs nothing: its answer is sent here anyway, once. One made on this connection is asked for again.
   */
  resend(connection: Connection, seqId: number, nowMs: number): void {
    const wire = this.#byConnection.get(connection);
    if (wire === undefined || !isNewest(wire) || wire.blockedSinceMs !== undefined || seqId >= wire.next) return;
    const entry = wire.session.queue.entry(seqId);
    if (entry === undefined || entry.binding !== wire.session.binding) return;
    if (entry.logIndex > this.#options.commitIndex()) return;
    if (this.#options.port.send(connection, seqId, entry.msgId, entry.body)) return;
    wire.blockedSinceMs = nowMs;
    this.#arm(wire, nowMs + this.#options.limits.slowConsumerMs);
  }

  /** Messages sent on this connection that are not acknowledged. */
  inFlight(connection: Connection): number {
    const wire = this.#byConnection.get(connection);
    return wire === undefined ? 0 : Math.max(0, wire.next - 1 - wire.session.queue.ackUpTo);
  }

  /** When `runDeadlines` wants to be called; it may find nothing to do. Undefined: not needed. */
  get nextDeadlineMs(): number | undefined {
    return this.#deadlines.nextMs;
  }

  /** Sends again what was not acknowledged in time, and closes connections that do not answer or do not drain. */
  runDeadlines(nowMs: number): void {
    for (;;) {
      const due = this.#deadlines.takeDue(nowMs);
      if (due === undefined) return;
      const wire = this.#byConnection.get(due.n);
      if (wire === undefined) continue;
      wire.deadline = undefined;
      this.#check(wire, nowMs);
    }
  }

  #pump(wire: Wire, nowMs: number): void {
    const { queue } = wire.session;
    if (!isNewest(wire)) return;
    wire.forgetAcked();
    if (wire.next <= queue.ackUpTo) wire.next = queue.ackUpTo + 1;
    const { limits, port } = this.#options;
    const commitIndex = this.#options.commitIndex();
    const from = wire.next;
    const end = Math.min(queue.nextSeqId, queue.ackUpTo + 1 + limits.windowMessages);
    while (wire.next < end && wire.blockedSinceMs === undefined) {
      const entry = queue.entry(wire.next);
      if (entry === undefined || entry.logIndex > commitIndex) break;
      wire.next += 1;
      if (!port.send(wire.connection, entry.seqId, entry.msgId, entry.body)) wire.blockedSinceMs = nowMs;
    }
    if (wire.next > from) {
      wire.noteSent(from, nowMs, limits.ackTimeoutMs / runsPerTimeout);
      this.#arm(wire, nowMs + limits.ackTimeoutMs);
    }
    if (wire.blockedSinceMs !== undefined) this.#arm(wire, wire.blockedSinceMs + limits.slowConsumerMs);
  }

  #check(wire: Wire, nowMs: number): void {
    const { ackTimeoutMs, maxRetries, slowConsumerMs } = this.#options.limits;
    while (wire.blockedSinceMs === undefined && isNewest(wire)) {
      const run = wire.runSentBy(nowMs - ackTimeoutMs);
      if (run === undefined) break;
      if (run.attempts > maxRetries) {
        return this.#close(wire, ErrorCode.ERROR_ACK_TIMEOUT, `message ${run.from} was not acknowledged`);
      }
      wire.noteRepeated(run, this.#repeat(wire, run.from, run.upTo, nowMs), nowMs);
    }
    const { blockedSinceMs } = wire;
    if (blockedSinceMs !== undefined) {
      if (nowMs - blockedSinceMs >= slowConsumerMs) {
        return this.#close(wire, ErrorCode.ERROR_SLOW_CONSUMER, 'the connection did not drain');
      }
      this.#arm(wire, blockedSinceMs + slowConsumerMs);
    }
    const { oldestSentMs } = wire;
    // While it is blocked nothing is sent again, so the ack timeout has nothing to do before the slow consumer's.
    if (oldestSentMs !== undefined && wire.blockedSinceMs === undefined && isNewest(wire))
      this.#arm(wire, oldestSentMs + ackTimeoutMs);
  }

  /** @returns the last number that was sent again. */
  #repeat(wire: Wire, from: number, upTo: number, nowMs: number): number {
    const commitIndex = this.#options.commitIndex();
    for (let seqId = from; seqId <= upTo; seqId += 1) {
      const entry = wire.session.queue.entry(seqId);
      // A skip that is not committed yet goes out at the next timeout; the client has what it stands for, or has lost this connection.
      if (entry === undefined || entry.logIndex > commitIndex) continue;
      if (!this.#options.port.send(wire.connection, seqId, entry.msgId, entry.body)) {
        wire.blockedSinceMs = nowMs;
        return seqId;
      }
    }
    return upTo;
  }

  #arm(wire: Wire, atMs: number): void {
    if (wire.deadline !== undefined) {
      if (wire.deadline.atMs <= atMs) return;
      this.#deadlines.cancel(wire.deadline);
    }
    wire.deadline = this.#deadlines.add(atMs, 0, '', wire.connection);
  }

  #close(wire: Wire, code: number, reason: string): void {
    this.#remove(wire);
    this.#options.port.close(wire.connection, code, reason);
  }

  #remove(wire: Wire): void {
    this.#deadlines.cancel(wire.deadline);
    wire.deadline = undefined;
    this.#bySession.delete(wire.session.sessionId);
    this.#byConnection.delete(wire.connection);
  }
}

/**
 * Whether no newer START was applied, committed or not. One that was has been told where its stream begins, and may have
 * acknowledged what this connection was to get: from then on nothing is sent here, and no ack from here counts.
 */
function isNewest(wire: Wire): boolean {
  return wire.session.connection === wire.connection;
}
