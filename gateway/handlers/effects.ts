import { errorCodeName } from '../protocol/error-codes.ts';
import type { Effect } from '../session/effect.ts';
import type { HandlerContext } from './context.ts';
import { closeConnection, sendAway } from './replies.ts';

/** Carries out one committed effect of the state machine on the gateway that is primary. */
export function performEffect(context: HandlerContext, effect: Effect): void {
  switch (effect.kind) {
    case 'deliver':
      return deliver(context, effect.sessionId);
    case 'replaced':
      return replaced(context, effect);
    case 'closed':
      return sessionClosed(context, effect);
    case 'acked':
      context.pushWaiters.acked(effect.sessionId, effect.upTo);
      return deliver(context, effect.sessionId);
    case 'expired':
      context.pushWaiters.expired(effect.sessionId, effect.seqId);
      return deliver(context, effect.sessionId);
    case 'placed':
      return context.pushWaiters.placed(effect.sessionId, effect.pushIndex, effect.seqId);
    case 'zone-endpoints':
      return context.router.setEndpoints(effect.zoneId, effect.endpoints);
  }
}

function deliver(context: HandlerContext, sessionId: string): void {
  context.delivery.deliver(sessionId, context.clock.nowMs());
  context.turn.ask();
}

/** A newer binding holds the session: the old client is told not to come back, or the two would evict each other for ever. */
function replaced(context: HandlerContext, effect: Extract<Effect, { kind: 'replaced' }>): void {
  const connection = context.connections.get(effect.connection);
  context.delivery.unbind(effect.connection);
  if (connection === undefined) return;
  sendAway(context, connection, {
    code: effect.code,
    reason: effect.reason,
    reconnect: false,
    reconnectAfterMs: 0,
    endpoints: [],
    closeAfterMs: context.settings.replacedGraceMs,
    serve: false,
  });
}

function sessionClosed(context: HandlerContext, effect: Extract<Effect, { kind: 'closed' }>): void {
  context.pushWaiters.closed(effect.sessionId);
  context.fleet?.sessionEnded(effect.sessionId);
  context.log.debug(
    { session: effect.sessionId, code: errorCodeName(effect.code), reason: effect.reason },
    'session closed',
  );
  if (effect.connection === undefined) return;
  context.delivery.unbind(effect.connection);
  const connection = context.connections.get(effect.connection);
  if (connection !== undefined) closeConnection(context, connection, effect.code, effect.reason);
}
