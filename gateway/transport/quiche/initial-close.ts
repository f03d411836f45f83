import { createCipheriv, createHmac } from 'node:crypto';
import type { LongHeader } from './packet-header.ts';

/** RFC 9001, section 5.2. */
const initialSalt = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
const tagBytes = 16;

/** Transport error codes of RFC 9000, section 20.1. */
export const TransportErrorCode = { connectionRefused: 0x02, invalidToken: 0x0b } as const;

/** HKDF-Expand-Label of RFC 8446, section 7.1, without a context. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  // One block is enough for every length asked for here.
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

function serverInitialKeys(clientDcid: Buffer): { key: Buffer; iv: Buffer; hp: Buffer } {
  const extracted = createHmac('sha256', initialSalt).update(clientDcid).digest();
  const secret = expandLabel(extracted, 'server in', 32);
  return {
    key: expandLabel(secret, 'quic key', 16),
    iv: expandLabel(secret, 'quic iv', 12),
    hp: expandLabel(secret, 'quic hp', 16),
  };
}

/**
 * An Initial packet that closes a connection before there is one (RFC 9000, section 10.2.3): no state, no handshake, and
 * far smaller than what asked for it.
 */
export function initialClose(asked: LongHeader, scid: Buffer, code: number): Buffer {
  const { key, iv, hp } = serverInitialKeys(asked.dcid);
  // CONNECTION_CLOSE of the transport: code in two bytes, no frame type, no reason. Padding makes room for the sample.
  const payload = Buffer.from([0x1c, 0x40 | (code >> 8), code & 0xff, 0, 0, 0, 0]);
  const length = 1 + payload.length + tagBytes;
  const header = Buffer.concat([
    Buffer.from([0xc0, 0, 0, 0, 1, asked.scid.length]),
    asked.scid,
    Buffer.from([scid.length]),
    scid,
    // No token, a length in two bytes, packet number 0 in one byte.
    Buffer.from([0, 0x40 | (length >> 8), length & 0xff, 0]),
  ]);
  const sealer = createCipheriv('aes-128-gcm', key, iv).setAAD(header);
  const sealed = Buffer.concat([sealer.update(payload), sealer.final(), sealer.getAuthTag()]);
  // RFC 9001, section 5.4.2: the sample stands where it would with a packet number of four bytes.
  const mask = createCipheriv('aes-128-ecb', hp, null).update(sealed.subarray(3, 19));
  header[0] = (header[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  header[header.length - 1] = (header.at(-1) ?? 0) ^ (mask[1] ?? 0);
  return Buffer.concat([header, sealed]);
}
