import { ErrorCode } from '../protocol/error-codes.ts';
import { allCapabilities } from './capabilities.ts';
import { type NativeEndpoint, TransportFailedError } from './native.ts';
import { CommandWriter, connectionId, Event, eventWords, slotOf } from './packing.ts';
import type { CloseOrigin, ConnectionId, ConnectionWriter, TransportListener, TransportStats } from './transport.ts';

const origins: readonly CloseOrigin[] = ['local', 'peer', 'fin', 'lost'];

/** Commands are handed over before a flush once they hold this much. */
const submitBytesMax = 1 << 20;

const State = { none: 0, open: 1, full: 2, closing: 3 } as const;

export interface SendLimits {
  readonly high: number;
  readonly hard: number;
}

/** What server and client share: the tables by slot, sending, and the delivery of batches. */
export class QuinnEndpoint implements ConnectionWriter {
  readonly kind = 'quinn';
  readonly capabilities = allCapabilities;
  protected readonly native: NativeEndpoint;
  protected readonly commands = new CommandWriter();
  readonly #listener: TransportListener;
  readonly #limits: SendLimits;
  readonly #drained: Uint32Array;
  /** The connection in each slot, and how many bytes were ever queued for the slot, modulo 2^32. */
  readonly #ids: Float64Array;
  readonly #states: Uint8Array;
  readonly #queued: Uint32Array;
  #framesSent = 0;
  #stopped = Promise.withResolvers<void>();
  #running = true;

