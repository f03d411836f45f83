import type { CloseCause, ConnectionId } from '../transport.ts';
import type { Connection, HostPort } from './bindings.ts';
import type { QuicheConnection } from './connection.ts';
import type { ReadBuffer } from './read-buffer.ts';

/** What the endpoint is told while it processes a connection. */
export interface ConnectionEvents {
  opened(connection: QuicheConnection): void;
  frame(connection: QuicheConnection, frame: Uint8Array): void;
  moved(connection: QuicheConnection): void;
  writable(connection: QuicheConnection): void;
  closed(connection: QuicheConnection, cause: CloseCause): void;
}

export interface ConnectionSettings {
  readonly quic: Connection;
  readonly id: ConnectionId;
  readonly isClient: boolean;
  readonly remote: HostPort;
  readonly local: HostPort;
  readonly maxFrameBytes: number;
  readonly sendLowBytes: number;
  readonly idleTimeoutMs: number;
  /** When the handshake must be over. */
  readonly deadlineMs: number;
  readonly readBuffer: ReadBuffer;
  /** That the peer's certificate must be valid for; absent where nothing is verified. */
  readonly verifiedName?: string;
}
