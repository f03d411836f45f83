import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { closeConnection } from './replies.ts';

/** Ends the session for good and closes its connection with the code, once the end is committed. */
export function endSession(context: HandlerContext, connection: ClientConnection, code: number, reason: string): void {
  const { sessionId } = connection;
  connection.phase = 'closing';
  connection.closeAtMs = Number.POSITIVE_INFINITY;
  const close = () => closeConnection(context, connection, code, reason);
  context.shard.submit({ kind: 'close', sessionId, code, reason }, close, close);
}
