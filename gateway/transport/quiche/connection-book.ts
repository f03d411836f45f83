import type { CloseCause, ConnectionId, TransportListener } from '../transport.ts';
import type { QuicheConnection } from './connection.ts';
import type { ConnectionEvents } from './connection-settings.ts';

/** The connections that are not over, and all that the session side is told of them. */
export class ConnectionBook implements ConnectionEvents {
  readonly live = new Map<ConnectionId, QuicheConnection>();
  framesReceived = 0;
  handshakes = 0;
  /** Handshakes from addresses that proved nothing yet. */
  unvalidated = 0;
  readonly #listener: TransportListener;
  #told = false;
  #nextId = 1;

  constructor(listener: TransportListener) {
    this.#listener = listener;
  }

  newId(): ConnectionId {
    return this.#nextId++;
  }

  add(connection: QuicheConnection): void {
    this.live.set(connection.id, connection);
    this.handshakes += 1;
    if (connection.unvalidated) this.unvalidated += 1;
  }

  opened(connection: QuicheConnection): void {
    this.#handshakeOver(connection);
    if (!connection.closing) this.#tell(() => this.#listener.connectionOpened(connection.id, connection.peer));
  }

  frame(connection: QuicheConnection, frame: Uint8Array): void {
    this.framesReceived += 1;
    if (!connection.closing) this.#tell(() => this.#listener.frameReceived(connection.id, frame));
  }

  moved(connection: QuicheConnection): void {
    if (!connection.closing) this.#tell(() => this.#listener.peerMoved(connection.id, connection.peer));
  }

  writable(connection: QuicheConnection): void {
    if (!connection.closing) this.#tell(() => this.#listener.connectionWritable(connection.id));
  }

  closed(connection: QuicheConnection, cause: CloseCause): void {
    const wasOpen = connection.opened;
    this.#handshakeOver(connection);
    this.live.delete(connection.id);
    // A server's handshake that came to nothing was never told of.
    if (connection.isClient || wasOpen) this.tellClosed(connection.id, cause);
  }

  /** Also for what never became a connection. */
  tellClosed(id: ConnectionId, cause: CloseCause): void {
    this.#tell(() => this.#listener.connectionClosed(id, cause));
  }

  /** All events of one turn were told. */
  endBatch(): void {
    if (!this.#told) return;
    this.#told = false;
    guard(() => this.#listener.batchEnded());
  }

  #tell(call: () => void): void {
    this.#told = true;
    guard(call);
  }

  #handshakeOver(connection: QuicheConnection): void {
    if (connection.opened) return;
    connection.opened = true;
    this.handshakes -= 1;
    if (connection.unvalidated) this.unvalidated -= 1;
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
