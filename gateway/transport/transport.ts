import type { Capabilities } from './capabilities.ts';

/**
 * The only door to QUIC: whole frames in, whole frames out, in batches. Nothing else knows streams, packets or TLS.
 * A frame is what design §3 calls N bytes of protobuf; the 4-byte length in front of it belongs to the transport.
 */

export type TransportKind = 'quinn' | 'quiche';

/** Names one connection within one transport for as long as the process runs; never used twice. */
export type ConnectionId = number;

export interface PeerInfo {
  /** Textual IPv4 or IPv6 address, an IPv4 peer of a dual-stack socket as plain IPv4. */
  readonly address: string;
  readonly port: number;
  /** The TLS session was resumed from a ticket. */
  readonly resumed: boolean;
}

/** Who ended a connection: `fin` is the peer ending its stream, `lost` a timeout, reset or transport error. */
export type CloseOrigin = 'local' | 'peer' | 'fin' | 'lost';

export interface CloseCause {
  readonly origin: CloseOrigin;
  /** The application close code (interface, "Error codes"); 0 for `fin` and `lost`. */
  readonly code: number;
  readonly reason: string;
}

/** What the session side is told; all calls come on the event loop, in order for each connection. */
export interface TransportListener {
  /** Handshake done. No frame was received yet. */
  connectionOpened(connection: ConnectionId, peer: PeerInfo): void;
  /** A whole frame. It shares memory with its batch: copy what is kept beyond the request it starts. */
  frameReceived(connection: ConnectionId, frame: Uint8Array): void;
  /** The peer's address changed (migration or NAT rebinding). */
  peerMoved(connection: ConnectionId, peer: PeerInfo): void;
  /** After `send` answered false: what was buffered has drained below the low mark. */
  connectionWritable(connection: ConnectionId): void;
  /** The last call for this connection, also after `close` and after a failed connect. */
  connectionClosed(connection: ConnectionId, cause: CloseCause): void;
  /** All events of one wake-up were delivered: the moment to flush. */
  batchEnded(): void;
}

/** The sending side, shared by servers and clients. Calls for connections that are gone do nothing. */
export interface ConnectionWriter {
  /**
   * Queues one frame, `head` followed by `body`. `body` may be shared by many connections and is handed over once a flush;
   * neither may be changed afterwards.
   * @returns false when the connection now buffers more than its high mark: send no more until `connectionWritable`.
   *   A connection that buffers beyond its hard limit is closed with SLOW_CONSUMER.
   */
  send(connection: ConnectionId, head: Uint8Array, body?: Uint8Array): boolean;
  /** Hands all queued frames and closes to the transport in one piece. */
  flush(): void;
  /** Sends what is queued (bounded by a short deadline), then closes with an application code. Takes effect at flush. */
  close(connection: ConnectionId, code: number, reason: string): void;
}

export interface TransportStats {
  readonly connections: number;
  readonly handshakes: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly framesReceived: number;
  readonly framesSent: number;
  readonly datagramsReceived: number;
  readonly datagramsSent: number;
  /** Datagrams thrown away: not QUIC, unknown connection, over a limit. */
  readonly datagramsDropped: number;
  readonly retriesSent: number;
}

/** Files for debugging. Who has the first can read the traffic. */
export interface TransportDebugging {
  /** TLS secrets, in the format of SSLKEYLOGFILE, appended. */
  readonly keyLogFile?: string;
  /** A trace of packets (qlog as JSON-SEQ), appended. */
  readonly qlogFile?: string;
}

export interface ServerTransportOptions {
  readonly debugging?: TransportDebugging;
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
  readonly alpn: string;
  readonly maxFrameBytes: number;
  readonly idleTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly maxConnections: number;
  /** Unvalidated handshakes under way above which every new one gets a Retry. */
  readonly retryThreshold: number;
  /** Bytes buffered towards one client: above high `send` answers false, below low it is writable again, above hard it is closed. */
  readonly sendBufferBytes: { readonly low: number; readonly high: number; readonly hard: number };
  /** Bytes received but not yet taken by this side before the transport stops reading. */
  readonly receiveBufferBytesMax: number;
  /** 32 bytes or more that a pair shares; ticket, reset and retry keys are derived from each. The first one issues, all are accepted. */
  readonly secrets?: readonly Uint8Array[];
}

export interface ServerTransport extends ConnectionWriter {
  readonly kind: TransportKind;
  readonly capabilities: Capabilities;
  readonly address: { readonly host: string; readonly port: number };
  /** New handshakes use it from now on. @throws when the pair does not parse or match; the old one stays. */
  setCertificate(certificate: string, privateKey: string): void;
  setSecrets(secrets: readonly Uint8Array[]): void;
  /** New handshakes are refused, live connections go on. */
  stopAccepting(): void;
  stats(): TransportStats;
  /** Closes every connection with the code, waits for the closes to leave (bounded), frees the socket. */
  shutdown(code: number, reason: string, deadlineMs: number): Promise<void>;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** For certificate verification and SNI; the host when absent. */
  readonly serverName?: string;
}

export interface ClientTransportOptions {
  readonly debugging?: TransportDebugging;
  readonly alpn: string;
  readonly maxFrameBytes: number;
  readonly idleTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** PEM of the trusted authorities; `insecure` skips verification (development only). */
  readonly trust: { readonly ca: string } | { readonly insecure: true };
  readonly sendBufferBytes: { readonly low: number; readonly high: number; readonly hard: number };
  readonly receiveBufferBytesMax: number;
}

/** Many client connections over one socket. */
export interface ClientTransport extends ConnectionWriter {
  readonly kind: TransportKind;
  readonly capabilities: Capabilities;
  /** `connectionOpened` or `connectionClosed` follows; the host must be an IP address. */
  connect(options: ConnectOptions): ConnectionId;
  /** Sends from a fresh local port from now on, so that live connections migrate. */
  rebind(): void;
  stats(): TransportStats;
  shutdown(deadlineMs: number): Promise<void>;
}
