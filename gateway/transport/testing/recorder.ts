import type { CloseCause, ConnectionId, PeerInfo, TransportListener } from '../transport.ts';

const deadlineMs = 20_000;

/** A listener that writes everything down, and wakes whoever waits for something. */
export class Recorder implements TransportListener {
  readonly opened = new Map<ConnectionId, PeerInfo>();
  readonly moved = new Map<ConnectionId, PeerInfo>();
  readonly closed = new Map<ConnectionId, CloseCause>();
  readonly frames = new Map<ConnectionId, Buffer[]>();
  readonly writable: ConnectionId[] = [];
  frameCount = 0;
  frameBytes = 0;
  /** Called as the events come, before they are written down. */
  onOpened: (connection: ConnectionId) => void = () => {};
  onFrame: (connection: ConnectionId, frame: Uint8Array) => void = () => {};
  onBatch: () => void = () => {};
  /** Frames are counted but not kept. */
  countOnly = false;
  #waiting = new Set<() => void>();

  connectionOpened(connection: ConnectionId, peer: PeerInfo): void {
    if (this.opened.has(connection)) throw new Error(`connection ${connection} opened twice`);
    this.opened.set(connection, peer);
    this.onOpened(connection);
  }

  frameReceived(connection: ConnectionId, frame: Uint8Array): void {
    if (!this.opened.has(connection)) throw new Error(`a frame before connection ${connection} opened`);
    if (this.closed.has(connection)) throw new Error(`a frame after connection ${connection} closed`);
    this.frameCount++;
    this.frameBytes += frame.length;
    this.onFrame(connection, frame);
    if (this.countOnly) return;
    const kept = this.frames.get(connection) ?? [];
    kept.push(Buffer.from(frame));
    this.frames.set(connection, kept);
  }

  peerMoved(connection: ConnectionId, peer: PeerInfo): void {
    this.moved.set(connection, peer);
  }

  connectionWritable(connection: ConnectionId): void {
    this.writable.push(connection);
  }

  connectionClosed(connection: ConnectionId, cause: CloseCause): void {
    if (this.closed.has(connection)) throw new Error(`connection ${connection} closed twice`);
    this.closed.set(connection, cause);
  }

  batchEnded(): void {
    this.onBatch();
    for (const wake of this.#waiting) wake();
  }

  framesOf(connection: ConnectionId): readonly Buffer[] {
    return this.frames.get(connection) ?? [];
  }

  /** Resolves once the condition holds, looked at after each batch. @throws when it does not in time. */
  async until(what: string, holds: () => boolean, withinMs = deadlineMs): Promise<void> {
    if (holds()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => reject(new Error(`not within ${withinMs} ms: ${what}`)), withinMs);
    const look = () => {
      if (holds()) resolve();
    };
    this.#waiting.add(look);
    try {
      await promise;
    } finally {
      clearTimeout(late);
      this.#waiting.delete(look);
    }
  }

  async untilOpened(connection: ConnectionId): Promise<PeerInfo> {
    await this.until('open', () => this.opened.has(connection) || this.closed.has(connection));
    const peer = this.opened.get(connection);
    if (peer === undefined) throw new Error(`closed instead of open: ${JSON.stringify(this.closed.get(connection))}`);
    return peer;
  }

  async untilClosed(connection: ConnectionId): Promise<CloseCause> {
    await this.until('closed', () => this.closed.has(connection));
    return this.closed.get(connection) as CloseCause;
  }
}

/** Polls a condition that no event announces. @throws when it does not hold in 20 s. */
export async function eventually(what: string, holds: () => boolean): Promise<void> {
  const late = performance.now() + deadlineMs;
  while (!holds()) {
    if (performance.now() > late) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
