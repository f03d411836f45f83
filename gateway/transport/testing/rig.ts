import type {
  ClientTransport,
  ClientTransportOptions,
  ConnectionId,
  ServerTransport,
  ServerTransportOptions,
  TransportListener,
} from '../transport.ts';
import { type Authority, type Identity, makeAuthority } from './certificates.ts';
import { Recorder } from './recorder.ts';

/** A transport implementation, as the conformance suite takes it. */
export interface Adapter {
  readonly name: string;
  listen(options: ServerTransportOptions, listener: TransportListener): Promise<ServerTransport>;
  openClient(options: ClientTransportOptions, listener: TransportListener): ClientTransport;
}

const common = {
  alpn: 'gatesvr/1',
  maxFrameBytes: 65_536,
  idleTimeoutMs: 30_000,
  handshakeTimeoutMs: 10_000,
  sendBufferBytes: { low: 64 << 10, high: 256 << 10, hard: 4 << 20 },
  receiveBufferBytesMax: 4 << 20,
};

export interface Server {
  readonly transport: ServerTransport;
  readonly events: Recorder;
}

export interface Client {
  readonly transport: ClientTransport;
  readonly events: Recorder;
}

let authority: Promise<Authority> | undefined;
let identity: Promise<Identity> | undefined;

/** One authority for all tests of a process: making keys is the slow part. */
export async function testAuthority(): Promise<Authority> {
  authority ??= makeAuthority();
  return authority;
}

export async function testIdentity(): Promise<Identity> {
  const issuer = await testAuthority();
  identity ??= issuer.issue();
  return identity;
}

/** Starts servers and clients of one adapter and stops them all. */
export class Rig {
  readonly #adapter: Adapter;
  readonly #stops: (() => Promise<void>)[] = [];

  constructor(adapter: Adapter) {
    this.#adapter = adapter;
  }

  async server(options: Partial<ServerTransportOptions> = {}, events = new Recorder()): Promise<Server> {
    const defaults = { ...common, ...(await testIdentity()), host: '127.0.0.1', port: 0 };
    const limits = { maxConnections: 10_000, retryThreshold: 1000 };
    const transport = await this.#adapter.listen({ ...defaults, ...limits, ...options }, events);
    this.#stops.push(() => transport.shutdown(0, '', 1000));
    return { transport, events };
  }

  /** A server that sends every frame back. */
  async echo(options: Partial<ServerTransportOptions> = {}): Promise<Server> {
    const server = await this.server(options);
    server.events.onFrame = (connection, frame) => server.transport.send(connection, frame);
    server.events.onBatch = () => server.transport.flush();
    return server;
  }

  async client(options: Partial<ClientTransportOptions> = {}, events = new Recorder()): Promise<Client> {
    const trust = { ca: (await testAuthority()).certificate };
    const transport = this.#adapter.openClient({ ...common, trust, ...options }, events);
    this.#stops.push(() => transport.shutdown(1000));
    return { transport, events };
  }

  connect(client: Client, server: Server, serverName = 'localhost'): ConnectionId {
    return client.transport.connect({ host: '127.0.0.1', port: server.transport.address.port, serverName });
  }

  /** Both ends of a new connection: the client's id and the server's. */
  async pair(client: Client, server: Server): Promise<readonly [ConnectionId, ConnectionId]> {
    const before = new Set(server.events.opened.keys());
    const mine = this.connect(client, server);
    await client.events.untilOpened(mine);
    await server.events.until('a new connection', () => server.events.opened.size > before.size);
    const theirs = [...server.events.opened.keys()].find((id) => !before.has(id));
    if (theirs === undefined) throw new Error('the new connection vanished');
    return [mine, theirs];
  }

  /** As `pair`, and the client has spoken first: only then is there a stream to answer on. */
  async talking(client: Client, server: Server): Promise<readonly [ConnectionId, ConnectionId]> {
    const [mine, theirs] = await this.pair(client, server);
    send(client, mine, Buffer.from('hello'));
    await server.events.until('the first frame', () => server.events.framesOf(theirs).length === 1);
    return [mine, theirs];
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
    this.#stops.length = 0;
  }
}

export function send(end: Client | Server, connection: ConnectionId, ...frames: readonly Uint8Array[]): boolean {
  let more = true;
  for (const frame of frames) more = end.transport.send(connection, frame);
  end.transport.flush();
  return more;
}
