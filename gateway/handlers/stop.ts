import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { endSession } from './end-session.ts';

/** STOP: the session ends, the server closes with 0. */
export function handleStop(context: HandlerContext, connection: ClientConnection): void {
  context.meter.request('stop', 'ok', 0);
  endSession(context, connection, 0, 'stopped');
}
