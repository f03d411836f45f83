import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** What becomes of a datagram: those that go on in its place, in this order. */
type Pass = (datagram: Buffer) => readonly Buffer[];

/** A UDP relay on loopback between one client socket and a server: it looks at datagrams, and may change what passes. */
export class Relay {
  /** Everything that came, before `pass` decided. */
  readonly fromClient: Buffer[] = [];
  readonly fromServer: Buffer[] = [];
  passToServer: Pass = (datagram) => [datagram];
  passToClient: Pass = (datagram) => [datagram];
  readonly #inside: Socket;
  readonly #serverPort: number;
  #outside: Socket;
  #clientPort = 0;

  private constructor(inside: Socket, outside: Socket, serverPort: number) {
    this.#inside = inside;
    this.#outside = outside;
    this.#serverPort = serverPort;
    inside.on('message', (datagram, from) => {
      this.#clientPort = from.port;
      this.fromClient.push(datagram);
      for (const passed of this.passToServer(datagram)) this.sendToServer(passed);
    });
    this.#listenOutside(outside);
  }

  static async start(serverPort: number): Promise<Relay> {
    return new Relay(await boundSocket(), await boundSocket(), serverPort);
  }

  /** Where the client connects to. */
  get port(): number {
    return this.#inside.address().port;
  }

  /** The server sees another port from now on, and the client notices nothing: a NAT that rebinds. */
  async move(): Promise<void> {
    const next = await boundSocket();
    this.#outside.close();
    this.#outside = next;
    this.#listenOutside(next);
  }

  sendToServer(datagram: Buffer): void {
    this.#outside.send(datagram, this.#serverPort, '127.0.0.1');
  }

  close(): void {
    this.#inside.close();
    this.#outside.close();
  }

  #listenOutside(socket: Socket): void {
    socket.on('message', (datagram) => {
      this.fromServer.push(datagram);
      for (const passed of this.passToClient(datagram)) this.#inside.send(passed, this.#clientPort, '127.0.0.1');
    });
  }
}

export async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}
