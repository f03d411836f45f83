import { createSocket, type Socket } from 'node:dgram';
import { errorMessage } from '../../lib/errors.ts';
import { TransportConfigError } from '../native.ts';

type LookupDone = (error: NodeJS.ErrnoException | null, address: string, family: number) => void;

/** Room for bursts while the event loop is busy; the system may give less. */
const bufferBytes = 4 * 1024 * 1024;

/** Addresses only, and answered at once: a name would make each send wait for a resolver. */
const lookupOf = (v6: boolean) => (host: string, _family: unknown, done: LookupDone) => {
  done(null, v6 && !host.includes(':') ? `::ffff:${host}` : host, v6 ? 6 : 4);
};

function udpSocket(v6: boolean): Socket {
  return createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: false, lookup: lookupOf(v6) as never });
}

function grow(socket: Socket): void {
  try {
    socket.setRecvBufferSize(bufferBytes);
    socket.setSendBufferSize(bufferBytes);
  } catch {
    // The default serves too, with more loss.
  }
}

/** @throws TransportConfigError when the address cannot be had; `code` as in Node. */
export async function boundSocket(host: string, port: number): Promise<Socket> {
  const socket = udpSocket(host.includes(':'));
  const bound = Promise.withResolvers<void>();
  socket.once('error', bound.reject);
  socket.bind(port, host, () => bound.resolve());
  try {
    await bound.promise;
  } catch (error) {
    const { code = 'ESOCKET' } = error as NodeJS.ErrnoException;
    throw new TransportConfigError(code, `listen on udp ${host} port ${port}: ${errorMessage(error)}`);
  }
  socket.removeAllListeners('error');
  grow(socket);
  return socket;
}

/** Any free port of every address, IPv6 and IPv4, or IPv4 alone where there is no IPv6. Bound when this returns. */
export function clientSocket(): { readonly socket: Socket; readonly v6: boolean } {
  for (const v6 of [true, false]) {
    const socket = udpSocket(v6);
    let failure: Error | undefined;
    socket.once('error', (error) => {
      failure = error;
    });
    // With a lookup that answers at once the bind is done, or has failed, when it returns.
    socket.bind(0, v6 ? '::' : '0.0.0.0');
    try {
      socket.address();
      grow(socket);
      socket.removeAllListeners('error');
      return { socket, v6 };
    } catch {
      socket.close();
      if (!v6) throw new TransportConfigError('ESOCKET', `open a udp socket: ${failure?.message ?? 'not bound'}`);
    }
  }
  throw new TransportConfigError('ESOCKET', 'open a udp socket');
}

/** An IPv4 peer of a dual-stack socket as plain IPv4. */
export function plainAddress(host: string): string {
  return host.startsWith('::ffff:') ? host.slice(7) : host;
}
