import type { RemoteInfo, Socket } from 'node:dgram';
import type { HostPort } from './bindings.ts';
import { PacketPool } from './packet-pool.ts';

/** The socket of an endpoint, which may be replaced by another, and what went through it. */
export class DatagramPort {
  readonly counts = { bytesReceived: 0, bytesSent: 0, datagramsReceived: 0, datagramsSent: 0 };
  readonly #packets: PacketPool;
  readonly #received: (datagram: Buffer, from: RemoteInfo) => void;
  readonly #drained: () => void;
  #socket: Socket;
  #open = true;
  /** Datagrams that the system has not taken yet. */
  #waiting = 0;

  /** @param drained is called when the system has taken everything. */
  constructor(
    socket: Socket,
    packetBytes: number,
    received: (datagram: Buffer, from: RemoteInfo) => void,
    drained: () => void,
  ) {
    this.#socket = socket;
    this.#packets = new PacketPool(packetBytes);
    this.#received = received;
    this.#drained = drained;
    this.#listen(socket);
  }

  get local(): HostPort {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  get isDrained(): boolean {
    return this.#waiting === 0;
  }

  /** Room for a datagram, for `sendPacket`. */
  packet(): Buffer {
    return this.#packets.packet();
  }

  sendPacket(bytes: Buffer, to: HostPort): void {
    this.#packets.used(bytes.length);
    this.send(bytes, to);
  }

  send(bytes: Buffer, to: HostPort): void {
    if (!this.#open) return;
    this.#waiting += 1;
    this.counts.datagramsSent += 1;
    this.counts.bytesSent += bytes.length;
    this.#socket.send(bytes, to.port, to.host, () => {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#drained();
    });
  }

  /** Sends from another socket from now on; the old one is closed. */
  replace(socket: Socket): void {
    this.#socket.close();
    this.#socket = socket;
    this.#listen(socket);
  }

  close(): void {
    this.#open = false;
    this.#socket.close();
  }

  #listen(socket: Socket): void {
    socket.on('message', (datagram, from) => {
      if (!this.#open) return;
      this.counts.datagramsReceived += 1;
      this.counts.bytesReceived += datagram.length;
      this.#received(datagram, from);
    });
    // Reports of single sends that failed; QUIC sends again.
    socket.on('error', () => {});
  }
}
