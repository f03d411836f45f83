import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { errorMessage } from '../../lib/errors.ts';
import type { CloseCause } from '../transport.ts';
import type { Connection } from './bindings.ts';

/** RFC 9000, section 20.1. */
const transportErrors: readonly string[] = [
  'no error',
  'internal error',
  'connection refused',
  'flow control error',
  'stream limit error',
  'stream state error',
  'final size error',
  'frame encoding error',
  'transport parameter error',
  'connection id limit error',
  'protocol violation',
  'invalid token',
  'application error',
  'crypto buffer exceeded',
  'key update error',
  'AEAD limit reached',
  'no viable path',
];

/** RFC 8446, section 6: those that a handshake of QUIC meets. */
const alerts: Readonly<Record<number, string>> = {
  40: 'handshake failure',
  42: 'bad certificate',
  43: 'unsupported certificate',
  44: 'certificate revoked',
  45: 'certificate expired',
  46: 'certificate unknown',
  47: 'illegal parameter',
  48: 'unknown certificate authority',
  51: 'decrypt error',
  70: 'protocol version',
  80: 'internal error',
  109: 'missing extension',
  112: 'unrecognized name',
  120: 'no application protocol',
};

const cryptoErrorStart = 0x100;

/** A transport error code in words. */
function transportError(code: number): string {
  if (code < cryptoErrorStart) return transportErrors[code] ?? `error ${code}`;
  const alert = code - cryptoErrorStart;
  return `TLS alert ${alert}${alerts[alert] === undefined ? '' : ` (${alerts[alert]})`}`;
}

/** Alerts of a side that does not accept the other's certificate: by itself, its signature or its issuer. */
const certificateAlerts = new Set([42, 43, 44, 45, 46, 48, 51]);

/** Why a connection ended that nobody here closed. @param name that the peer's certificate had to be valid for, if any. */
export function causeOf(quic: Connection, name?: string): CloseCause {
  const peer = quic.peerError();
  if (peer?.isApp === true) return { origin: 'peer', code: peer.errorCode, reason: text(peer.reason) };
  const lost = (reason: string): CloseCause => ({ origin: 'lost', code: 0, reason });
  if (peer !== null) return lost(`closed by peer: ${transportError(peer.errorCode)} ${text(peer.reason)}`.trimEnd());
  if (quic.isTimedOut()) return lost('timed out');
  const local = quic.localError();
  // Nothing was said on either side: the bindings report a stateless reset by its consequence alone.
  if (local === null) return lost('reset by peer');
  const reason = transportError(local.errorCode);
  if (name === undefined || !certificateAlerts.has(local.errorCode - cryptoErrorStart)) return lost(reason);
  return lost(nameProblem(quic, name) ?? `certificate refused: ${reason}`);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** What is wrong with the name of the peer's certificate, or undefined. The bindings cannot compare addresses. */
export function nameProblem(quic: Connection, name: string): string | undefined {
  const der = quic.peerCertChain()?.[0];
  if (der === undefined) return undefined;
  try {
    const certificate = new X509Certificate(der);
    const found = isIP(name) !== 0 ? certificate.checkIP(name) : certificate.checkHost(name);
    return found === undefined ? `certificate: not valid for the name "${name}"` : undefined;
  } catch (error) {
    return `certificate: ${errorMessage(error)}`;
  }
}
