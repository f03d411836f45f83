import { checked, loadNative, type NativeOptions } from './native.ts';
import { connectionId, slotBits } from './packing.ts';
import { QuinnEndpoint } from './quinn-endpoint.ts';
import type {
  ClientTransport,
  ClientTransportOptions,
  ConnectionId,
  ConnectOptions,
  ServerTransport,
  ServerTransportOptions,
  TransportListener,
} from './transport.ts';

const slotsMax = 1 << slotBits;
const clientSlots = 1 << 17;

class QuinnServer extends QuinnEndpoint implements ServerTransport {
  readonly address: { readonly host: string; readonly port: number };

  constructor(options: ServerTransportOptions, listener: TransportListener) {
    // More slots than connections: a slot rests before it is used again.
    const slots = Math.min(slotsMax, 2 * options.maxConnections + 1024);
    const { host, port, certificate, privateKey, secrets = [] } = options;
    const { maxConnections: connectionsMax, retryThreshold } = options;
    const endpoint = { ...common(options), slots, connectionsMax, retryThreshold };
    const native = loadNative();
    super(
      (wake) => checked(() => native.Endpoint.server({ endpoint, host, port, certificate, privateKey, secrets }, wake)),
      slots,
      options.sendBufferBytes,
      listener,
    );
    this.address = { host: this.native.host, port: this.native.port };
  }

  setCertificate(certificate: string, privateKey: string): void {
    checked(() => this.native.setCertificate(certificate, privateKey));
  }

  setSecrets(secrets: readonly Uint8Array[]): void {
    this.native.setSecrets(secrets);
  }

  stopAccepting(): void {
    this.native.stopAccepting();
  }

  shutdown(code: number, reason: string, deadlineMs: number): Promise<void> {
    return this.stop(code, reason, deadlineMs);
  }
}

class QuinnClient extends QuinnEndpoint implements ClientTransport {
  readonly #freeSlots: number[] = [];
  readonly #generations = new Uint32Array(clientSlots);
  #usedSlots = 0;

  constructor(options: ClientTransportOptions, listener: TransportListener) {
    const native = loadNative();
    const ca = 'ca' in options.trust ? options.trust.ca : undefined;
    const nativeOptions = { ...common(options), slots: clientSlots, connectionsMax: clientSlots, retryThreshold: 0 };
    super(
      (wake) => checked(() => native.Endpoint.client(nativeOptions, ca, wake)),
      clientSlots,
      options.sendBufferBytes,
      listener,
    );
  }

  connect(options: ConnectOptions): ConnectionId {
    const slot = this.#freeSlots.pop() ?? this.#usedSlots++;
    if (slot >= clientSlots) throw new RangeError(`more than ${clientSlots} connections of one client transport`);
    const generation = (this.#generations[slot] ?? 0) + 1;
    this.#generations[slot] = generation;
    const connection = connectionId(slot, generation);
    this.register(slot, connection);
    this.commands.connect(connection, options.host, options.port, options.serverName ?? options.host);
    this.flush();
    return connection;
  }

  rebind(): void {
    checked(() => this.native.rebind());
  }

  shutdown(deadlineMs: number): Promise<void> {
    return this.stop(0, '', deadlineMs);
  }

  protected override released(slot: number): void {
    this.#freeSlots.push(slot);
  }
}

function common(
  options: ServerTransportOptions | ClientTransportOptions,
): Omit<NativeOptions, 'connectionsMax' | 'slots' | 'retryThreshold'> {
  return {
    alpn: options.alpn,
    maxFrameBytes: options.maxFrameBytes,
    idleTimeoutMs: options.idleTimeoutMs,
    handshakeTimeoutMs: options.handshakeTimeoutMs,
    sendLowBytes: options.sendBufferBytes.low,
    sendHighBytes: options.sendBufferBytes.high,
    receiveBytesMax: options.receiveBufferBytesMax,
    ...options.debugging,
  };
}

/**
 * Binds the address and takes connections from then on. An empty host means every address, IPv6 and IPv4.
 * @throws TransportUnavailableError without the addon; TransportConfigError for a certificate that does not parse, or
 *   a socket that cannot be had (`code` EADDRINUSE and others).
 */
export async function listen(options: ServerTransportOptions, listener: TransportListener): Promise<ServerTransport> {
  return new QuinnServer({ ...options, host: options.host === '' ? '::' : options.host }, listener);
}

/**
 * Opens one socket for many client connections.
 * @throws TransportUnavailableError without the addon; TransportConfigError for authorities that do not parse.
 */
export function openClient(options: ClientTransportOptions, listener: TransportListener): ClientTransport {
  return new QuinnClient(options, listener);
}
