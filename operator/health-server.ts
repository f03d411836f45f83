import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage, type Logger } from './lib/log.ts';

export interface ListenAddress {
  /** All addresses when empty. */
  readonly host: string;
  readonly port: number;
}

/** What stands in the way; nothing means well. */
export type Check = () => readonly string[];

export interface HealthServerOptions {
  /** Answered from memory: a probe waits for nobody, the API server least of all. */
  readonly healthy: Check;
  readonly ready: Check;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly log: Logger;
}

const requestTimeoutMs = 5000;
const connectionsMax = 100;

/** HTTP for the kubelet and for Prometheus: /healthz and /readyz, also as /health and /ready, and /metrics. */
export class HealthServer {
  #options: HealthServerOptions;
  #servers: Server[] = [];

  constructor(options: HealthServerOptions) {
    this.#options = options;
  }

  /**
   * @param serves what this address is for
   * @returns the address that was taken. @throws ListenError when it cannot be
   */
  async listen({ host, port }: ListenAddress, serves: 'health' | 'metrics' | 'both'): Promise<AddressInfo> {
    const server = createServer((request, response) => void this.#answer(serves, request, response));
    server.requestTimeout = requestTimeoutMs;
    server.headersTimeout = requestTimeoutMs;
    server.maxConnections = connectionsMax;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new ListenError(`${host}:${port}: ${errorMessage(error)}`)));
      server.listen({ port, ...(host === '' ? {} : { host }) }, resolve);
    });
    this.#servers.push(server);
    return server.address() as AddressInfo;
  }

  async close(): Promise<void> {
    const closed = this.#servers.splice(0).map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    await Promise.all(closed);
  }

  async #answer(serves: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0];
    const health = serves !== 'metrics';
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'expected GET\n');
    if (health && (path === '/healthz' || path === '/health')) return report(response, this.#options.healthy());
    if (health && (path === '/readyz' || path === '/ready')) return report(response, this.#options.ready());
    if (serves !== 'health' && path === '/metrics') return this.#metrics(response);
    const paths = [...(health ? ['/healthz', '/readyz'] : []), ...(serves === 'health' ? [] : ['/metrics'])];
    send(response, 404, `expected ${paths.join(', ')}\n`);
  }

  async #metrics(response: ServerResponse): Promise<void> {
    const { metrics, log } = this.#options;
    try {
      send(response, 200, await metrics.text(), metrics.contentType);
    } catch (error) {
      log.error({ error: errorMessage(error) }, 'metrics failed');
      send(response, 500, 'metrics failed\n');
    }
  }
}

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

function report(response: ServerResponse, problems: readonly string[]): void {
  if (problems.length === 0) send(response, 200, 'ok\n');
  else send(response, 503, problems.map((problem) => `${problem}\n`).join(''));
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
