import type { RemoteInfo, Socket } from 'node:dgram';
import { ErrorCode } from '../../protocol/error-codes.ts';
import type { CloseCause, ConnectionId, ConnectionWriter, TransportListener, TransportStats } from '../transport.ts';
import type { HostPort, Quiche } from './bindings.ts';
import type { ConnectionEvents, QuicheConnection } from './connection.ts';
import { type LongHeader, readHeader, type ShortHeader } from './packet-header.ts';
import { PacketPool } from './packet-pool.ts';
import { ReadBuffer } from './read-buffer.ts';

/** The largest datagram sent: fits every path that QUIC may use, so that no path needs to be probed. */
export const sentDatagramBytesMax = 1200;

export interface EndpointLimits {
  readonly maxFrameBytes: number;
  readonly idleTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly sendBufferBytes: { readonly low: number; readonly high: number; readonly hard: number };
}

/** What server and client share: the socket, the routing of datagrams, sending, and the delivery of batches. */
export abstract class QuicheEndpoint implements ConnectionWriter {
  readonly kind = 'quiche';
  protected readonly quiche: Quiche;
  protected readonly limits: EndpointLimits;
  protected readonly readBuffer = new ReadBuffer();
  protected readonly live = new Map<ConnectionId, QuicheConnection>();
  /** By connection id of QUIC, as latin1. */
  protected readonly routes = new Map<string, QuicheConnection>();
  protected handshakes = 0;
  protected unvalidated = 0;
  protected running = true;
  protected readonly counts = {
    bytesReceived: 0,
    bytesSent: 0,
    framesReceived: 0,
    framesSent: 0,
    datagramsReceived: 0,
    datagramsSent: 0,
    datagramsDropped: 0,
    retriesSent: 0,
  };
  readonly #listener: TransportListener;
  readonly #events: ConnectionEvents;
  readonly #packets = new PacketPool(sentDatagramBytesMax);
  /** Every connection that QUIC has not forgotten, closed ones too. */
  readonly #all = new Set<QuicheConnection>();
  readonly #touched = new Set<QuicheConnection>();
  readonly #dirty = new Set<QuicheConnection>();
  #closes: { connection: QuicheConnection; code: number; reason: string; atOnce: boolean }[] = [];
  #socket: Socket;
  #turnDue = false;
  #inTurn = false;
  #told = false;
  #sending = 0;
  #stopping: { readonly done: () => void; readonly deadline: NodeJS.Timeout } | undefined;
  #stopped = Promise.withResolvers<void>();
  #nextId = 1;

  constructor(quiche: Quiche, limits: EndpointLimits, socket: Socket, listener: TransportListener) {
    this.quiche = quiche;
    this.limits = limits;
    this.#listener = listener;
    this.#socket = socket;
    this.#events = this.#listenerEvents();
    this.useSocket(socket);
  }

  send(id: ConnectionId, head: Uint8Array, body?: Uint8Array): boolean {
    const connection = this.live.get(id);
    if (connection === undefined || connection.closing) return true;
    const length = head.length + (body?.length ?? 0);
    const header = Buffer.allocUnsafe(4);
    header.writeUInt32BE(length);
    connection.push(header);
    connection.push(head);
    if (body !== undefined) connection.push(body);
    this.counts.framesSent += 1;
    return this.#sent(connection);
  }

  flush(): void {
    for (const { connection, code, reason, atOnce } of this.#closes.splice(0)) {
      connection.beginClose(performance.now(), code, reason, atOnce);
      this.#touch(connection);
    }
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const connection of dirty) {
      connection.write();
      if (this.#inTurn) this.#touched.add(connection);
      else this.#transmit(connection);
    }
  }

  close(id: ConnectionId, code: number, reason: string): void {
    const connection = this.live.get(id);
    if (connection !== undefined) this.#close(connection, code, reason, false);
  }

  stats(): TransportStats {
    const { handshakes, live } = this;
    return { connections: live.size - handshakes, handshakes, ...this.counts };
  }

  /** Bytes for the stream as they are, without a frame's length: for tests of what a hostile peer sends. */
  sendBytes(id: ConnectionId, bytes: Uint8Array): boolean {
    const connection = this.live.get(id);
    if (connection === undefined || connection.closing) return true;
    connection.push(bytes);
    return this.#sent(connection);
  }

  /** Ends this side's direction of the stream after what was sent. */
  finish(id: ConnectionId): void {
    const connection = this.live.get(id);
    if (connection === undefined) return;
    connection.finish();
    this.#dirty.add(connection);
  }

