import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface NetworkFaults {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** Share of segments that are lost and come only when sent again. */
  readonly lossRate: number;
  readonly duplicateRate: number;
  readonly segmentBytesMax: number;
  /** Bytes under way above which a sender is told to wait, and below which it may go on. */
  readonly highBytes: number;
  readonly lowBytes: number;
}

/** One end of a connection. */
export interface NetworkEnd<Frame> {
  frameReceived(connection: number, frame: Frame): void;
  /** The last call. `code` 0 with `lost`: nobody said why. */
  closed(connection: number, code: number, lost: boolean): void;
  writable(connection: number): void;
}

interface Framed<Frame> {
  readonly frame: Frame;
  readonly endByte: number;
}

/** One direction of a connection: bytes in segments that are lost, late, doubled and out of order, put together again. */
class Stream<Frame> {
  readonly end: NetworkEnd<Frame>;
  readonly frames: Framed<Frame>[] = [];
  sentBytes = 0;
  receivedBytes = 0;
  /** Segments that came before those in front of them: start to end. */
  readonly early = new Map<number, number>();
  blocked = false;
  stalled = false;
  /** No byte from this one on arrives any more. */
  cutAtByte = Number.POSITIVE_INFINITY;
  closeCode: number | undefined;

  constructor(end: NetworkEnd<Frame>) {
    this.end = end;
  }
}

interface Link<Up, Down> {
  readonly up: Stream<Up>;
  readonly down: Stream<Down>;
  readonly dead: { client: boolean; server: boolean };
}

/** Connections that behave as QUIC's do over a bad network: reliable until they are cut, at any byte. */
export class SimulatedNetwork<Up, Down> {
  faults: NetworkFaults;
  #clock: VirtualClock;
  #random: Random;
  #links = new Map<number, Link<Up, Down>>();
  #lastId = 0;

  constructor(clock: VirtualClock, random: Random, faults: NetworkFaults) {
    this.#clock = clock;
    this.#random = random;
    this.faults = faults;
  }

  connect(client: NetworkEnd<Down>, server: NetworkEnd<Up>): number {
    this.#lastId += 1;
    const link = { up: new Stream(server), down: new Stream(client), dead: { client: false, server: false } };
    this.#links.set(this.#lastId, link);
    return this.#lastId;
  }

  sendUp(connection: number, frame: Up, bytes: number): void {
    const link = this.#links.get(connection);
    if (link !== undefined && !link.dead.client) this.#send(connection, link.up, frame, bytes);
  }

  /** @returns false when the sender should wait for `writable`. */
  sendDown(connection: number, frame: Down, bytes: number): boolean {
    const link = this.#links.get(connection);
    if (link === undefined || link.dead.server) return true;
    return this.#send(connection, link.down, frame, bytes);
  }

  /** The server closes after what it has sent. */
  closeByServer(connection: number, code: number): void {
    const link = this.#links.get(connection);
    if (link === undefined || link.dead.server) return;
    link.dead.server = true;
    link.up.cutAtByte = 0;
    link.down.closeCode = code;
    this.#clock.schedule(0, () => link.up.end.closed(connection, code, false));
    // A close that the client never reads ends with its idle timeout.
    this.#clock.schedule(1_000, () => this.#clientLost(connection, link));
    this.#arrived(connection, link.down);
  }

  /** The client goes away without a word; what it sent may still arrive. */
  closeByClient(connection: number): void {
    const link = this.#links.get(connection);
    if (link === undefined || link.dead.client) return;
    link.dead.client = true;
    link.down.cutAtByte = 0;
    this.#clock.schedule(this.#random.between(0, 1_000), () => this.#serverLost(connection, link));
  }

  /** Of what is under way only the first so many bytes arrive; both ends find out in their own time. */
  cut(connection: number, upBytes: number, downBytes: number): void {
    const link = this.#links.get(connection);
    if (link === undefined) return;
    link.up.cutAtByte = Math.min(link.up.cutAtByte, link.up.receivedBytes + upBytes);
    link.down.cutAtByte = Math.min(link.down.cutAtByte, link.down.receivedBytes + downBytes);
    this.#clock.schedule(this.#random.between(0, 1_000), () => this.#serverLost(connection, link));
    this.#clock.schedule(this.#random.between(0, 1_000), () => this.#clientLost(connection, link));
  }

