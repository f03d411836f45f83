import { randomBytes } from 'node:crypto';
import type { RemoteInfo } from 'node:dgram';
import { isIP } from 'node:net';
import { systemClock } from '../../lib/clock.ts';
import type {
  ClientTransport,
  ClientTransportOptions,
  ConnectionId,
  ConnectOptions,
  TransportListener,
} from '../transport.ts';
import type { Config, HostPort, Quiche } from './bindings.ts';
import { clientConfig } from './config.ts';
import { QuicheConnection } from './connection.ts';
import { QuicheEndpoint } from './endpoint.ts';
import { cidBytes, type LongHeader, type ShortHeader } from './packet-header.ts';
import { clientSocket } from './socket.ts';

/** Sessions kept for resumption, one a server name. */
const sessionsMax = 256;
const spareIdsMax = 2;

export class QuicheClient extends QuicheEndpoint implements ClientTransport {
  readonly #config: Config;
  readonly #verifies: boolean;
  /** The last ticket of each server name; one is used once. */
  readonly #sessions = new Map<string, Uint8Array>();
  readonly #serverNames = new Map<QuicheConnection, string>();
  #v6: boolean;

  constructor(quiche: Quiche, options: ClientTransportOptions, listener: TransportListener) {
    const config = clientConfig(quiche, options);
    const { socket, v6 } = clientSocket();
    super(quiche, options, socket, listener);
    this.#config = config;
    this.#verifies = 'ca' in options.trust;
    this.#v6 = v6;
  }

  connect(options: ConnectOptions): ConnectionId {
    const id = this.book.newId();
    const problem = this.#addressProblem(options);
    if (problem !== undefined) this.adoptFailed(id, problem);
    else this.#connect(id, options);
    return id;
  }

  rebind(): void {
    const { socket, v6 } = clientSocket();
    this.#v6 = v6;
    this.port.replace(socket);
    for (const connection of this.allConnections()) this.#moveTo(connection, this.port.local);
  }

  shutdown(deadlineMs: number): Promise<void> {
    return this.stop(0, '', deadlineMs);
  }

  protected override stranger(header: LongHeader | ShortHeader, datagram: Buffer, from: RemoteInfo): void {
    this.datagramsDropped += 1;
    if (header.form === 'long') return;
    // A stateless reset has a random id: whoever talks to that address may know its token.
    for (const connection of this.book.live.values()) {
      const { host, port } = connection.remote;
      if (port === from.port && host === from.address) this.offer(connection, Buffer.from(datagram), from);
    }
  }

  protected override renewIds(connection: QuicheConnection): void {
    this.#keepSession(connection);
    // A client that lost its connections has nothing to reset: nobody ever learns such a token.
    const resetToken = () => randomBytes(16).readBigUInt64BE();
    this.routes.renew(connection, spareIdsMax, () => ({ cid: randomBytes(cidBytes), resetToken: resetToken() }));
  }

  protected override forgotten(connection: QuicheConnection): void {
    this.#serverNames.delete(connection);
  }

  #addressProblem({ host, port }: ConnectOptions): string | undefined {
    if (!this.running) return 'the transport shuts down';
    const family = isIP(host);
    if (family === 0) return `"${host}" is not an IP address`;
    if (family === 6 && !this.#v6) return `${host}: this machine has no IPv6`;
    return port >= 1 && port <= 65_535 ? undefined : `port ${port}: not an address to send to`;
  }

  #connect(id: ConnectionId, { host, port, serverName = host }: ConnectOptions): void {
    const remote = { host: this.#v6 && isIP(host) === 4 ? `::ffff:${host}` : host, port };
    const named = isIP(serverName) === 0;
    const scid = randomBytes(cidBytes);
    const { local } = this.port;
    const connection = new QuicheConnection({
      quic: this.quiche.Connection.connect(named ? serverName : null, scid, local, remote, this.#config),
      id,
      isClient: true,
      remote,
      local,
      maxFrameBytes: this.limits.maxFrameBytes,
      sendLowBytes: this.limits.sendBufferBytes.low,
      idleTimeoutMs: this.limits.idleTimeoutMs,
      deadlineMs: systemClock.nowMs() + this.limits.handshakeTimeoutMs,
      readBuffer: this.readBuffer,
      ...(this.#verifies ? { verifiedName: serverName } : {}),
    });
    this.#serverNames.set(connection, serverName);
    this.#resume(connection, serverName);
    this.routes.add(connection, scid);
    this.adopt(connection);
  }

  #resume(connection: QuicheConnection, serverName: string): void {
    const session = this.#sessions.get(serverName);
    if (session === undefined) return;
    this.#sessions.delete(serverName);
    connection.quic.setSession(session);
  }

  #keepSession(connection: QuicheConnection): void {
    const serverName = this.#serverNames.get(connection);
    if (serverName === undefined) return;
    const session = connection.quic.session();
    if (session === null) return;
    // One ticket a connection is kept: the first that came.
    this.#serverNames.delete(connection);
    if (this.#sessions.size >= sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value ?? '');
    this.#sessions.set(serverName, session);
  }

  /** On a new path where the peer gave an id for it; else, as behind a NAT that rebinds, without a word to QUIC. */
  #moveTo(connection: QuicheConnection, local: HostPort): void {
    try {
      connection.quic.migrateSource(local);
      connection.local = local;
    } catch {
      connection.quic.sendAckEliciting();
    }
    this.touch(connection);
  }
}
