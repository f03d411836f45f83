import {
  AckRequest,
  BusinessRequest,
  BusinessResponse,
  ClientRequest,
  Goaway,
  PushType,
  RequestType,
  Error as ServerError,
  ServerPush,
  StartRequest,
  StartResponse,
} from '../../proto/gen/message.ts';
import { safeNumber } from '../protocol/codec.ts';

const empty = Buffer.alloc(0);

export interface BusinessFrame {
  readonly msgId: number;
  readonly seqId: number;
  readonly action: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

function frame(type: RequestType, payload: Uint8Array, rest?: Partial<ClientRequest>): Uint8Array {
  return ClientRequest.encode({
    msgId: 0,
    seqId: 0n,
    type,
    payload: payload as Buffer,
    headers: {},
    openid: '',
    ...rest,
  }).finish();
}

export function encodeStart(request: StartRequest): Uint8Array {
  const payload = StartRequest.encode(request).finish();
  return frame(RequestType.REQUEST_START, payload, { openid: request.openid });
}

export function encodeAck(ackUpTo: number): Uint8Array {
  return frame(RequestType.REQUEST_ACK, AckRequest.encode({ ackUpTo: BigInt(ackUpTo) }).finish());
}

export function encodeBusiness(request: BusinessFrame): Uint8Array {
  const payload = BusinessRequest.encode({ action: request.action, data: request.data as Buffer }).finish();
  return ClientRequest.encode({
    msgId: request.msgId,
    seqId: BigInt(request.seqId),
    type: RequestType.REQUEST_BUSINESS,
    payload: payload as Buffer,
    headers: request.headers,
    openid: '',
  }).finish();
}

export const heartbeatFrame = frame(RequestType.REQUEST_HEARTBEAT, empty);
export const stopFrame = frame(RequestType.REQUEST_STOP, empty);

/** A `ServerPush` with its payload decoded; what it carries is copied out of the batch that held the frame. */
export type ServerMessage =
  | { readonly kind: 'started'; readonly response: StartResponse }
  | { readonly kind: 'heartbeat' }
  | {
      readonly kind: 'response';
      readonly seqId: number;
      readonly response: BusinessResponse;
      readonly headers: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'notify';
      readonly seqId: number;
      readonly data: Uint8Array;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'skip'; readonly seqId: number }
  | { readonly kind: 'error'; readonly msgId: number; readonly error: ServerError }
  | { readonly kind: 'goaway'; readonly goaway: Goaway };

/** @throws Error when the frame does not decode, has an unknown type, or a seq_id where none belongs (or none where one does). */
export function decodeServerFrame(bytes: Uint8Array): ServerMessage {
  const push = ServerPush.decode(bytes);
  const seqId = counter(push.seqId, 'seq_id');
  const message = decodePayload(push, seqId);
  if ('seqId' in message !== seqId > 0) throw new Error(`${message.kind} with seq_id ${seqId}`);
  return message;
}

function decodePayload(push: ServerPush, seqId: number): ServerMessage {
  switch (push.type) {
    case PushType.PUSH_START_RESPONSE:
      return { kind: 'started', response: StartResponse.decode(push.payload) };
    case PushType.PUSH_HEARTBEAT_RESPONSE:
      return { kind: 'heartbeat' };
    case PushType.PUSH_BUSINESS_RESPONSE:
      return { kind: 'response', seqId, response: BusinessResponse.decode(push.payload), headers: push.headers };
    case PushType.PUSH_NOTIFY:
      return { kind: 'notify', seqId, data: push.payload, headers: push.headers };
    case PushType.PUSH_SKIP:
      return { kind: 'skip', seqId };
    case PushType.PUSH_ERROR:
      return { kind: 'error', msgId: push.msgId, error: ServerError.decode(push.payload) };
    case PushType.PUSH_GOAWAY:
      return { kind: 'goaway', goaway: Goaway.decode(push.payload) };
    default:
      throw new Error(`unknown push type ${push.type}`);
  }
}

/** 64-bit fields of the protocol are counters that never come near 2^53. @throws RangeError beyond it. */
export function counter(value: bigint, field: string): number {
  const number = safeNumber(value);
  if (number === undefined) throw new RangeError(`${field} ${value} is not below 2^53`);
  return number;
}
