import type { RemoteInfo, Socket } from 'node:dgram';
import { systemClock } from '../../lib/clock.ts';
import { ErrorCode } from '../../protocol/error-codes.ts';
import type {
  ConnectionId,
  ConnectionWriter,
  TransportDebugging,
  TransportListener,
  TransportStats,
} from '../transport.ts';
import type { Quiche } from './bindings.ts';
import { capabilities } from './capabilities.ts';
import type { QuicheConnection } from './connection.ts';
import { ConnectionBook } from './connection-book.ts';
import { ConnectionTimers } from './connection-timers.ts';
import { DatagramPort } from './datagram-port.ts';
import { type LongHeader, readHeader, type ShortHeader } from './packet-header.ts';
import { ReadBuffer } from './read-buffer.ts';
import { RouteTable } from './route-table.ts';

/** The largest datagram sent: fits every path that QUIC may use, so that no path needs to be probed. */
export const sentDatagramBytesMax = 1200;

export interface EndpointLimits {
  readonly maxFrameBytes: number;
  readonly idleTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly debugging?: TransportDebugging;
  readonly sendBufferBytes: { readonly low: number; readonly high: number; readonly hard: number };
}

/** What server and client share: the socket, the routing of datagrams, sending, and the delivery of batches. */
export abstract class QuicheEndpoint implements ConnectionWriter {
  readonly kind = 'quiche';
  readonly capabilities = capabilities;
  protected readonly quiche: Quiche;
  protected readonly limits: EndpointLimits;
  protected readonly readBuffer = new ReadBuffer();
  protected readonly book: ConnectionBook;
  protected readonly routes = new RouteTable();
  protected readonly port: DatagramPort;
  protected running = true;
  protected datagramsDropped = 0;
  protected retriesSent = 0;
  readonly #timers = new ConnectionTimers();
  #framesSent = 0;
  /** Every connection that QUIC has not forgotten, closed ones too. */
  readonly #all = new Set<QuicheConnection>();
  readonly #touched = new Set<QuicheConnection>();
  readonly #dirty = new Set<QuicheConnection>();
  #closes: { connection: QuicheConnection; code: number; reason: string; atOnce: boolean }[] = [];
  #turnDue = false;
  #inTurn = false;
  #stopping: { readonly done: () => void; readonly deadline: NodeJS.Timeout } | undefined;
  #stopped = Promise.withResolvers<void>();

