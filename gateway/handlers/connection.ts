import type { ClientMeter } from '../overload/client-rates.ts';
import type { ConnectionId, PeerInfo } from '../transport/transport.ts';

/** await-start → starting (START is being decided) → open (a session is bound) → closing (told to go, frames ignored). */
export type ConnectionPhase = 'await-start' | 'starting' | 'open' | 'closing';

/** One client connection as the handlers see it. */
export class ClientConnection {
  readonly id: ConnectionId;
  readonly openedMs: number;
  peer: PeerInfo;
  phase: ConnectionPhase = 'await-start';
  lastFrameMs: number;
  openid = '';
  sessionId = '';
  zoneId = '';
  binding = 0;
  /** A frame after START arrived, so the token before this binding's is void. */
  confirmed = false;
  readonly rate: ClientMeter;
  /** Frames that wait for START's decision or for the client's rate; copies. */
  waiting: Uint8Array[] = [];
  waitingBytes = 0;
  /** When a drain told it to go; 0: not. */
  toldMs = 0;
  /** When a connection that was told to go is closed for good. */
  closeAtMs = Number.POSITIVE_INFINITY;
  closeCode = 0;
  closeReason = '';

  constructor(id: ConnectionId, peer: PeerInfo, rate: ClientMeter, nowMs: number) {
    this.id = id;
    this.peer = peer;
    this.rate = rate;
    this.openedMs = nowMs;
    this.lastFrameMs = nowMs;
  }
}

/** All client connections of this gateway, by transport id. */
export class ConnectionTable {
  #byId = new Map<ConnectionId, ClientConnection>();

  get size(): number {
    return this.#byId.size;
  }

  open(id: ConnectionId, peer: PeerInfo, rate: ClientMeter, nowMs: number): ClientConnection {
    const connection = new ClientConnection(id, peer, rate, nowMs);
    this.#byId.set(id, connection);
    return connection;
  }

  get(id: ConnectionId): ClientConnection | undefined {
    return this.#byId.get(id);
  }

  remove(id: ConnectionId): ClientConnection | undefined {
    const connection = this.#byId.get(id);
    if (connection !== undefined) this.#byId.delete(id);
    return connection;
  }

  [Symbol.iterator](): IterableIterator<ClientConnection> {
    return this.#byId.values();
  }
}
