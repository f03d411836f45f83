import type { CloseCause, CloseOrigin, ConnectionId, PeerInfo } from '../transport.ts';
import type { Connection, HostPort } from './bindings.ts';
import { causeOf, nameProblem } from './close-reason.ts';
import type { ConnectionEvents, ConnectionSettings } from './connection-settings.ts';
import { FlushTracker, flushMs } from './flush-tracker.ts';
import { FrameDecoder, FrameTooLargeError } from './frame-decoder.ts';
import { OutQueue } from './out-queue.ts';
import { plainAddress } from './socket.ts';

/** The one stream of a connection: the client's first bidirectional one. */
const streamId = 0;
const frameTooLarge = 4002;

export type Phase = 'handshaking' | 'open' | 'flushing' | 'closed';

/** One connection: what the bindings do not know about it. Time comes in; nothing is sent or told but through callbacks. */
export class QuicheConnection {
  readonly id: ConnectionId;
  readonly quic: Connection;
  readonly isClient: boolean;
  /** Ids under which datagrams for it arrive; kept by the endpoint. */
  readonly routes = new Set<string>();
  phase: Phase = 'handshaking';
  remote: HostPort;
  local: HostPort;
  resumed = false;
  /** A handshake from an address that proved nothing yet; counts towards Retry. */
  unvalidated = false;
  /** The session side asked for a close: it hears of nothing but the end. */
  closing = false;
  /** Its handshake is over, well or not; kept by the endpoint. */
  opened = false;
  /** The session side was told about the end. */
  reported = false;
  readonly #settings: ConnectionSettings;
  readonly #decoder: FrameDecoder;
  readonly #out = new OutQueue();
  #deadlineMs: number;
  #keepAliveMs = Number.POSITIVE_INFINITY;
  #hasStream: boolean;
  #finished = false;
  #watched = false;
  #sawOtherAddress = false;
  #cause: CloseCause | undefined;
  #close: { readonly code: number; readonly reason: string } | undefined;
  readonly #flush: FlushTracker;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.id = settings.id;
    this.quic = settings.quic;
    this.isClient = settings.isClient;
    this.remote = settings.remote;
    this.local = settings.local;
    this.#deadlineMs = settings.deadlineMs;
    this.#decoder = new FrameDecoder(settings.maxFrameBytes);
    this.#hasStream = settings.isClient;
    this.#flush = new FlushTracker(settings.quic, settings.idleTimeoutMs);
  }

  get bufferedBytes(): number {
    return this.#out.bytes;
  }

  get peer(): PeerInfo {
    return { address: plainAddress(this.remote.host), port: this.remote.port, resumed: this.resumed };
  }

  /** The peer's datagram, for QUIC. */
  receive(datagram: Buffer, from: HostPort): void {
    const { quic } = this;
    if (from.host !== this.remote.host || from.port !== this.remote.port) this.#sawOtherAddress = true;
    this.#flush.datagramReceived();
    try {
      quic.recv(datagram, { from, to: this.local });
    } catch {
      // The bindings have closed the connection for it, or there was none yet: the local error says why.
      if (this.phase !== 'closed') this.#end(causeOf(quic, this.#settings.verifiedName));
    }
  }

  /** Something is to be told that no datagram or timer will bring up. */
  get needsProcessing(): boolean {
    const drained = this.#watched && this.phase === 'open' && this.#out.bytes <= this.#settings.sendLowBytes;
    return drained || (this.#cause !== undefined && !this.reported);
  }

  push(bytes: Uint8Array): void {
    this.#out.push(bytes);
  }

  watch(): void {
    this.#watched = true;
  }

  /** Ends this side's direction of the stream after what was sent. */
  finish(): void {
    this.#finished = true;
  }

  /** Looks at everything that may have changed, and tells. */
  process(nowMs: number, events: ConnectionEvents): void {
    if (this.phase === 'handshaking' && this.quic.isEstablished()) this.#open(nowMs, events);
    if (this.phase === 'open' || this.phase === 'flushing') {
      if (this.#sawOtherAddress) this.#noteMoves(events);
      this.write();
      if (this.phase === 'open') this.#read(nowMs, events);
      if (this.phase === 'flushing' && nowMs >= this.#deadlineMs) this.#closeNow();
    }
    if (this.phase !== 'closed' && (this.quic.isClosed() || this.quic.isDraining()))
      this.#end(causeOf(this.quic, this.#settings.verifiedName));
    if (this.#watched && this.#out.bytes <= this.#settings.sendLowBytes && this.phase === 'open') {
      this.#watched = false;
      events.writable(this);
    }
    if (this.#cause !== undefined && !this.reported) {
      this.reported = true;
      events.closed(this, this.#cause);
    }
  }

  /** Moves queued bytes into the stream. */
  write(): void {
    if (this.phase === 'handshaking' || this.phase === 'closed' || !this.#streamIsThere()) return;
    try {
      this.#out.drain((chunk) => this.quic.streamSend(streamId, chunk, false) ?? 0);
      if (this.#finished && this.#out.bytes === 0) {
        this.quic.streamSend(streamId, new Uint8Array(0), true);
        this.#finished = false;
      }
    } catch (error) {
      const stopped = /StreamStopped\((\d+)\)/.exec(String(error));
      this.abandon(stopped === null ? String(error) : `the peer reads its stream no more (code ${stopped[1]})`);
    }
  }

  /** Sends what is queued, then closes; at once, it does not wait for anything. */
  beginClose(nowMs: number, code: number, reason: string, atOnce: boolean): void {
    if (this.phase === 'closed' || this.#close !== undefined) return;
    this.#close = { code, reason };
    if (atOnce || this.phase === 'handshaking') return this.#closeNow();
    this.phase = 'flushing';
    this.#deadlineMs = nowMs + flushMs;
    this.write();
  }

  /** Closes because the peer or the path left no other choice. */
  abandon(reason: string, origin: CloseOrigin = 'lost'): void {
    if (this.phase === 'closed') return;
    this.quic.close(true, 0, Buffer.from(reason));
    this.#end({ origin, code: 0, reason });
  }

  /** Hands out datagrams while there are any. @param send takes one whose bytes are in `packet`, to an address. */
  transmit(packet: () => Buffer, send: (bytes: Buffer, to: HostPort) => void): void {
    if (this.phase === 'flushing' && this.#out.bytes === 0) this.#flush.ask();
    let datagrams = 0;
    try {
      for (;;) {
        const bytes = packet();
        const sent = this.quic.send(bytes);
        if (sent === null) break;
        const [length, { to }] = sent;
        send(bytes.subarray(0, length), to);
        datagrams += 1;
      }
    } catch (error) {
      if (this.phase !== 'closed') this.abandon(String(error));
    }
    this.#flush.transmitted(datagrams);
    const flushed = this.phase === 'flushing' && this.#out.bytes === 0 && this.#flush.acknowledged;
    // Closed by the next call of `timeUp`, which is due at once.
    if (flushed) this.#deadlineMs = Number.NEGATIVE_INFINITY;
  }

  /** When `timeUp` must be called, if nothing else happens. */
  nextWakeMs(nowMs: number): number {
    const timeout = this.quic.timeout();
    // The bindings cut to whole milliseconds; one too early would find nothing to do, again and again.
    const quicMs = timeout === null ? Number.POSITIVE_INFINITY : nowMs + timeout + 1;
    return this.phase === 'closed' ? quicMs : Math.min(quicMs, this.#deadlineMs, this.#keepAliveMs);
  }

  timeUp(nowMs: number): void {
    if (this.quic.timeout() === 0) this.quic.onTimeout();
    if (this.phase === 'closed') return;
    if (nowMs >= this.#keepAliveMs) {
      this.quic.sendAckEliciting();
      this.#keepAliveMs = nowMs + this.#settings.idleTimeoutMs / 3;
    }
    if (nowMs < this.#deadlineMs) return;
    if (this.phase === 'handshaking') this.abandon('handshake timed out');
    else if (this.phase === 'flushing') this.#closeNow();
  }

  /** Ends a flush, or a handshake, that still runs. */
  timeIsOver(nowMs: number): void {
    if (this.phase === 'flushing' || this.phase === 'handshaking') this.#deadlineMs = nowMs;
    this.timeUp(nowMs);
  }

  #open(nowMs: number, events: ConnectionEvents): void {
    this.resumed = this.quic.isResumed();
    const { verifiedName } = this.#settings;
    // The bindings compare names, not addresses. A resumed session goes back to a certificate that was looked at.
    const problem = verifiedName === undefined || this.resumed ? undefined : nameProblem(this.quic, verifiedName);
    if (problem !== undefined) return this.abandon(problem);
    if (this.isClient && this.quic.peerStreamsLeftBidi() === 0) return this.abandon('the peer permits no stream');
    this.phase = 'open';
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    if (this.isClient) this.#keepAliveMs = nowMs + this.#settings.idleTimeoutMs / 3;
    events.opened(this);
  }

  /** A server's stream is there once the client has used it. */
  #streamIsThere(): boolean {
    if (!this.#hasStream) {
      try {
        this.quic.streamCapacity(streamId);
        this.#hasStream = true;
      } catch {
        return false;
      }
    }
    return true;
  }

  #read(nowMs: number, events: ConnectionEvents): void {
    try {
      while (this.phase === 'open' && this.quic.streamReadable(streamId)) {
        const space = this.#settings.readBuffer.space();
        const received = this.quic.streamRecv(streamId, space);
        if (received === null) return;
        const [length, fin] = received;
        this.#settings.readBuffer.used(length);
        this.#decoder.feed(space.subarray(0, length), (frame) => events.frame(this, frame));
        if (fin) this.#peerFinished(nowMs);
      }
      // Fails when the peer reads no more, also while there is nothing to send.
      if (this.phase === 'open' && this.#hasStream && !this.closing) this.quic.streamCapacity(streamId);
    } catch (error) {
      this.#readFailed(error as Error);
    }
  }

  #readFailed(error: Error): void {
    if (error instanceof FrameTooLargeError) {
      this.#close = { code: frameTooLarge, reason: error.message };
      return this.#closeNow();
    }
    const [, kind, code] = /Stream(Reset|Stopped)\((\d+)\)/.exec(error.message) ?? [];
    if (kind === 'Reset') this.abandon(`the peer reset its stream (code ${code})`);
    else if (kind === 'Stopped') this.abandon(`the peer reads its stream no more (code ${code})`);
  }

  /** The session side hears of it at once; what is queued goes on its way before the close. */
  #peerFinished(nowMs: number): void {
    this.#cause = { origin: 'fin', code: 0, reason: this.#decoder.insideFrame ? 'inside a frame' : '' };
    this.beginClose(nowMs, 0, '', false);
  }

  #noteMoves(events: ConnectionEvents): void {
    for (;;) {
      const event = this.quic.pathEventNext() as ReturnType<Connection['pathEventNext']> | null;
      if (event === null) return;
      if (event.type !== 'PeerMigrated') continue;
      this.remote = event.new;
      if (this.phase === 'open') events.moved(this);
    }
  }

  #closeNow(): void {
    const { code, reason } = this.#close ?? { code: 0, reason: '' };
    this.quic.close(true, code, Buffer.from(reason));
    this.#end({ origin: 'local', code, reason });
  }

  #end(cause: CloseCause): void {
    this.#cause ??= cause;
    this.phase = 'closed';
    this.#out.clear();
  }
}
