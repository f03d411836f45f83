import { Buffer } from 'node:buffer';
import { Error as WireError } from '../../proto/gen/message.ts';
import { type UpstreamResponse, UpstreamResponse_HeadersEntry } from '../../proto/gen/upstream.ts';
import { varintLength, writeVarint } from '../protocol/varint.ts';
import type { ZoneRequest } from './zone-request.ts';

/** A zone sent bytes that are not the message they should be. */
export class UpstreamWireError extends Error {
  override readonly name = 'UpstreamWireError';
}

const emptyData = Buffer.alloc(0);
const varintBytesMax = 10;

/**
 * Writes `UpstreamRequest`s by hand, many into one `ExchangeRequest` (proto/upstream.proto). The generated code costs an
 * object, several BigInts and two copies an item; this path carries every request a gateway forwards.
 */
export class ExchangeEncoder {
  #buffer = Buffer.allocUnsafe(65_536);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Appends one item of `ExchangeRequest.requests`. */
  add(request: ZoneRequest, requestId: number, deadlineMs: number): void {
    this.#reserve(request);
    const lengthBytes = 2;
    this.#buffer[this.#length] = 0x0a;
    const start = this.#length + 1 + lengthBytes;
    this.#length = start;
    this.#body(request, requestId, deadlineMs);
    const size = this.#length - start;
    const needed = varintLength(size);
    if (needed !== lengthBytes) {
      this.#buffer.copyWithin(start + needed - lengthBytes, start, this.#length);
      this.#length += needed - lengthBytes;
    }
    writeVarint(this.#buffer, start - lengthBytes, size);
  }

  /** One `UpstreamRequest` alone, for the unary call. */
  single(request: ZoneRequest, deadlineMs: number): Buffer {
    this.#length = 0;
    this.#reserve(request);
    this.#body(request, 0, deadlineMs);
    return this.take();
  }

  /** A copy of what was added; begins anew. */
  take(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return bytes;
  }

  #body(request: ZoneRequest, requestId: number, deadlineMs: number): void {
    this.#string(0x0a, request.openid);
    this.#string(0x12, request.sessionId);
    this.#string(0x1a, request.zoneId);
    this.#number(0x20, request.clientSeq);
    this.#string(0x2a, request.action);
    this.#bytes(0x32, request.data);
    for (const key in request.headers) this.#header(key, request.headers[key] ?? '');
    this.#number(0x40, request.epoch);
    this.#number(0x48, deadlineMs);
    this.#number(0x50, requestId);
    this.#string(0x5a, request.shardId);
    this.#string(0x62, request.history);
  }

  #header(key: string, value: string): void {
    const keySize = key === '' ? 0 : sizeOfString(key);
    const valueSize = value === '' ? 0 : sizeOfString(value);
    this.#buffer[this.#length] = 0x3a;
    this.#length = writeVarint(this.#buffer, this.#length + 1, keySize + valueSize);
    this.#string(0x0a, key);
    this.#string(0x12, value);
  }

  #number(tag: number, value: number): void {
    if (value === 0) return;
    this.#buffer[this.#length] = tag;
    this.#length = writeVarint(this.#buffer, this.#length + 1, value);
  }

  #bytes(tag: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.#buffer[this.#length] = tag;
    const at = writeVarint(this.#buffer, this.#length + 1, value.length);
    this.#buffer.set(value, at);
    this.#length = at + value.length;
  }

  /** Short ASCII, which nearly all of it is, goes faster by a loop than through a native call. */
  #string(tag: number, value: string): void {
    const length = value.length;
    if (length === 0) return;
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at] = tag;
    if (length < 64) {
      buffer[at + 1] = length;
      at += 2;
      let index = 0;
      for (; index < length; index += 1) {
        const code = value.charCodeAt(index);
        if (code > 0x7f) break;
        buffer[at + index] = code;
      }
      if (index === length) {
        this.#length = at + length;
        return;
      }
      at -= 2;
    }
    at = writeVarint(buffer, at + 1, Buffer.byteLength(value));
    this.#length = at + buffer.write(value, at, 'utf8');
  }

  #reserve(request: ZoneRequest): void {
    let units = request.openid.length + request.sessionId.length + request.zoneId.length + request.action.length;
    units += request.shardId.length + request.history.length;
    let fixed = 160 + request.data.length;
    for (const key in request.headers) {
      units += key.length + (request.headers[key] ?? '').length;
      fixed += 3 * varintBytesMax;
    }
    const needed = this.#length + fixed + units * 3;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/**
 * Reads an `ExchangeResponse` and hands out each response with its request id.
 * @param zoneHint the zone id expected, so that it need not be made anew for every response.
 * @throws UpstreamWireError when the bytes are not an ExchangeResponse.
 */
