import type { AckRequest, ClientRequest } from '../../proto/gen/message.ts';
import { decodeAckRequest, safeNumber } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { ClientConnection } from './connection.ts';
import type { HandlerContext } from './context.ts';
import { endSession } from './end-session.ts';
import { refuse } from './replies.ts';

/** ACK: cumulative. One that goes back is ignored, one past what was sent is a protocol error (I7). */
export function handleAck(context: HandlerContext, connection: ClientConnection, request: ClientRequest): void {
  let ack: AckRequest;
  try {
    ack = decodeAckRequest(request.payload);
  } catch {
    const message = 'payload: not an AckRequest';
    return refuse(context, connection, request.msgId, { code: ErrorCode.ERROR_BAD_MESSAGE, message });
  }
  const upTo = safeNumber(ack.ackUpTo);
  const verdict = upTo === undefined ? 'past' : context.delivery.ackVerdict(connection.id, upTo);
  if (verdict === 'past' || upTo === undefined) {
    endSession(context, connection, ErrorCode.ERROR_PROTOCOL, 'ack past the last message sent');
    return;
  }
  context.meter.request('ack', 'ok', 0);
  if (verdict !== 'ok') return;
  context.shard.submit({ kind: 'ack', sessionId: connection.sessionId, upTo });
}
