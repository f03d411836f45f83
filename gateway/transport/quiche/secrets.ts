import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { cidBytes } from './packet-header.ts';

/** BoringSSL's ticket keys: a name, a key for HMAC and one for AES. */
const ticketKeyBytes = 48;
const nonceBytes = 12;
const tagBytes = 16;
const cipher = 'aes-256-gcm';

interface Keys {
  /** First byte of every connection id, so that a reset can be signed with the key its connection knows. */
  readonly cidTag: number;
  readonly reset: Buffer;
  readonly ticket: Buffer;
  readonly token: Buffer;
}

/** The same derivation as in native/src/secrets.rs: a reset of either transport is understood by clients of the other. */
function derive(secret: Uint8Array): Keys {
  const expand = (label: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, 'gatesvr transport 1', label, length));
  return {
    cidTag: expand('connection id tag', 1)[0] ?? 0,
    reset: expand('stateless reset key', 32),
    ticket: expand('quiche ticket key', ticketKeyBytes),
    token: expand('quiche retry token key', 32),
  };
}

/** What a retry token says: the client proved that it receives at an address, and first asked with this id. */
export interface RetryClaim {
  readonly address: string;
  readonly originalDcid: Buffer;
  readonly issuedMs: number;
}

/** Keys derived from secrets that a pair shares. The first secret issues; resets and retry tokens of all are accepted. */
export class KeyRing {
  #keys: readonly Keys[] = [];

  /** Without secrets, random ones: nobody else understands what this ring issues. */
  constructor(secrets: readonly Uint8Array[]) {
    this.replace(secrets);
  }

  replace(secrets: readonly Uint8Array[]): void {
    this.#keys = (secrets.length === 0 ? [randomBytes(32)] : secrets).map(derive);
  }

  get #first(): Keys {
    const [first] = this.#keys;
    if (first === undefined) throw new Error('a key ring has a key');
    return first;
  }

  get ticketKey(): Buffer {
    return this.#first.ticket;
  }

  newConnectionId(): Buffer {
    const id = randomBytes(cidBytes);
    id[0] = this.#first.cidTag;
    return id;
  }

  /** RFC 9000, section 10.3.2; undefined for an id that nobody who shares our secrets gave out. */
  resetToken(cid: Uint8Array): Buffer | undefined {
    const keys = this.#keys.find((one) => one.cidTag === cid[0]);
    if (keys === undefined) return undefined;
    return createHmac('sha256', keys.reset).update(cid).digest().subarray(0, 16);
  }

  sealRetry(claim: RetryClaim): Buffer {
    const nonce = randomBytes(nonceBytes);
    const sealer = createCipheriv(cipher, this.#first.token, nonce).setAAD(Buffer.from(claim.address));
    const plain = Buffer.alloc(8 + claim.originalDcid.length);
    plain.writeDoubleBE(claim.issuedMs);
    plain.set(claim.originalDcid, 8);
    return Buffer.concat([nonce, sealer.update(plain), sealer.final(), sealer.getAuthTag()]);
  }

  /** Undefined for a token that was not sealed for this address by one of these keys. */
  openRetry(token: Buffer, address: string): RetryClaim | undefined {
    if (token.length < nonceBytes + 8 + tagBytes) return undefined;
    for (const { token: key } of this.#keys) {
      const opener = createDecipheriv(cipher, key, token.subarray(0, nonceBytes), { authTagLength: tagBytes });
      opener.setAAD(Buffer.from(address)).setAuthTag(token.subarray(-tagBytes));
      try {
        const plain = Buffer.concat([opener.update(token.subarray(nonceBytes, -tagBytes)), opener.final()]);
        return { address, issuedMs: plain.readDoubleBE(), originalDcid: plain.subarray(8) };
      } catch {
        // Another key, or a forgery.
      }
    }
    return undefined;
  }
}

/** As the bindings take it. */
export function tokenNumber(token: Buffer): bigint {
  return BigInt(`0x${token.toString('hex')}`);
}
