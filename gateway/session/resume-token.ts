import { createHmac, timingSafeEqual } from 'node:crypto';

const version = 1;
const bindingBytes = 6;
const headBytes = 1 + bindingBytes;
const macBytes = 32;
const sessionIdBytesMax = 128;

export interface TokenPlace {
  readonly sessionId: string;
  readonly binding: number;
}

/**
 * A resume token: version, binding number, session id, and a MAC over them (rule 12). The state holds only the number,
 * so a token can be minted by any member that knows the shard's key.
 * @throws RangeError when the binding or the session id does not fit.
 */
export function mintResumeToken(key: Uint8Array, place: TokenPlace): Uint8Array {
  const id = Buffer.from(place.sessionId, 'utf8');
  if (id.length === 0 || id.length > sessionIdBytesMax) {
    throw new RangeError(`session id of ${id.length} bytes: expected 1 to ${sessionIdBytesMax}`);
  }
  const head = Buffer.alloc(headBytes);
  head.writeUInt8(version, 0);
  head.writeUIntBE(place.binding, 1, bindingBytes);
  const body = Buffer.concat([head, id]);
  return Buffer.concat([body, mac(key, body)]);
}

/**
 * @param keys All keys whose tokens are accepted, so that a key can be rotated.
 * @returns what the token says, or undefined when it is none of ours; the two are told apart in constant time.
 */
export function verifyResumeToken(keys: readonly Uint8Array[], token: Uint8Array): TokenPlace | undefined {
  if (token.length <= headBytes + macBytes || token.length > headBytes + sessionIdBytesMax + macBytes) return undefined;
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.length);
  const body = bytes.subarray(0, bytes.length - macBytes);
  const given = bytes.subarray(bytes.length - macBytes);
  let valid = false;
  for (const key of keys) valid = timingSafeEqual(mac(key, body), given) || valid;
  if (!valid || body[0] !== version) return undefined;
  return { sessionId: body.toString('utf8', headBytes), binding: body.readUIntBE(1, bindingBytes) };
}

function mac(key: Uint8Array, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update('gatesvr resume token').update(body).digest();
}
