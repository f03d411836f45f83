import { createHmac, timingSafeEqual } from 'node:crypto';
import type { PeerFrame, PeerHello } from '../../proto/gen/replication.ts';

export interface PeerIdentity {
  readonly serverId: string;
  readonly version: string;
}

/** Of the random number that each end adds to a handshake. */
export const nonceBytes = 32;

/** The MAC by which one end shows that it has the pair's key, over both ends' nonces and its own side and name. */
function proofOf(
  key: Uint8Array,
  side: 'dialer' | 'listener',
  serverId: string,
  dialerNonce: Uint8Array,
  listenerNonce: Uint8Array,
): Buffer {
  const mac = createHmac('sha256', key).update(`gatesvr peer ${side}\n${serverId}\n`);
  return mac.update(dialerNonce).update(listenerNonce).digest();
}

function isProof(expected: Uint8Array, given: Uint8Array): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/** Why a peer that says this of itself cannot be our peer; undefined when it can (design §5, rule 9). */
function helloProblem(own: PeerIdentity, hello: PeerHello): string | undefined {
  if (hello.nonce.length !== nonceBytes) return `nonce of ${hello.nonce.length} bytes: expected ${nonceBytes}`;
  if (hello.serverId === own.serverId) {
    return `server_id ${own.serverId}: the peer has the same; expected another, or the peer address is one's own`;
  }
  if (!mayTalk(own.version, hello.version)) {
    return `version ${hello.version} of ${hello.serverId}: expected at most one minor release from ${own.version}`;
  }
  return undefined;
}

/** Versions of the same major and at most one minor apart. */
export function mayTalk(own: string, other: string): boolean {
  const [ownMajor, ownMinor] = numbersOf(own);
  const [otherMajor, otherMinor] = numbersOf(other);
  return ownMajor === otherMajor && Math.abs(ownMinor - otherMinor) <= 1;
}

function numbersOf(version: string): readonly [number, number] {
  const match = /^(\d{1,6})\.(\d{1,6})\./.exec(version);
  return match === null ? [Number.NaN, Number.NaN] : [Number(match[1]), Number(match[2])];
}

export type HandshakeSide = 'dialer' | 'listener';

/** What one frame of a handshake leads to. */
export interface HandshakeStep {
  readonly reply?: PeerFrame;
  readonly open?: boolean;
  /** The stream must end; the text names what was expected. */
  readonly refused?: string;
}

/** Both ends of a stream show that they have the pair's key before anything else is said. Pure. */
export class PeerHandshake {
  #side: HandshakeSide;
  #own: PeerIdentity;
  #key: Uint8Array;
  #nonce: Uint8Array;
  #peer: PeerHello | undefined;

  /** @param nonce 32 random bytes, new for each stream. */
  constructor(side: HandshakeSide, own: PeerIdentity, key: Uint8Array, nonce: Uint8Array) {
    this.#side = side;
    this.#own = own;
    this.#key = key;
    this.#nonce = nonce;
  }

  /** What the dialer says first. */
  get opening(): PeerFrame {
    return this.#hello(new Uint8Array(0));
  }

  received({ frame }: PeerFrame): HandshakeStep {
    if (this.#peer === undefined) {
      if (frame?.$case !== 'hello') return { refused: `${frame?.$case ?? 'empty frame'}: expected hello` };
      const refused = helloProblem(this.#own, frame.value);
      if (refused !== undefined) return { refused };
      this.#peer = frame.value;
      return this.#side === 'dialer'
        ? this.#answerListener(frame.value)
        : { reply: this.#hello(this.#proof('listener')) };
    }
    if (frame?.$case !== 'proof') return { refused: `${frame?.$case ?? 'empty frame'}: expected proof` };
    return isProof(this.#proof('dialer'), frame.value.proof) ? { open: true } : { refused: this.#otherKey };
  }

  #answerListener(hello: PeerHello): HandshakeStep {
    if (!isProof(this.#proof('listener'), hello.proof)) return { refused: this.#otherKey };
    return { open: true, reply: { frame: { $case: 'proof', value: { proof: this.#proof('dialer') } } } };
  }

  get #otherKey(): string {
    return `${this.#peer?.serverId}: its backup.secret_file is not ours`;
  }

  /** The proof that this side makes or expects of the side named. */
  #proof(side: HandshakeSide): Buffer {
    const peer = this.#peer ?? { serverId: '', nonce: new Uint8Array(0) };
    const serverId = side === this.#side ? this.#own.serverId : peer.serverId;
    const [dialer, listener] = this.#side === 'dialer' ? [this.#nonce, peer.nonce] : [peer.nonce, this.#nonce];
    return proofOf(this.#key, side, serverId, dialer, listener);
  }

  #hello(proof: Uint8Array): PeerFrame {
    const { serverId, version } = this.#own;
    const value = { serverId, version, nonce: Buffer.from(this.#nonce), proof: Buffer.from(proof) };
    return { frame: { $case: 'hello', value } };
  }
}
