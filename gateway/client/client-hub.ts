import type { Clock } from '../lib/clock.ts';
import type {
  ClientTransport,
  ClientTransportOptions,
  CloseCause,
  ConnectionId,
  TransportListener,
  TransportStats,
} from '../transport/transport.ts';
import { DeadlineQueue, type Sleeper } from './deadline-queue.ts';
import { type Lookup, Resolver } from './resolve.ts';

/** Opens the one transport of a hub; the adapters' `openClient` fits. */
export type OpenClientTransport = (
  options: ClientTransportOptions,
  listener: TransportListener,
) => ClientTransport | Promise<ClientTransport>;

/** Who is told about one connection. `batchEnded` follows for every member that was told something in a batch. */
export interface ConnectionOwner {
  opened(connection: ConnectionId): void;
  frame(connection: ConnectionId, frame: Uint8Array): void;
  writable(connection: ConnectionId): void;
  closed(connection: ConnectionId, cause: CloseCause): void;
}

/** A client of the hub: is woken by time, and settled once for all that happened in a turn. */
export interface HubMember extends Sleeper {
  tick(nowMs: number): void;
  /** Carries out what its session wants, and schedules its next wake-up. */
  settle(nowMs: number): void;
  /** The hub is shut down: nothing will come any more. */
  abandon(): void;
}

const timerMaxMs = 60 * 60 * 1000;

/** Many clients over one transport: routes events by connection, keeps one timer for all, flushes once a turn. */
export class ClientHub {
  readonly clock: Clock;
  readonly resolver: Resolver;
  #transport: ClientTransport | undefined;
  readonly #owners = new Map<ConnectionId, ConnectionOwner>();
  readonly #members = new Set<HubMember>();
  readonly #deadlines = new DeadlineQueue<HubMember>();
  #dirty: HubMember[] = [];
  #settling = false;
  #flushQueued = false;
  /** Something was handed to the transport since the last flush. */
  #unflushed = false;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  private constructor(clock: Clock, lookup: Lookup) {
    this.clock = clock;
    this.resolver = new Resolver(lookup, () => clock.nowMs());
  }

  static async open(
    open: OpenClientTransport,
    options: ClientTransportOptions,
    clock: Clock,
    lookup: Lookup,
  ): Promise<ClientHub> {
    const hub = new ClientHub(clock, lookup);
    hub.#transport = await open(options, hub.#listener());
    return hub;
  }

  /** Dials an IP address. @throws Error when the hub was shut down. */
  connect(host: string, port: number, serverName: string, owner: ConnectionOwner): ConnectionId {
    if (this.#transport === undefined) throw new Error('the hub is shut down');
    const connection = this.#transport.connect({ host, port, serverName });
    this.#owners.set(connection, owner);
    this.#handed();
    return connection;
  }

  /** From now on another one is told. */
  handOver(connection: ConnectionId, owner: ConnectionOwner): void {
    if (this.#owners.has(connection)) this.#owners.set(connection, owner);
  }

  /** @returns false when no more should be sent until the connection is writable again. */
  send(connection: ConnectionId, frame: Uint8Array): boolean {
    this.#handed();
    return this.#transport?.send(connection, frame) ?? true;
  }

  /** Nothing more is heard of the connection. */
  close(connection: ConnectionId, code: number, reason: string): void {
    if (!this.#owners.delete(connection)) return;
    this.#transport?.close(connection, code, reason);
    this.#handed();
  }

  /** Settles the member at the end of this batch or turn. */
  settleSoon(member: HubMember): void {
    this.#dirty.push(member);
    this.#flushSoon();
  }

  schedule(member: HubMember, dueMs: number): void {
    // A wake-up that comes too early does nothing; moving it on every event would cost more.
    if (dueMs >= member.wakeMs) return;
    this.#deadlines.schedule(member, dueMs);
    this.#armTimer();
  }

  add(member: HubMember): void {
    this.#members.add(member);
  }

  remove(member: HubMember): void {
    this.#members.delete(member);
    this.#deadlines.remove(member);
  }

  rebind(): void {
    this.#transport?.rebind();
  }

  stats(): TransportStats | undefined {
    return this.#transport?.stats();
  }

  async shutdown(deadlineMs: number): Promise<void> {
    const transport = this.#transport;
    for (const member of this.#members) member.abandon();
    this.#settleAll();
    this.#transport = undefined;
    clearTimeout(this.#timer);
    this.#owners.clear();
    await transport?.shutdown(deadlineMs);
  }

  #listener(): TransportListener {
    return {
      connectionOpened: (connection) => this.#owners.get(connection)?.opened(connection),
      frameReceived: (connection, frame) => this.#owners.get(connection)?.frame(connection, frame),
      peerMoved: () => {},
      connectionWritable: (connection) => this.#owners.get(connection)?.writable(connection),
      connectionClosed: (connection, cause) => {
        const owner = this.#owners.get(connection);
        this.#owners.delete(connection);
        owner?.closed(connection, cause);
      },
      batchEnded: () => this.#settleAll(),
    };
  }

  #handed(): void {
    this.#unflushed = true;
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushQueued || this.#settling) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.#settleAll();
    });
  }

  #settleAll(): void {
    if (this.#settling) return;
    this.#settling = true;
    try {
      while (this.#dirty.length > 0) {
        const dirty = this.#dirty;
        this.#dirty = [];
        const nowMs = this.clock.nowMs();
        for (const member of dirty) member.settle(nowMs);
      }
    } finally {
      this.#settling = false;
      if (this.#unflushed) this.#transport?.flush();
      this.#unflushed = false;
    }
  }

  #armTimer(): void {
    const nextMs = this.#deadlines.nextMs;
    if (nextMs >= this.#timerMs || this.#transport === undefined) return;
    clearTimeout(this.#timer);
    this.#timerMs = nextMs;
    const delayMs = Math.min(Math.max(1, Math.ceil(nextMs - this.clock.nowMs())), timerMaxMs);
    this.#timer = setTimeout(() => this.#wake(), delayMs);
  }

  #wake(): void {
    this.#timerMs = Number.POSITIVE_INFINITY;
    const nowMs = this.clock.nowMs();
    for (let member = this.#deadlines.take(nowMs); member !== undefined; member = this.#deadlines.take(nowMs)) {
      member.tick(nowMs);
      this.#dirty.push(member);
    }
    this.#settleAll();
    this.#armTimer();
  }
}
