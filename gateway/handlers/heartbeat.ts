import type { ClientRequest } from '../../proto/gen/message.ts';
import { heartbeatResponseBody } from '../protocol/codec.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { reply } from './replies.ts';

/** HEARTBEAT: answered at once; it is no command, the session's state does not change. */
export function handleHeartbeat(context: HandlerContext, connection: ClientConnection, request: ClientRequest): void {
  reply(context, connection, request.msgId, heartbeatResponseBody);
  context.meter.request('heartbeat', 'ok', 0);
}
