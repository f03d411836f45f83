import { connect, createServer, type Server, type Socket } from 'node:net';
import { credentials } from '@grpc/grpc-js';
import { expect, vi } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { FakeZone, type FakeZoneOptions } from './fake-zone.ts';
import { type RouterOptions, UpstreamRouter, type ZoneOutcome, type ZoneRequest } from './router.ts';

/** What the tests of the router start, and stop with `stop`. */
export class RouterHarness {
  #routers: UpstreamRouter[] = [];
  #zones: FakeZone[] = [];
  #proxies: FreezingProxy[] = [];

  async zone(options: FakeZoneOptions = {}): Promise<FakeZone> {
    const zone = await FakeZone.start(options);
    this.#zones.push(zone);
    return zone;
  }

  router(options: Partial<RouterOptions> = {}): UpstreamRouter {
    const router = new UpstreamRouter({
      clock: systemClock,
      log: silentLogger,
      credentials: () => credentials.createInsecure(),
      healthIntervalMs: 50,
      ...options,
    });
    this.#routers.push(router);
    return router;
  }

  /** A connection to `port` that can stop carrying bytes without closing. */
  async proxy(port: number): Promise<FreezingProxy> {
    const proxy = await FreezingProxy.start(port);
    this.#proxies.push(proxy);
    return proxy;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#routers.splice(0).map((router) => router.close(0)));
    for (const zone of this.#zones.splice(0)) zone.kill();
    for (const proxy of this.#proxies.splice(0)) proxy.stop();
  }
}

/** A TCP proxy that can freeze: to both sides it looks like a hung peer or a half-open connection. */
export class FreezingProxy {
  #server: Server;
  #sockets = new Set<Socket>();
  #frozen = false;
  accepted = 0;
  address = '';

  private constructor(port: number) {
    this.#server = createServer((socket) => {
      this.accepted += 1;
      const upstream = connect(port, '127.0.0.1');
      this.#carry(socket, upstream);
      this.#carry(upstream, socket);
    });
  }

  static async start(port: number): Promise<FreezingProxy> {
    const proxy = new FreezingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    const bound = proxy.#server.address();
    if (bound === null || typeof bound === 'string') throw new Error('no port');
    proxy.address = `127.0.0.1:${bound.port}`;
    return proxy;
  }

  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    for (const socket of this.#sockets) {
      if (frozen) socket.pause();
      else socket.resume();
    }
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (bytes) => to.write(bytes));
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#frozen) from.pause();
  }
}

export function serve(router: UpstreamRouter, ...zones: readonly { readonly address: string }[]): void {
  router.setEndpoints(
    '001',
    zones.map(({ address }) => ({ address, weight: 1, instanceId: 'one' })),
  );
}

export function requestOf(clientSeq: number, extra: Partial<ZoneRequest> = {}): ZoneRequest {
  return {
    openid: 'alice',
    sessionId: '00000000-0000-4000-8000-000000000000',
    zoneId: '001',
    clientSeq,
    action: 'echo',
    data: Buffer.from(`data ${clientSeq}`),
    headers: {},
    epoch: 7,
    shardId: 'pair-0',
    history: 'beginning',
    ...extra,
  };
}

export function ask(router: UpstreamRouter, clientSeq: number, extra: Partial<ZoneRequest> = {}): Promise<ZoneOutcome> {
  return new Promise((resolve) => router.request(requestOf(clientSeq, extra), resolve));
}

export function healthy(router: UpstreamRouter, count = 1): Promise<void> {
  return vi.waitFor(() => {
    expect(
      router
        .status()
        .get('001')
        ?.filter((endpoint) => endpoint.healthy),
    ).toHaveLength(count);
  }, 10_000);
}

export function dataOf(outcome: ZoneOutcome): string {
  if (outcome.kind !== 'answered') throw new Error(`failed: ${outcome.message}`);
  return outcome.response.data.toString();
}
