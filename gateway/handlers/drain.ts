import { ErrorCode } from '../protocol/error-codes.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { closeConnection, sendAway } from './replies.ts';

/** A client that was told to go has this long to go by itself. */
const leaveMs = 500;
/** Clients come back spread over this time. */
const reconnectSpreadMs = 1_000;

/** Sends clients away with GOAWAY, at a pace, so that they arrive elsewhere at a pace. */
export class Drain {
  #context: HandlerContext;
  #perSecond = 0;
  #credit = 0;
  #lastMs = 0;
  #deadlineMs = 0;
  #active = false;
  #told = 0;

  constructor(context: HandlerContext) {
    this.#context = context;
  }

  get active(): boolean {
    return this.#active;
  }

  /**
   * @param perSecond clients told a second; 0 tells all at once.
   * @param deadlineMs from now; by then a client is closed even with answers under way.
   */
  start(perSecond: number, deadlineMs: number): void {
    this.#active = true;
    this.#perSecond = perSecond;
    this.#lastMs = this.#context.clock.nowMs();
    this.#deadlineMs = this.#lastMs + deadlineMs;
    this.step();
  }

  /** Tells as many more clients as the pace allows and closes those that are done; called a few times a second. */
  step(): void {
    if (!this.#active) return;
    const nowMs = this.#context.clock.nowMs();
    // At most a second's worth at once, however long ago the last step was.
    this.#credit = Math.min(this.#credit + ((nowMs - this.#lastMs) * this.#perSecond) / 1_000, this.#perSecond);
    this.#lastMs = nowMs;
    for (const connection of this.#context.connections) {
      if (connection.phase !== 'open') continue;
      if (connection.toldMs === 0) this.#tell(connection, nowMs);
      else if (nowMs - connection.toldMs >= leaveMs && this.#isDone(connection)) {
        closeConnection(this.#context, connection, ErrorCode.ERROR_GOING_AWAY, 'the gateway is draining');
      }
    }
  }

  #tell(connection: ClientConnection, nowMs: number): void {
    if (this.#perSecond !== 0) {
      if (this.#credit < 1) return;
      this.#credit -= 1;
    }
    this.#told += 1;
    connection.toldMs = nowMs;
    sendAway(this.#context, connection, {
      code: ErrorCode.ERROR_GOING_AWAY,
      reason: 'the gateway is draining',
      reconnect: true,
      // Spread by position, not by chance: the core has no randomness.
      reconnectAfterMs: (this.#told * 37) % reconnectSpreadMs,
      endpoints: this.#context.settings.endpoints,
      closeAfterMs: Math.max(this.#deadlineMs - nowMs, 0),
      serve: true,
    });
  }

  /** Nothing is on its way to this client any more. */
  #isDone(connection: ClientConnection): boolean {
    const session = this.#context.sessions.session(connection.sessionId);
    return session === undefined || (session.openCount === 0 && session.queue.length === 0);
  }
}