  /** The client stops reading, or reads again. */
  stall(connection: number, stalled: boolean): void {
    const link = this.#links.get(connection);
    if (link === undefined) return;
    link.down.stalled = stalled;
    if (!stalled) this.#arrived(connection, link.down);
  }

  /** The server's process is gone: clients find out in their own time. */
  serverCrashed(server: NetworkEnd<Up>): void {
    for (const [connection, link] of this.#links) {
      if (link.up.end !== server) continue;
      link.dead.server = true;
      link.up.cutAtByte = 0;
      this.#clock.schedule(this.#random.between(0, 300), () => this.#clientLost(connection, link));
    }
  }

  #serverLost(connection: number, link: Link<Up, Down>): void {
    if (link.dead.server) return;
    link.dead.server = true;
    link.up.cutAtByte = 0;
    link.up.end.closed(connection, 0, true);
    this.#forget(connection, link);
  }

  #clientLost(connection: number, link: Link<Up, Down>): void {
    if (link.dead.client) return;
    link.dead.client = true;
    link.down.cutAtByte = 0;
    link.down.end.closed(connection, 0, true);
    this.#forget(connection, link);
  }

  #forget(connection: number, link: Link<Up, Down>): void {
    if (link.dead.client && link.dead.server) this.#links.delete(connection);
  }

  #send<Frame>(connection: number, stream: Stream<Frame>, frame: Frame, bytes: number): boolean {
    const { minDelayMs, maxDelayMs, lossRate, duplicateRate, segmentBytesMax, highBytes } = this.faults;
    const endByte = stream.sentBytes + bytes;
    stream.frames.push({ frame, endByte });
    for (let from = stream.sentBytes; from < endByte; ) {
      const start = from;
      const end = Math.min(endByte, start + segmentBytesMax);
      let delayMs = this.#random.between(minDelayMs, maxDelayMs);
      while (this.#random.chance(lossRate)) delayMs += maxDelayMs + this.#random.between(minDelayMs, maxDelayMs);
      this.#clock.schedule(delayMs, () => this.#segment(connection, stream, start, end));
      if (this.#random.chance(duplicateRate)) {
        const again = this.#random.between(minDelayMs, maxDelayMs * 2);
        this.#clock.schedule(again, () => this.#segment(connection, stream, start, end));
      }
      from = end;
    }
    stream.sentBytes = endByte;
    if (stream.sentBytes - stream.receivedBytes > highBytes) stream.blocked = true;
    return !stream.blocked;
  }

  #segment<Frame>(connection: number, stream: Stream<Frame>, start: number, end: number): void {
    if (end > stream.cutAtByte || end <= stream.receivedBytes) return;
    stream.early.set(start, end);
    if (!stream.stalled) this.#arrived(connection, stream);
  }

  #arrived<Frame>(connection: number, stream: Stream<Frame>): void {
    if (stream.stalled) return;
    for (;;) {
      const end = stream.early.get(stream.receivedBytes);
      if (end === undefined) break;
      stream.early.delete(stream.receivedBytes);
      stream.receivedBytes = end;
    }
    for (;;) {
      const next = stream.frames[0];
      if (next === undefined || next.endByte > stream.receivedBytes || stream.cutAtByte === 0) break;
      stream.frames.shift();
      stream.end.frameReceived(connection, next.frame);
    }
    if (stream.blocked && stream.sentBytes - stream.receivedBytes <= this.faults.lowBytes) {
      stream.blocked = false;
      this.#tellWritable(connection);
    }
    if (stream.closeCode !== undefined && stream.frames.length === 0) this.#tellClosed(connection, stream);
  }

  #tellWritable(connection: number): void {
    const link = this.#links.get(connection);
    if (link !== undefined && !link.dead.server) link.up.end.writable(connection);
  }

  #tellClosed<Frame>(connection: number, stream: Stream<Frame>): void {
    const link = this.#links.get(connection);
    if (link === undefined || link.dead.client) return;
    link.dead.client = true;
    stream.cutAtByte = 0;
    stream.end.closed(connection, stream.closeCode ?? 0, false);
    this.#forget(connection, link);
  }
}
