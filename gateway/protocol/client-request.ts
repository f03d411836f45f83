import { BusinessRequest, ClientRequest } from '../../proto/gen/message.ts';

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});
const noBytes: Buffer = Buffer.alloc(0);
/** Longer varints are left to the generated decoder: four bytes stay within what bit operations hold. */
const varintBytesMax = 4;

/** Where the last varint ended. */
let next = 0;

/** @returns -1 for what is cut short or longer than `varintBytesMax` bytes */
function smallVarint(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let i = 0; i < varintBytesMax; i += 1) {
    const byte = bytes[offset + i];
    if (byte === undefined) return -1;
    value |= (byte & 0x7f) << (7 * i);
    if (byte > 0x7f) continue;
    next = offset + i + 1;
    return value;
  }
  return -1;
}

/** @returns the end of a length-delimited field whose bytes begin at `next`; -1 when it does not fit */
function endOfField(bytes: Uint8Array, offset: number): number {
  const length = smallVarint(bytes, offset);
  return length < 0 || next + length > bytes.length ? -1 : next + length;
}

/** A ClientRequest of the usual shape; its payload shares the frame's memory. @returns undefined for any other */
function usualRequest(frame: Uint8Array): ClientRequest | undefined {
  let msgId = 0;
  let seqId = 0;
  let type = 0;
  let payload = noBytes;
  for (let at = 0; at < frame.length; at = next) {
    const tag = frame[at];
    if (tag === 0x22) {
      const end = endOfField(frame, at + 1);
      if (end < 0) return undefined;
      payload = Buffer.from(frame.buffer, frame.byteOffset + next, end - next);
      next = end;
      continue;
    }
    const value = smallVarint(frame, at + 1);
    if (value < 0) return undefined;
    if (tag === 0x08) msgId = value;
    else if (tag === 0x10) seqId = value;
    else if (tag === 0x18) type = value;
    else return undefined;
  }
  return { msgId, seqId: BigInt(seqId), type: type as ClientRequest['type'], payload, headers: noHeaders, openid: '' };
}

/** A BusinessRequest of the usual shape, with a copy of its data. @returns undefined for any other */
function usualBusiness(payload: Uint8Array): BusinessRequest | undefined {
  let action = '';
  let data = noBytes;
  for (let at = 0; at < payload.length; at = next) {
    const tag = payload[at];
    const end = tag === 0x0a || tag === 0x12 ? endOfField(payload, at + 1) : -1;
    if (end < 0) return undefined;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset + next, end - next);
    if (tag === 0x12) data = Buffer.from(bytes);
    else {
      if (bytes.some((byte) => byte > 0x7f)) return undefined;
      action = bytes.toString('latin1');
    }
    next = end;
  }
  return { action, data };
}

/**
 * Decodes one client frame. Every message passes here, so the usual shape is read without a reader's objects.
 * The payload may share the frame's memory.
 * @throws whatever the protobuf reader throws on bytes that are no ClientRequest
 */
export function decodeClientRequest(frame: Uint8Array): ClientRequest {
  return usualRequest(frame) ?? ClientRequest.decode(frame);
}

/** As `decodeClientRequest`, for the payload of BUSINESS; what it returns shares no memory with it. */
export function decodeBusinessRequest(payload: Uint8Array): BusinessRequest {
  return usualBusiness(payload) ?? BusinessRequest.decode(payload);
}
