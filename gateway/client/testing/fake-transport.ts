import { allCapabilities } from '../../transport/capabilities.ts';
import type {
  ClientTransport,
  CloseCause,
  ConnectionId,
  ConnectOptions,
  TransportListener,
  TransportStats,
} from '../../transport/transport.ts';
import { type SimulatedConnection, SimulatedGateway } from './simulated-gateway.ts';

interface Line {
  readonly options: ConnectOptions;
  readonly connection: SimulatedConnection;
  opened: boolean;
  queued: Uint8Array[];
}

/** A client transport whose connections lead to a simulated gateway; everything moves at `flush`, one turn later. */
export class FakeTransport implements ClientTransport {
  readonly kind = 'quinn';
  readonly capabilities = allCapabilities;
  readonly gateway = new SimulatedGateway();
  readonly lines = new Map<ConnectionId, Line>();
  readonly connects: ConnectOptions[] = [];
  readonly closes: { connection: ConnectionId; code: number; reason: string }[] = [];
  /** Addresses that refuse, and those that never answer. */
  readonly refusing = new Set<string>();
  readonly silent = new Set<string>();
  flushes = 0;
  full = false;
  shutDown = false;
  rebinds = 0;
  readonly #listener: TransportListener;
  #next = 1;

  constructor(listener: TransportListener) {
    this.#listener = listener;
  }

  /** The open connection, if there is just one. */
  get line(): Line | undefined {
    return [...this.lines.values()].find(({ opened }) => opened);
  }

  connect(options: ConnectOptions): ConnectionId {
    const id = this.#next++;
    this.connects.push(options);
    if (this.silent.has(options.host)) return id;
    this.lines.set(id, { options, connection: this.gateway.connect(), opened: false, queued: [] });
    setImmediate(() => this.#open(id, options));
    return id;
  }

  send(connection: ConnectionId, head: Uint8Array, body?: Uint8Array): boolean {
    this.lines.get(connection)?.queued.push(Buffer.concat(body === undefined ? [head] : [head, body]));
    return !this.full;
  }

  flush(): void {
    this.flushes += 1;
    setImmediate(() => this.move());
  }

  /** Moves frames both ways on every connection, as one batch. */
  move(): void {
    for (const [id, line] of this.lines) {
      for (const frame of line.queued.splice(0)) this.gateway.receive(line.connection, frame);
      for (const frame of line.connection.down.splice(0)) this.#listener.frameReceived(id, frame);
      const { closedWith } = line.connection;
      if (closedWith !== undefined) this.#closed(id, { origin: 'peer', code: closedWith, reason: '' });
    }
    this.#listener.batchEnded();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const id of [...this.lines.keys()]) this.#closed(id, { origin: 'lost', code: 0, reason: 'timed out' });
    this.#listener.batchEnded();
  }

  drained(): void {
    this.full = false;
    for (const id of this.lines.keys()) this.#listener.connectionWritable(id);
    this.#listener.batchEnded();
  }

  close(connection: ConnectionId, code: number, reason: string): void {
    this.closes.push({ connection, code, reason });
    this.lines.delete(connection);
  }

  rebind(): void {
    this.rebinds += 1;
  }

  stats(): TransportStats {
    throw new Error('the fake counts nothing');
  }

  async shutdown(): Promise<void> {
    this.shutDown = true;
  }

  #open(id: ConnectionId, options: ConnectOptions): void {
    const line = this.lines.get(id);
    if (line === undefined) return;
    if (this.refusing.has(options.host)) {
      this.#closed(id, { origin: 'lost', code: 0, reason: 'port unreachable' });
    } else {
      line.opened = true;
      this.#listener.connectionOpened(id, { address: options.host, port: options.port, resumed: false });
    }
    this.#listener.batchEnded();
  }

  #closed(id: ConnectionId, cause: CloseCause): void {
    this.lines.delete(id);
    this.#listener.connectionClosed(id, cause);
  }
}
