import {
  AckRequest,
  BusinessResponse,
  Error as ErrorMessage,
  Goaway,
  PushType,
  StartRequest,
  StartResponse,
} from '../../proto/gen/message.ts';
import { varintLength, writeVarint } from './varint.ts';

export type Headers = Readonly<Record<string, string>>;

const pushTypeTag = 0x18;
const payloadTag = 0x22;
const headersTag = 0x2a;
const emptyPayload = new Uint8Array(0);
const utf8 = new TextEncoder();

/**
 * Fields msg_id and seq_id of a ServerPush. A frame is this head followed by a body, so that one body can be shared by
 * all sessions it goes to; protobuf allows any field order and an absent zero.
 */
export function encodePushHead(msgId: number, seqId: number): Uint8Array {
  const length = (msgId === 0 ? 0 : 1 + varintLength(msgId)) + (seqId === 0 ? 0 : 1 + varintLength(seqId));
  const head = new Uint8Array(length);
  let at = 0;
  if (msgId !== 0) {
    head[at++] = 0x08;
    at = writeVarint(head, at, msgId);
  }
  if (seqId !== 0) {
    head[at++] = 0x10;
    writeVarint(head, at, seqId);
  }
  return head;
}

/** Fields type, payload and headers of a ServerPush. */
export function encodePushBody(type: number, payload: Uint8Array, headers?: Headers): Uint8Array {
  const entries = headers === undefined ? [] : encodeHeaders(headers);
  const payloadLength = payload.length === 0 ? 0 : 1 + varintLength(payload.length) + payload.length;
  let length = 2 + payloadLength;
  for (const entry of entries) length += 1 + varintLength(entry.length) + entry.length;
  const body = Buffer.allocUnsafe(length);
  body[0] = pushTypeTag;
  body[1] = type;
  let at = 2;
  if (payload.length !== 0) at = writeBytes(body, at, payloadTag, payload);
  for (const entry of entries) at = writeBytes(body, at, headersTag, entry);
  return body;
}

function writeBytes(target: Uint8Array, offset: number, tag: number, bytes: Uint8Array): number {
  target[offset] = tag;
  const at = writeVarint(target, offset + 1, bytes.length);
  target.set(bytes, at);
  return at + bytes.length;
}

function encodeHeaders(headers: Headers): Uint8Array[] {
  return Object.entries(headers).map(([name, value]) => {
    const key = utf8.encode(name);
    const text = utf8.encode(value);
    const entry = new Uint8Array(2 + varintLength(key.length) + key.length + varintLength(text.length) + text.length);
    writeBytes(entry, writeBytes(entry, 0, 0x0a, key), 0x12, text);
    return entry;
  });
}

/** The body of a successful business response, written in one piece: this is the hot path. */
export function encodeSuccessBody(clientSeq: number, data: Uint8Array, headers?: Headers): Uint8Array {
  if (headers !== undefined && Object.keys(headers).length > 0) {
    return encodeResponseBody({ success: true, data, clientSeq, headers });
  }
  const dataLength = data.length === 0 ? 0 : 1 + varintLength(data.length) + data.length;
  const responseLength = 2 + dataLength + 1 + varintLength(clientSeq);
  const body = Buffer.allocUnsafe(2 + 1 + varintLength(responseLength) + responseLength);
  body[0] = pushTypeTag;
  body[1] = PushType.PUSH_BUSINESS_RESPONSE;
  body[2] = payloadTag;
  let at = writeVarint(body, 3, responseLength);
  body[at++] = 0x08;
  body[at++] = 1;
  if (data.length !== 0) at = writeBytes(body, at, 0x12, data);
  body[at++] = 0x20;
  writeVarint(body, at, clientSeq);
  return body;
}

export interface ResponseFields {
  readonly success: boolean;
  readonly clientSeq: number;
  readonly data?: Uint8Array;
  readonly error?: ErrorFields;
  readonly headers?: Headers;
}

export interface ErrorFields {
  readonly code: number;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly redirect?: string;
}

/** The wire form of an error, with every field present. */
export function errorOf(error: ErrorFields): ErrorMessage {
  return {
    code: error.code as ErrorMessage['code'],
    message: error.message,
    retryAfterMs: error.retryAfterMs ?? 0,
    redirect: error.redirect ?? '',
  };
}

export function encodeResponseBody(response: ResponseFields): Uint8Array {
  const payload = BusinessResponse.encode({
    success: response.success,
    data: Buffer.from(response.data ?? emptyPayload),
    error: response.error === undefined ? undefined : errorOf(response.error),
    clientSeqId: BigInt(response.clientSeq),
  }).finish();
  return encodePushBody(PushType.PUSH_BUSINESS_RESPONSE, payload, response.headers);
}

/** Written in one piece where it can be: a gateway under overload sends more of these than of anything else. */
export function encodeErrorBody(error: ErrorFields): Uint8Array {
  const { code, message, retryAfterMs = 0, redirect = '' } = error;
  if (redirect === '' && message.length < 64 && isAscii(message))
    return encodePlainErrorBody(code, message, retryAfterMs);
  return encodePushBody(PushType.PUSH_ERROR, ErrorMessage.encode(errorOf(error)).finish());
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function encodePlainErrorBody(code: number, message: string, retryAfterMs: number): Uint8Array {
  const codeLength = code === 0 ? 0 : 1 + varintLength(code);
  const messageLength = message === '' ? 0 : 2 + message.length;
  const retryLength = retryAfterMs === 0 ? 0 : 1 + varintLength(retryAfterMs);
  const length = codeLength + messageLength + retryLength;
  if (length === 0) return encodePushBody(PushType.PUSH_ERROR, emptyPayload);
  const body = Buffer.allocUnsafe(3 + varintLength(length) + length);
  body[0] = pushTypeTag;
  body[1] = PushType.PUSH_ERROR;
  body[2] = payloadTag;
  let at = writeVarint(body, 3, length);
  if (code !== 0) {
    body[at] = 0x08;
    at = writeVarint(body, at + 1, code);
  }
  if (message !== '') {
    body[at] = 0x12;
    body[at + 1] = message.length;
    at += 2 + body.write(message, at + 2, 'latin1');
  }
  if (retryAfterMs !== 0) {
    body[at] = 0x18;
    writeVarint(body, at + 1, retryAfterMs);
  }
  return body;
}

export function encodeStartResponseBody(response: Partial<StartResponse>): Uint8Array {
  return encodePushBody(
    PushType.PUSH_START_RESPONSE,
    StartResponse.encode(StartResponse.fromPartial(response)).finish(),
  );
}

export function encodeGoawayBody(goaway: Goaway): Uint8Array {
  return encodePushBody(PushType.PUSH_GOAWAY, Goaway.encode(goaway).finish());
}

export const heartbeatResponseBody: Uint8Array = encodePushBody(PushType.PUSH_HEARTBEAT_RESPONSE, emptyPayload);

export const decodeStartRequest = (payload: Uint8Array): StartRequest => StartRequest.decode(payload);
export const decodeAckRequest = (payload: Uint8Array): AckRequest => AckRequest.decode(payload);

/** A uint64 of the wire as a number. @returns undefined above 2^53 - 1, which no honest counter reaches. */
export function safeNumber(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
