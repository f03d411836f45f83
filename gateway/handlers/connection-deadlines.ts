import { ErrorCode } from '../protocol/error-codes.ts';
import type { HandlerContext } from './context.ts';
import { endSession } from './end-session.ts';
import { closeConnection } from './replies.ts';

/**
 * Closes connections whose time is over: no START, silent, told to go. Called a few times a second; one pass over the
 * table costs less than a timer for each connection.
 */
export function sweepConnections(context: HandlerContext): void {
  const nowMs = context.clock.nowMs();
  const { settings } = context;
  for (const connection of context.connections) {
    if (nowMs >= connection.closeAtMs) {
      closeConnection(context, connection, connection.closeCode, connection.closeReason);
    } else if (connection.phase === 'closing') {
      // The transport is closing it.
    } else if (connection.phase !== 'open') {
      if (nowMs - connection.openedMs < settings.startTimeoutMs) continue;
      closeConnection(context, connection, ErrorCode.ERROR_START_TIMEOUT, 'no START in time');
    } else if (nowMs - connection.lastFrameMs >= settings.sessionTimeoutMs) {
      endSession(context, connection, ErrorCode.ERROR_SESSION_TIMEOUT, 'session timeout');
    } else if (nowMs - connection.lastFrameMs >= settings.idleTimeoutMs) {
      closeConnection(context, connection, ErrorCode.ERROR_IDLE_TIMEOUT, 'no message in time');
    }
  }
}
