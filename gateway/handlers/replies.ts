import { type ErrorFields, encodeErrorBody, encodeGoawayBody, encodePushHead } from '../protocol/codec.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';

/** Sends a message that carries no number: START and heartbeat responses, errors, GOAWAY. */
export function reply(context: HandlerContext, connection: ClientConnection, msgId: number, body: Uint8Array): void {
  context.client.send(connection.id, encodePushHead(msgId, 0), body);
  context.turn.ask();
}

/** Refuses one message; the session stays. */
export function refuse(context: HandlerContext, connection: ClientConnection, msgId: number, error: ErrorFields): void {
  context.meter.rejected(error.code);
  reply(context, connection, msgId, encodeErrorBody(error));
}

/** Closes a connection at once with an application code; what was queued for it still leaves. */
export function closeConnection(
  context: HandlerContext,
  connection: ClientConnection,
  code: number,
  reason: string,
): void {
  connection.phase = 'closing';
  connection.closeAtMs = Number.POSITIVE_INFINITY;
  context.client.close(connection.id, code, reason);
  context.turn.ask();
}

export interface GoawayFields {
  readonly code: number;
  readonly reason: string;
  readonly reconnect: boolean;
  readonly reconnectAfterMs: number;
  readonly endpoints: readonly string[];
  /** The connection is closed with `code` this long after. */
  readonly closeAfterMs: number;
  /** Whether it is still served until then. */
  readonly serve: boolean;
}

/** Tells a client to leave and closes the connection a little later. */
export function sendAway(context: HandlerContext, connection: ClientConnection, goaway: GoawayFields): void {
  if (connection.phase === 'closing' || connection.closeAtMs !== Number.POSITIVE_INFINITY) return;
  const body = encodeGoawayBody({
    reason: goaway.reason,
    reconnectAfterMs: goaway.reconnectAfterMs,
    endpoints: [...goaway.endpoints],
    reconnect: goaway.reconnect,
  });
  reply(context, connection, 0, body);
  if (!goaway.serve) connection.phase = 'closing';
  connection.closeAtMs = context.clock.nowMs() + goaway.closeAfterMs;
  connection.closeCode = goaway.code;
  connection.closeReason = goaway.reason;
}