  /** Frees the socket without a word to any peer or listener, as the death of the process would: for tests. */
  abandon(): void {
    if (!this.running) return;
    this.running = false;
    for (const connection of this.#all) clearTimeout(connection.timer);
    this.#socket.close();
    this.#finishStop();
  }

  /** What a datagram means that belongs to no connection. */
  protected abstract stranger(header: LongHeader | ShortHeader, datagram: Buffer, from: RemoteInfo): void;

  /** Ids of QUIC that the peer no longer uses, or may be given. */
  protected abstract renewIds(connection: QuicheConnection): void;

  /** A connection is gone for good. */
  protected forgotten(_connection: QuicheConnection): void {}

  protected newId(): ConnectionId {
    return this.#nextId++;
  }

  protected useSocket(socket: Socket): void {
    if (socket !== this.#socket) this.#socket.close();
    this.#socket = socket;
    socket.on('message', (datagram, from) => this.#received(datagram, from));
    // Reports of single sends that failed; QUIC sends again.
    socket.on('error', () => {});
  }

  protected get local(): HostPort {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  /** Tells in the next turn that a connection could not even begin. */
  protected adoptFailed(id: ConnectionId, reason: string): void {
    setImmediate(() => {
      guard(() => this.#listener.connectionClosed(id, { origin: 'lost', code: 0, reason }));
      guard(() => this.#listener.batchEnded());
    });
  }

  protected adopt(connection: QuicheConnection): void {
    this.live.set(connection.id, connection);
    this.#all.add(connection);
    this.handshakes += 1;
    if (connection.unvalidated) this.unvalidated += 1;
    this.#touch(connection);
  }

  protected addRoute(connection: QuicheConnection, cid: Uint8Array): void {
    const key = Buffer.from(cid).toString('latin1');
    connection.routes.add(key);
    this.routes.set(key, connection);
  }

  protected removeRoute(connection: QuicheConnection, cid: Uint8Array): void {
    const key = Buffer.from(cid).toString('latin1');
    if (connection.routes.delete(key)) this.routes.delete(key);
  }

  /** Looks at a connection in the next turn. */
  protected touch(connection: QuicheConnection): void {
    this.#touch(connection);
  }

  protected allConnections(): Iterable<QuicheConnection> {
    return this.#all;
  }

  protected sendDatagram(bytes: Buffer, to: HostPort): void {
    if (!this.running) return;
    this.#sending += 1;
    this.counts.datagramsSent += 1;
    this.counts.bytesSent += bytes.length;
    this.#socket.send(bytes, to.port, to.host, () => {
      this.#sending -= 1;
      this.#checkStopped();
    });
  }

  /** Closes every connection, waits for the closes to leave (bounded), frees the socket. */
  protected stop(code: number, reason: string, deadlineMs: number): Promise<void> {
    if (!this.running || this.#stopping !== undefined) return this.#stopped.promise;
    this.flush();
    const nowMs = performance.now();
    const deadline = setTimeout(() => this.#stopNow(), Math.max(0, deadlineMs));
    this.#stopping = { done: () => this.#stopNow(), deadline };
    for (const connection of this.live.values()) {
      connection.beginClose(nowMs, code, reason, false);
      this.#touch(connection);
    }
    this.#scheduleTurn();
    return this.#stopped.promise;
  }

  #listenerEvents(): ConnectionEvents {
    const listener = this.#listener;
    const tell = (call: () => void) => {
      this.#told = true;
      guard(call);
    };
    return {
      opened: (connection) => {
        this.#handshakeOver(connection);
        if (!connection.closing) tell(() => listener.connectionOpened(connection.id, connection.peer));
      },
      frame: (connection, frame) => {
        this.counts.framesReceived += 1;
        if (!connection.closing) tell(() => listener.frameReceived(connection.id, frame));
      },
      moved: (connection) => {
        if (!connection.closing) tell(() => listener.peerMoved(connection.id, connection.peer));
      },
      writable: (connection) => {
        if (!connection.closing) tell(() => listener.connectionWritable(connection.id));
      },
      closed: (connection, cause) => this.#closed(connection, cause, tell),
    };
  }

  #closed(connection: QuicheConnection, cause: CloseCause, tell: (call: () => void) => void): void {
    const wasOpen = connection.opened;
    this.#handshakeOver(connection);
    this.live.delete(connection.id);
    // A handshake with a server that came to nothing was never told of.
    if (connection.isClient || wasOpen) tell(() => this.#listener.connectionClosed(connection.id, cause));
  }

  #handshakeOver(connection: QuicheConnection): void {
    if (connection.opened) return;
    connection.opened = true;
    this.handshakes -= 1;
    if (connection.unvalidated) this.unvalidated -= 1;
  }

  #sent(connection: QuicheConnection): boolean {
    this.#dirty.add(connection);
    const { high, hard } = this.limits.sendBufferBytes;
    const buffered = connection.bufferedBytes;
    if (buffered <= high) return true;
    if (buffered > hard) {
      const reason = `${buffered} bytes wait, at most ${hard}`;
      this.#close(connection, ErrorCode.ERROR_SLOW_CONSUMER, reason, true);
    } else connection.watch();
    return false;
  }

  #close(connection: QuicheConnection, code: number, reason: string, atOnce: boolean): void {
    if (connection.closing) return;
    connection.closing = true;
    this.#closes.push({ connection, code, reason, atOnce });
  }

  #received(datagram: Buffer, from: RemoteInfo): void {
    if (!this.running) return;
    this.counts.datagramsReceived += 1;
    this.counts.bytesReceived += datagram.length;
    const header = readHeader(datagram);
    if (header === undefined) {
      this.counts.datagramsDropped += 1;
      return;
    }
    const connection = this.routes.get(header.dcid.toString('latin1'));
    if (connection === undefined) return this.stranger(header, datagram, from);
    this.#deliver(connection, datagram, from);
  }

  #deliver(connection: QuicheConnection, datagram: Buffer, from: RemoteInfo): void {
    const { remote } = connection;
    const same = remote.host === from.address && remote.port === from.port;
    connection.receive(datagram, same ? remote : { host: from.address, port: from.port });
    this.#touch(connection);
  }

