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
import { Relay } from './relay.ts';

/** A transport implementation, as the conformance suite takes it. */
export interface Adapter {
  readonly name: string;
  /** The address of its module, for a thread that loads it again. */
  readonly module: string;
  listen(options: ServerTransportOptions, listener: TransportListener): Promise<ServerTransport>;
  openClient(options: ClientTransportOptions, listener: TransportListener): ClientTransport;
}

/** The adapter of each side. */
export interface Pairing {
  readonly server: Adapter;
  readonly client: Adapter;
}

/** What the adapters offer to tests beside the port. */
export interface TestDoor {
  sendBytes(connection: ConnectionId, bytes: Uint8Array): boolean;
  finish(connection: ConnectionId): void;
  abandon(): void;
  /** Absent where the implementation never begins a key update. */
  updateKeys?(connection: ConnectionId): void;
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

/** Starts servers and clients of a pairing and stops them all. */
export class Rig {
  readonly #pairing: Pairing;
  readonly #stops: (() => Promise<void>)[] = [];

  constructor(pairing: Pairing) {
    this.#pairing = pairing;
  }

  async server(options: Partial<ServerTransportOptions> = {}, events = new Recorder()): Promise<Server> {
    const defaults = { ...common, ...(await testIdentity()), host: '127.0.0.1', port: 0 };
    const limits = { maxConnections: 10_000, retryThreshold: 1000 };
    const transport = await this.#pairing.server.listen({ ...defaults, ...limits, ...options }, events);
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
    const transport = this.#pairing.client.openClient({ ...common, trust, ...options }, events);
    this.#stops.push(() => transport.shutdown(1000));
    return { transport, events };
  }

  connect(client: Client, server: Server, serverName = 'localhost'): ConnectionId {
    return client.transport.connect({ host: '127.0.0.1', port: server.transport.address.port, serverName });
  }

  /** A relay in front of a server, stopped with the rest. */
  async relay(server: Server): Promise<Relay> {
    const relay = await Relay.start(server.transport.address.port);
    this.#stops.push(async () => relay.close());
    return relay;
  }

  /** Both ends of a new connection: the client's id and the server's. @param port of a relay in between. */
  async pair(
    client: Client,
    server: Server,
    port = server.transport.address.port,
  ): Promise<readonly [ConnectionId, ConnectionId]> {
    const before = new Set(server.events.opened.keys());
    const mine = client.transport.connect({ host: '127.0.0.1', port, serverName: 'localhost' });
    await client.events.untilOpened(mine);
    await server.events.until('a new connection', () => server.events.opened.size > before.size);
    const theirs = [...server.events.opened.keys()].find((id) => !before.has(id));
    if (theirs === undefined) throw new Error('the new connection vanished');
    return [mine, theirs];
  }

  /** As `pair`, and the client has spoken first: only then is there a stream to answer on. */
  async talking(client: Client, server: Server, port?: number): Promise<readonly [ConnectionId, ConnectionId]> {
    const [mine, theirs] = await this.pair(client, server, port);
    send(client, mine, Buffer.from('hello'));
    await server.events.until('the first frame', () => server.events.framesOf(theirs).length === 1);
    return [mine, theirs];
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.reverse()) await stop();
    this.#stops.length = 0;
  }
}

/** @throws when the transport has no such door: it is none of the two adapters. */
export function door(end: Client | Server): TestDoor {
  if (!('sendBytes' in end.transport && 'abandon' in end.transport)) throw new Error('no door for tests');
  return end.transport as unknown as TestDoor;
}

export function nameOf({ server, client }: Pairing): string {
  return `${server.name} server, ${client.name} client`;
}

export function send(end: Client | Server, connection: ConnectionId, ...frames: readonly Uint8Array[]): boolean {
  let more = true;
  for (const frame of frames) more = end.transport.send(connection, frame);
  end.transport.flush();
  return more;
}
