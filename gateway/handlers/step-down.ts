import { ErrorCode } from '../protocol/error-codes.ts';
import type { HandlerContext } from './context.ts';
import { sendAway } from './replies.ts';

/** Time for the GOAWAY to arrive before the close does. */
const closeAfterMs = 500;

/** This gateway decides nothing for the shard any more: its clients are sent to who does, its waiting senders are told. */
export function stepDown(context: HandlerContext, reason: string): void {
  const { redirect } = context.shard;
  for (const connection of context.connections) context.delivery.unbind(connection.id);
  sendAllAway(context, ErrorCode.ERROR_FENCED, reason, redirect === '' ? context.settings.endpoints : [redirect]);
  context.pushWaiters.endAll();
  for (const zoneId of context.router.status().keys()) context.router.setEndpoints(zoneId, []);
  context.turn.ask();
}

/**
 * A primary that can commit nothing keeps no client waiting for it (rule 15): they are sent to the peer, which may be promoted.
 * Its sessions stay here all the same, should they come back.
 * @param peer where clients find the peer; '' when that is not known
 */
export function leaveBlocked(context: HandlerContext, reason: string, peer: string): void {
  const { endpoints } = context.settings;
  const others = endpoints.filter((endpoint) => endpoint !== peer);
  sendAllAway(context, ErrorCode.ERROR_GOING_AWAY, reason, peer === '' ? endpoints : [peer, ...others]);
  context.turn.ask();
}

function sendAllAway(context: HandlerContext, code: number, reason: string, endpoints: readonly string[]): void {
  for (const connection of context.connections) {
    if (connection.phase !== 'open') continue;
    const goaway = { code, reason, reconnect: true, reconnectAfterMs: 0, endpoints, closeAfterMs, serve: false };
    sendAway(context, connection, goaway);
  }
}