  /** Hands a datagram to a connection that it may be for. */
  protected offer(connection: QuicheConnection, datagram: Buffer, from: RemoteInfo): void {
    this.#deliver(connection, datagram, from);
  }

  #touch(connection: QuicheConnection): void {
    this.#touched.add(connection);
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    setImmediate(() => this.#turn());
  }

  /** One batch: everything that came since the last one is told, then everything that is due is sent. */
  #turn(): void {
    this.#turnDue = false;
    if (!this.running) return;
    this.#inTurn = true;
    this.#told = false;
    const nowMs = performance.now();
    for (const connection of this.#touched) connection.process(nowMs, this.#events);
    if (this.#told) guard(() => this.#listener.batchEnded());
    this.#inTurn = false;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const connection of touched) this.#transmit(connection);
    this.#checkStopped();
  }

  #transmit(connection: QuicheConnection): void {
    if (!this.running || !this.#all.has(connection)) return;
    connection.transmit(
      () => this.#packets.packet(),
      (bytes, to) => {
        this.#packets.used(bytes.length);
        this.sendDatagram(bytes, to);
      },
    );
    if (connection.quic.isEstablished()) this.renewIds(connection);
    if (connection.needsProcessing) this.#touch(connection);
    if (connection.reported && connection.quic.isClosed()) return this.#forget(connection);
    this.#schedule(connection);
  }

  /** A timer that comes too early looks again; only an earlier time needs a new one. */
  #schedule(connection: QuicheConnection): void {
    const nowMs = performance.now();
    const atMs = connection.nextWakeMs(nowMs);
    if (atMs === Number.POSITIVE_INFINITY) return;
    if (connection.timer !== undefined) {
      if (connection.timerAtMs <= atMs) return;
      clearTimeout(connection.timer);
    }
    connection.timerAtMs = atMs;
    connection.timer = setTimeout(() => this.#timeUp(connection), Math.max(1, Math.ceil(atMs - nowMs)));
  }

  #timeUp(connection: QuicheConnection): void {
    connection.timer = undefined;
    connection.timeUp(performance.now());
    this.#touch(connection);
  }

  #forget(connection: QuicheConnection): void {
    clearTimeout(connection.timer);
    this.#all.delete(connection);
    for (const key of connection.routes) this.routes.delete(key);
    this.forgotten(connection);
  }

  #checkStopped(): void {
    if (this.#stopping !== undefined && this.live.size === 0 && this.#sending === 0 && this.#touched.size === 0) {
      this.#stopping.done();
    }
  }

  /** The end of a shutdown: closes what is left, at once. */
  #stopNow(): void {
    if (!this.running) return;
    const nowMs = performance.now();
    for (const connection of this.live.values()) connection.timeIsOver(nowMs);
    if (this.live.size > 0) {
      this.#turn();
      // What the last closes need is in the kernel's hands after this.
      setImmediate(() => this.abandon());
      return;
    }
    this.abandon();
  }

  #finishStop(): void {
    clearTimeout(this.#stopping?.deadline);
    this.#stopped.resolve();
  }
}

/** What a listener throws must not keep the others from their events: it surfaces after the batch. */
function guard(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
