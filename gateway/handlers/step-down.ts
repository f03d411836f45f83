import { ErrorCode } from '../protocol/error-codes.ts';
import type { HandlerContext } from './context.ts';
import { sendAway } from './replies.ts';

/** Time for the GOAWAY to arrive before the close does. */
const closeAfterMs = 500;

/** This gateway decides nothing for the shard any more: its clients are sent to who does, its waiting senders are told. */
export function stepDown(context: HandlerContext, reason: string): void {
  const { redirect } = context.shard;
  const endpoints = redirect === '' ? context.settings.endpoints : [redirect];
  for (const connection of context.connections) {
    context.delivery.unbind(connection.id);
    if (connection.phase !== 'open') continue;
    sendAway(context, connection, {
      code: ErrorCode.ERROR_FENCED,
      reason,
      reconnect: true,
      reconnectAfterMs: 0,
      endpoints,
      closeAfterMs,
      serve: false,
    });
  }
  context.pushWaiters.endAll();
  for (const zoneId of context.router.status().keys()) context.router.setEndpoints(zoneId, []);
  context.turn.ask();
}
