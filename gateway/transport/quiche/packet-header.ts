/** What a router of datagrams reads of a QUIC packet: the fields that no version changes, and an Initial's token. */

/** Length of every connection id this side gives out; a short header does not say it. */
export const cidBytes = 8;
/** RFC 9000, section 17.2: an id in a long header of version 1. */
const cidBytesMax = 20;

export interface ShortHeader {
  readonly form: 'short';
  readonly dcid: Buffer;
}

export interface LongHeader {
  readonly form: 'long';
  readonly type: 'initial' | 'other';
  readonly version: number;
  readonly dcid: Buffer;
  readonly scid: Buffer;
  /** Of an Initial; empty when it has none. */
  readonly token: Buffer;
}

const noBytes = Buffer.alloc(0);
const quicVersion1 = 1;

/** RFC 9000, sections 17.2 and 17.3; undefined for a datagram that is no QUIC packet. */
export function readHeader(datagram: Buffer): ShortHeader | LongHeader | undefined {
  const first = datagram[0];
  if (first === undefined) return undefined;
  if ((first & 0x80) !== 0) return readLong(datagram, first);
  // The fixed bit is grease for nobody here: neither side announces that it may be 0.
  if ((first & 0x40) === 0 || datagram.length < 1 + cidBytes) return undefined;
  return { form: 'short', dcid: datagram.subarray(1, 1 + cidBytes) };
}

function readLong(datagram: Buffer, first: number): LongHeader | undefined {
  if (datagram.length < 7) return undefined;
  const version = datagram.readUInt32BE(1);
  const dcidEnd = 6 + (datagram[5] ?? 0);
  const scidEnd = dcidEnd + 1 + (datagram[dcidEnd] ?? 255);
  if (scidEnd > datagram.length) return undefined;
  const [dcid, scid] = [datagram.subarray(6, dcidEnd), datagram.subarray(dcidEnd + 1, scidEnd)];
  if (version !== quicVersion1) return { form: 'long', type: 'other', version, dcid, scid, token: noBytes };
  if ((first & 0x40) === 0 || dcid.length > cidBytesMax || scid.length > cidBytesMax) return undefined;
  if ((first & 0x30) !== 0) return { form: 'long', type: 'other', version, dcid, scid, token: noBytes };
  const token = readToken(datagram, scidEnd);
  return token === undefined ? undefined : { form: 'long', type: 'initial', version, dcid, scid, token };
}

/** A length as RFC 9000, section 16, then as many bytes. */
function readToken(datagram: Buffer, at: number): Buffer | undefined {
  const first = datagram[at];
  if (first === undefined) return undefined;
  const lengthBytes = 1 << (first >> 6);
  if (at + lengthBytes > datagram.length || lengthBytes > 4) return undefined;
  let length = first & 0x3f;
  for (let index = 1; index < lengthBytes; index++) length = length * 256 + (datagram[at + index] ?? 0);
  const end = at + lengthBytes + length;
  return end > datagram.length ? undefined : datagram.subarray(at + lengthBytes, end);
}