  constructor(
    create: (wake: () => void) => NativeEndpoint,
    slots: number,
    limits: SendLimits,
    listener: TransportListener,
  ) {
    this.#listener = listener;
    this.#limits = limits;
    this.#ids = new Float64Array(slots);
    this.#states = new Uint8Array(slots);
    this.#queued = new Uint32Array(slots);
    this.native = create(() => this.#deliver());
    this.#drained = this.native.drained();
  }

  send(connection: ConnectionId, head: Uint8Array, body?: Uint8Array): boolean {
    const slot = slotOf(connection);
    if (this.#ids[slot] !== connection || this.#states[slot] === State.closing) return true;
    if (body === undefined) this.commands.send(connection, head);
    else this.commands.sendWithBody(connection, head, body);
    this.#framesSent++;
    const bytes = 4 + head.length + (body === undefined ? 0 : body.length);
    return this.#sent(connection, slot, bytes);
  }

  flush(): void {
    if (this.commands.wordCount === 0) return;
    if (this.#running) {
      const { words, wordCount, payload, payloadLength } = this.commands;
      this.native.submit(words, wordCount, payload, payloadLength);
    }
    this.commands.clear();
  }

  close(connection: ConnectionId, code: number, reason: string): void {
    this.#close(connection, code, reason, false);
  }

  stats(): TransportStats {
    const [connections, handshakes, bytesReceived, bytesSent, framesReceived, ...datagrams] = this.native.stats();
    const [datagramsReceived, datagramsSent, datagramsDropped, retriesSent] = datagrams;
    return {
      connections: connections ?? 0,
      handshakes: handshakes ?? 0,
      bytesReceived: bytesReceived ?? 0,
      bytesSent: bytesSent ?? 0,
      framesReceived: framesReceived ?? 0,
      framesSent: this.#framesSent,
      datagramsReceived: datagramsReceived ?? 0,
      datagramsSent: datagramsSent ?? 0,
      datagramsDropped: datagramsDropped ?? 0,
      retriesSent: retriesSent ?? 0,
    };
  }

  /** Bytes for the stream as they are, without a frame's length: for tests of what a hostile peer sends. */
  sendBytes(connection: ConnectionId, bytes: Uint8Array): boolean {
    const slot = slotOf(connection);
    if (this.#ids[slot] !== connection || this.#states[slot] === State.closing) return true;
    this.commands.sendBytes(connection, bytes);
    return this.#sent(connection, slot, bytes.length);
  }

  /** Ends this side's direction of the stream after what was sent. */
  finish(connection: ConnectionId): void {
    if (this.#ids[slotOf(connection)] === connection) this.commands.finish(connection);
  }

  /** Goes on under new keys, as it otherwise does after very many packets. */
  updateKeys(connection: ConnectionId): void {
    if (this.#ids[slotOf(connection)] === connection) this.commands.updateKeys(connection);
  }

  /** Frees the socket without a word to any peer or listener, as the death of the process would: for tests. */
  abandon(): void {
    this.#running = false;
    this.native.abandon();
    this.#stopped.resolve();
  }

  protected register(slot: number, connection: ConnectionId): void {
    this.#ids[slot] = connection;
    this.#states[slot] = State.open;
    this.#queued[slot] = this.#drained[slot] ?? 0;
  }

  /** The slot is free again. */
  protected released(_slot: number): void {}

  protected stop(code: number, reason: string, deadlineMs: number): Promise<void> {
    if (this.#running) {
      this.flush();
      this.native.shutdown(code, reason, Math.max(0, Math.round(deadlineMs)));
    }
    return this.#stopped.promise;
  }

  #sent(connection: ConnectionId, slot: number, bytes: number): boolean {
    const queued = ((this.#queued[slot] ?? 0) + bytes) >>> 0;
    this.#queued[slot] = queued;
    if (this.commands.payloadLength > submitBytesMax) this.flush();
    const buffered = (queued - (this.#drained[slot] ?? 0)) >>> 0;
    if (buffered <= this.#limits.high) return true;
    if (buffered > this.#limits.hard) {
      this.#close(
        connection,
        ErrorCode.ERROR_SLOW_CONSUMER,
        `${buffered} bytes wait, at most ${this.#limits.hard}`,
        true,
      );
    } else if (this.#states[slot] === State.open) {
      this.#states[slot] = State.full;
      this.commands.watch(connection);
    }
    return false;
  }

  #close(connection: ConnectionId, code: number, reason: string, atOnce: boolean): void {
    const slot = slotOf(connection);
    if (this.#ids[slot] !== connection || this.#states[slot] === State.closing) return;
    this.#states[slot] = State.closing;
    this.commands.close(connection, code, reason, atOnce);
  }

  /** What a listener throws must not keep the others from their events: it surfaces after the batch. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #deliver(): void {
    const batch = this.native.take();
    if (batch.length <= 4) return;
    let next = 0;
    // A listener that throws is skipped past its event; the loop goes on behind it.
    const cursor: Cursor = { batch, words: eventWords(batch), word: 0, offset: 0 };
    while (cursor.word < cursor.words.length) {
      next = cursor.word;
      this.#guard(() => this.#deliverRest(cursor));
      if (cursor.word === next) break;
    }
    this.#guard(() => this.#listener.batchEnded());
  }

  #deliverRest(cursor: Cursor): void {
    const { batch, words } = cursor;
    const listener = this.#listener;
    while (cursor.word < words.length) {
      const head = words[cursor.word] ?? 0;
      const slot = head >>> 4;
      if ((head & 15) !== Event.frame) {
        this.#deliverOther(head & 15, slot, cursor);
        continue;
      }
      const start = cursor.offset;
      const end = start + (words[cursor.word + 1] ?? 0);
      cursor.word += 2;
      cursor.offset = end;
      if (this.#states[slot] !== State.closing)
        listener.frameReceived(this.#ids[slot] ?? 0, batch.subarray(start, end));
    }
  }

  #deliverOther(kind: number, slot: number, cursor: Cursor): void {
    const { words } = cursor;
    const at = cursor.word + 1;
    const word = (index: number): number => words[at + index] ?? 0;
    switch (kind) {
      case Event.opened: {
        const [generation, port, resumed] = [word(0), word(1), word(2) === 1];
        const peer = { address: this.#text(cursor, 3), port, resumed };
        const id = connectionId(slot, generation);
        if (this.#ids[slot] !== id) this.register(slot, id);
        if (this.#states[slot] !== State.closing) this.#listener.connectionOpened(id, peer);
        return;
      }
      case Event.moved: {
        const [port, resumed] = [word(0), word(1) === 1];
        const peer = { address: this.#text(cursor, 2), port, resumed };
        if (this.#states[slot] !== State.closing) this.#listener.peerMoved(this.#ids[slot] ?? 0, peer);
        return;
      }
      case Event.writable:
        cursor.word = at;
        if (this.#states[slot] !== State.full) return;
        this.#states[slot] = State.open;
        this.#listener.connectionWritable(this.#ids[slot] ?? 0);
        return;
      case Event.closed: {
        const [origin, code] = [origins[word(0)] ?? 'lost', word(1) + word(2) * 2 ** 32];
        this.#release(slot, { origin, code, reason: this.#text(cursor, 3) });
        return;
      }
      default:
        this.#ended(this.#text(cursor, 0));
    }
  }

  /** Reads the text whose length stands at `index` behind the head, and moves on to the next event. */
  #text(cursor: Cursor, index: number): string {
    const length = cursor.words[cursor.word + 1 + index] ?? 0;
    const start = cursor.offset;
    cursor.offset += length;
    cursor.word += 2 + index;
    return cursor.batch.toString('utf8', start, cursor.offset);
  }

  #release(slot: number, cause: { origin: CloseOrigin; code: number; reason: string }): void {
    const id = this.#ids[slot] ?? 0;
    this.#ids[slot] = 0;
    this.#states[slot] = State.none;
    this.released(slot);
    this.#listener.connectionClosed(id, cause);
  }

  /** The addon's thread has ended. After a failure nobody was told about the connections it had. */
  #ended(failure: string): void {
    this.#running = false;
    this.native.join();
    this.#stopped.resolve();
    if (failure === '') return;
    for (let slot = 0; slot < this.#ids.length; slot++) {
      if (this.#ids[slot] !== 0) this.#guard(() => this.#release(slot, { origin: 'lost', code: 0, reason: failure }));
    }
    this.#guard(() => {
      throw new TransportFailedError(failure);
    });
  }
}

interface Cursor {
  readonly batch: Buffer;
  readonly words: Uint32Array;
  /** The next event's head. */
  word: number;
  /** Where the next event's bytes begin. */
  offset: number;
}