export function decodeExchangeResponse(
  bytes: Buffer,
  zoneHint: string,
  each: (requestId: number, response: UpstreamResponse) => void,
): void {
  const reader = new WireReader(bytes, bytes.length);
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    const end = reader.lengthEnd();
    const response = readResponse(reader, end, zoneHint);
    each(reader.requestId, response);
  }
  if (reader.at !== reader.end) throw new UpstreamWireError(`${bytes.length} bytes: truncated`);
}

/** Reads one `UpstreamResponse`. @throws UpstreamWireError */
export function decodeUpstreamResponse(bytes: Buffer, zoneHint: string): UpstreamResponse {
  return readResponse(new WireReader(bytes, bytes.length), bytes.length, zoneHint);
}

function readResponse(reader: WireReader, end: number, zoneHint: string): UpstreamResponse {
  const response: UpstreamResponse = {
    success: false,
    data: emptyData,
    error: undefined,
    zoneId: '',
    requestId: 0n,
    headers: {},
  };
  reader.requestId = 0;
  while (reader.at < end) {
    const tag = reader.varint();
    if (tag === 0x08) response.success = reader.varint() !== 0;
    else if (tag === 0x28) reader.requestId = reader.varint();
    else if (tag === 0x12) response.data = reader.slice();
    else if (tag === 0x22) response.zoneId = reader.string(zoneHint);
    else if (tag === 0x1a) response.error = reader.message(WireError.decode);
    else if (tag === 0x32) {
      const entry = reader.message(UpstreamResponse_HeadersEntry.decode);
      response.headers[entry.key] = entry.value;
    } else reader.skip(tag);
  }
  if (reader.at !== end) throw new UpstreamWireError(`response ends at byte ${reader.at}, expected ${end}`);
  return response;
}

class WireReader {
  readonly bytes: Buffer;
  readonly end: number;
  at = 0;
  /** Of the response read last. */
  requestId = 0;

  constructor(bytes: Buffer, end: number) {
    this.bytes = bytes;
    this.end = end;
  }

  /** An unsigned number; above 2^53 it loses its low bits, which no id of ours has. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < varintBytesMax; count += 1) {
      const byte = this.bytes[this.at];
      if (byte === undefined) break;
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new UpstreamWireError(`bad varint before byte ${this.at} of ${this.bytes.length}`);
  }

  /** Reads a length and answers where what it counts ends. */
  lengthEnd(): number {
    const length = this.varint();
    const end = this.at + length;
    if (end > this.end) throw new UpstreamWireError(`${length} bytes at byte ${this.at} of ${this.end}: truncated`);
    return end;
  }

  slice(): Buffer {
    const end = this.lengthEnd();
    const slice = this.bytes.subarray(this.at, end);
    this.at = end;
    return slice;
  }

  string(hint: string): string {
    const end = this.lengthEnd();
    const start = this.at;
    this.at = end;
    if (end - start === hint.length) {
      let index = 0;
      while (index < hint.length && hint.charCodeAt(index) === this.bytes[start + index]) index += 1;
      if (index === hint.length) return hint;
    }
    return this.bytes.toString('utf8', start, end);
  }

  message<T>(decode: (bytes: Uint8Array) => T): T {
    const slice = this.slice();
    try {
      return decode(slice);
    } catch (thrown) {
      throw new UpstreamWireError(`bad message before byte ${this.at}`, { cause: thrown });
    }
  }

  skip(tag: number): void {
    const kind = tag & 7;
    if (kind === 0) this.varint();
    else if (kind === 1) this.at += 8;
    else if (kind === 2) this.at = this.lengthEnd();
    else if (kind === 5) this.at += 4;
    else throw new UpstreamWireError(`wire type ${kind} before byte ${this.at}`);
  }
}

function sizeOfString(value: string): number {
  const size = Buffer.byteLength(value);
  return 1 + varintLength(size) + size;
}
