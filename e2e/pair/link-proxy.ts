import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { parseAddress } from '../../gateway/lib/address.ts';

/**
 * A TCP proxy on loopback for the links between two gateways. Cut, it lets nothing through and says nothing, as a broken
 * network does; healed, what was held goes on.
 */
export class LinkProxy {
  #server: Server;
  #sockets = new Set<Socket>();
  #cut = false;

  private constructor(server: Server, target: { readonly host: string; readonly port: number }) {
    this.#server = server;
    server.on('connection', (near) => {
      const far = connect(target.port, target.host);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.setNoDelay(true);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.on('data', (bytes) => to.write(bytes));
        if (this.#cut) from.pause();
      }
    });
  }

  /** @param target "host:port" it passes on to. */
  static async start(target: string): Promise<LinkProxy> {
    const parsed = parseAddress(target);
    if (parsed === undefined) throw new Error(`${target}: expected host:port`);
    const server = createServer();
    const proxy = new LinkProxy(server, parsed);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#cut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
