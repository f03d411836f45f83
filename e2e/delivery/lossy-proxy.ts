import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Random } from '../../gateway/testing/random.ts';

export interface NetworkFaults {
  /** Shares of all datagrams, each way. */
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  /** A reordered datagram comes up to this much later. */
  readonly reorderMs: number;
}

/** One client socket as the proxy sees it, and the socket the gateway sees in its place. */
interface Flow {
  readonly client: RemoteInfo;
  outside: Socket;
  cut: boolean;
}

/** A UDP proxy on loopback that does to datagrams what bad networks do, from a seed. */
export class LossyProxy {
  #inside: Socket;
  #target: { readonly host: string; readonly port: number };
  #faults: NetworkFaults;
  #random: Random;
  #flows = new Map<string, Flow>();
  #timers = new Set<NodeJS.Timeout>();
  dropped = 0;
  passed = 0;

  private constructor(inside: Socket, target: { host: string; port: number }, faults: NetworkFaults, random: Random) {
    this.#inside = inside;
    this.#target = target;
    this.#faults = faults;
    this.#random = random;
    inside.on('message', (datagram, client) => this.#fromClient(datagram, client));
  }

  static async start(
    target: { host: string; port: number },
    faults: NetworkFaults,
    random: Random,
  ): Promise<LossyProxy> {
    const inside = createSocket('udp4');
    inside.bind(0, '127.0.0.1');
    await once(inside, 'listening');
    return new LossyProxy(inside, target, faults, random);
  }

  /** Where clients send to. */
  get address(): string {
    return `127.0.0.1:${this.#inside.address().port}`;
  }

  get flows(): number {
    return this.#flows.size;
  }

  /** From now on the gateway sees other ports: NAT rebinding. */
  moveAll(): void {
    for (const flow of this.#flows.values()) {
      flow.outside.close();
      flow.outside = createSocket('udp4');
      this.#listen(flow);
    }
  }

  /** Lets nothing through for the flow of this number, either way, for a while. */
  cut(index: number, durationMs: number): void {
    const flow = [...this.#flows.values()][index % Math.max(1, this.#flows.size)];
    if (flow === undefined) return;
    flow.cut = true;
    this.#later(durationMs, () => {
      flow.cut = false;
    });
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const flow of this.#flows.values()) flow.outside.close();
    this.#inside.close();
  }

  #fromClient(datagram: Buffer, client: RemoteInfo): void {
    const flow = this.#flowOf(client);
    this.#pass(flow, () => flow.outside.send(datagram, this.#target.port, this.#target.host, () => {}));
  }

  #flowOf(client: RemoteInfo): Flow {
    const key = `${client.address}:${client.port}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    const flow = { client, outside: createSocket('udp4'), cut: false };
    this.#listen(flow);
    this.#flows.set(key, flow);
    return flow;
  }

  #listen(flow: Flow): void {
    flow.outside.on('message', (datagram) => {
      this.#pass(flow, () => this.#inside.send(datagram, flow.client.port, flow.client.address, () => {}));
    });
  }

  #pass(flow: Flow, send: () => void): void {
    const { loss, duplication, reordering, reorderMs } = this.#faults;
    if (flow.cut || this.#random.chance(loss)) {
      this.dropped += 1;
      return;
    }
    this.passed += 1;
    const guarded = () => {
      // A socket that was moved away meanwhile takes its datagrams with it, as a NAT does.
      try {
        send();
      } catch {
        this.dropped += 1;
      }
    };
    if (this.#random.chance(reordering)) this.#later(this.#random.between(1, reorderMs), guarded);
    else guarded();
    if (this.#random.chance(duplication)) this.#later(this.#random.between(1, reorderMs), guarded);
  }

  #later(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
  }
}