  constructor(quiche: Quiche, limits: EndpointLimits, socket: Socket, listener: TransportListener) {
    this.quiche = quiche;
    this.limits = limits;
    this.book = new ConnectionBook(listener);
    const received = (datagram: Buffer, from: RemoteInfo) => this.#received(datagram, from);
    this.port = new DatagramPort(socket, sentDatagramBytesMax, received, () => this.#checkStopped());
  }

  send(id: ConnectionId, head: Uint8Array, body?: Uint8Array): boolean {
    const connection = this.book.live.get(id);
    if (connection === undefined || connection.closing) return true;
    const length = head.length + (body?.length ?? 0);
    const header = Buffer.allocUnsafe(4);
    header.writeUInt32BE(length);
    connection.push(header);
    connection.push(head);
    if (body !== undefined) connection.push(body);
    this.#framesSent += 1;
    return this.#sent(connection);
  }

  flush(): void {
    for (const { connection, code, reason, atOnce } of this.#closes.splice(0)) {
      connection.beginClose(systemClock.nowMs(), code, reason, atOnce);
      this.touch(connection);
    }
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const connection of dirty) {
      connection.write();
      if (this.#inTurn) this.#touched.add(connection);
      else this.#transmit(connection);
    }
  }

  stats(): TransportStats {
    const { live, handshakes, framesReceived } = this.book;
    const { datagramsDropped, retriesSent } = this;
    const frames = { framesReceived, framesSent: this.#framesSent };
    const connections = live.size - handshakes;
    return { connections, handshakes, ...this.port.counts, ...frames, datagramsDropped, retriesSent };
  }

  close(id: ConnectionId, code: number, reason: string): void {
    const connection = this.book.live.get(id);
    if (connection !== undefined) this.#close(connection, code, reason, false);
  }

  /** Bytes for the stream as they are, without a frame's length: for tests of what a hostile peer sends. */
  sendBytes(id: ConnectionId, bytes: Uint8Array): boolean {
    const connection = this.book.live.get(id);
    if (connection === undefined || connection.closing) return true;
    connection.push(bytes);
    return this.#sent(connection);
  }

  /** Ends this side's direction of the stream after what was sent. */
  finish(id: ConnectionId): void {
    const connection = this.book.live.get(id);
    if (connection === undefined) return;
    connection.finish();
    this.#dirty.add(connection);
  }

  /** Frees the socket without a word to any peer or listener, as the death of the process would: for tests. */
  abandon(): void {
    if (!this.running) return;
    this.running = false;
    this.#timers.clearAll();
    this.port.close();
    this.#finishStop();
  }

  /** What a datagram means that belongs to no connection. */
  protected abstract stranger(header: LongHeader | ShortHeader, datagram: Buffer, from: RemoteInfo): void;

  /** Ids of QUIC that the peer no longer uses, or may be given. */
  protected abstract renewIds(connection: QuicheConnection): void;

  /** A connection is gone for good. */
  protected forgotten(_connection: QuicheConnection): void {}

  /** Tells in the next turn that a connection could not even begin. */
  protected adoptFailed(id: ConnectionId, reason: string): void {
    setImmediate(() => {
      this.book.tellClosed(id, { origin: 'lost', code: 0, reason });
      this.book.endBatch();
    });
  }

  protected adopt(connection: QuicheConnection): void {
    // The bindings begin each file anew: every connection has one of its own.
    const { keyLogFile } = this.limits.debugging ?? {};
    if (keyLogFile !== undefined) connection.quic.setKeylog(`${keyLogFile}.${connection.id}`);
    this.book.add(connection);
    this.#all.add(connection);
    this.touch(connection);
  }

  protected allConnections(): Iterable<QuicheConnection> {
    return this.#all;
  }

  /** Closes every connection, waits for the closes to leave (bounded), frees the socket. */
  protected stop(code: number, reason: string, deadlineMs: number): Promise<void> {
    if (!this.running || this.#stopping !== undefined) return this.#stopped.promise;
    this.flush();
    const nowMs = systemClock.nowMs();
    const deadline = setTimeout(() => this.#stopNow(), Math.max(0, deadlineMs));
    this.#stopping = { done: () => this.#stopNow(), deadline };
    for (const connection of this.book.live.values()) {
      connection.beginClose(nowMs, code, reason, false);
      this.touch(connection);
    }
    this.#scheduleTurn();
    return this.#stopped.promise;
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
    const header = readHeader(datagram);
    if (header === undefined) {
      this.datagramsDropped += 1;
      return;
    }
    const connection = this.routes.find(header.dcid);
    if (connection === undefined) return this.stranger(header, datagram, from);
    this.offer(connection, datagram, from);
  }

  /** Hands a datagram to a connection that it may be for. */
  protected offer(connection: QuicheConnection, datagram: Buffer, from: RemoteInfo): void {
    const { remote } = connection;
    const same = remote.host === from.address && remote.port === from.port;
    connection.receive(datagram, same ? remote : { host: from.address, port: from.port });
    this.touch(connection);
  }

  /** Looks at a connection in the next turn. */
  protected touch(connection: QuicheConnection): void {
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
    const nowMs = systemClock.nowMs();
    for (const connection of this.#touched) connection.process(nowMs, this.book);
    this.book.endBatch();
    this.#inTurn = false;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const connection of touched) this.#transmit(connection);
    this.#checkStopped();
  }

  #transmit(connection: QuicheConnection): void {
    if (!this.running || !this.#all.has(connection)) return;
    connection.transmit(
      () => this.port.packet(),
      (bytes, to) => this.port.sendPacket(bytes, to),
    );
    if (connection.quic.isEstablished()) this.renewIds(connection);
    if (connection.needsProcessing) this.touch(connection);
    if (connection.reported && connection.quic.isClosed()) return this.#forget(connection);
    this.#timers.set(connection, systemClock.nowMs(), () => this.#timeUp(connection));
  }

  #timeUp(connection: QuicheConnection): void {
    connection.timeUp(systemClock.nowMs());
    this.touch(connection);
  }

  #forget(connection: QuicheConnection): void {
    this.#timers.clear(connection);
    this.#all.delete(connection);
    this.routes.forget(connection);
    this.forgotten(connection);
  }

  #checkStopped(): void {
    if (this.#stopping !== undefined && this.book.live.size === 0 && this.port.isDrained && this.#touched.size === 0) {
      this.#stopping.done();
    }
  }

  /** The end of a shutdown: closes what is left, at once. */
  #stopNow(): void {
    if (!this.running) return;
    const nowMs = systemClock.nowMs();
    for (const connection of this.book.live.values()) connection.timeIsOver(nowMs);
    if (this.book.live.size > 0) {
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
