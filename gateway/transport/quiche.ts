import { loadQuiche } from './quiche/bindings.ts';
import { QuicheClient } from './quiche/client.ts';
import { QuicheServer } from './quiche/server.ts';
import { boundSocket } from './quiche/socket.ts';
import type {
  ClientTransport,
  ClientTransportOptions,
  ServerTransport,
  ServerTransportOptions,
  TransportListener,
} from './transport.ts';

/**
 * Binds the address and takes connections from then on. An empty host means every address, IPv6 and IPv4.
 * @throws TransportUnavailableError without the package; TransportConfigError for a certificate that does not parse, or
 *   a socket that cannot be had (`code` EADDRINUSE and others).
 */
export async function listen(options: ServerTransportOptions, listener: TransportListener): Promise<ServerTransport> {
  const quiche = loadQuiche();
  const socket = await boundSocket(options.host === '' ? '::' : options.host, options.port);
  try {
    return new QuicheServer(quiche, options, socket, listener);
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Opens one socket for many client connections.
 * @throws TransportUnavailableError without the package; TransportConfigError for authorities that do not parse.
 */
export function openClient(options: ClientTransportOptions, listener: TransportListener): ClientTransport {
  return new QuicheClient(loadQuiche(), options, listener);
}
