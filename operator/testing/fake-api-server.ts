import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { KubeApiError, type KubeObject, type Resource } from '../kube-api.ts';
import { allResources, apiVersionOf } from '../resources.ts';
import { type ApiRequest, readRequest } from './api-request.ts';
import { ApiStore } from './api-store.ts';
import { type Failure, type Fault, Faults, type RequestVerb } from './faults.ts';
import { statusBody } from './status-body.ts';
import { answerWatch } from './watch-response.ts';

export interface FakeApiServerOptions {
  readonly store?: ApiStore;
  readonly resources?: readonly Resource[];
  /** Plain HTTP when absent. */
  readonly tls?: ServerOptions;
  readonly bookmarkMs?: number;
  /** Who may come in; everybody when absent. */
  readonly authorize?: (request: IncomingMessage) => boolean;
}

export interface SeenRequest {
  readonly verb: RequestVerb;
  readonly plural: string;
  readonly name: string;
  readonly headers: IncomingMessage['headers'];
  readonly query: URLSearchParams;
}

/** As API servers have it. */
const idleMs = 90_000;

/** An API server on loopback that keeps its objects in memory, and fails when told to. */
export class FakeApiServer {
  readonly store: ApiStore;
  readonly faults = new Faults();
  /** Every request so far. */
  readonly requests: SeenRequest[] = [];
  /** Connections made so far. */
  connections = 0;
  #options: FakeApiServerOptions;
  #server: Server | TlsServer;
  #sockets = new Set<Socket>();
  #endWatches = new Set<() => void>();

  constructor(options: FakeApiServerOptions = {}) {
    this.#options = options;
    this.store = options.store ?? new ApiStore();
    const answer = (request: IncomingMessage, response: ServerResponse): void => void this.#answer(request, response);
    this.#server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
    // Node's own five seconds would close connections that are in use every few seconds.
    this.#server.keepAliveTimeout = idleMs;
    this.#server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param port 0 for any */
  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): URL {
    return new URL(`${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`);
  }

  /** Other certificates from now on, for new connections. */
  setCertificates(tls: ServerOptions): void {
    (this.#server as TlsServer).setSecureContext(tls);
  }

  fault(fault: Fault): void {
    this.faults.add(fault);
  }

  /** Breaks every connection, as an API server that is killed does. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const end of this.#endWatches) end();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.breakConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = readRequest(request, this.#options.resources ?? allResources);
    if (asked === undefined) return refuse(response, new KubeApiError('no such path', { status: 404 }));
    const { verb, resource, name, query } = asked;
    this.requests.push({ verb, plural: resource.plural, name, headers: request.headers, query });
    if (this.#options.authorize?.(request) === false) {
      return refuse(response, new KubeApiError('Unauthorized', { status: 401, reason: 'Unauthorized' }));
    }
    const failure = this.faults.take(verb, resource.plural);
    const body = await text(request).catch(() => '');
    if (failure !== undefined && (await happens(failure, response))) return;
    try {
      if (verb === 'watch') this.#watch(asked, response, failure);
      else reply(response, verb === 'create' ? 201 : 200, this.#carryOut(asked, request, body), failure);
    } catch (error) {
      refuse(response, error instanceof KubeApiError ? error : new KubeApiError(String(error), { status: 500 }));
    }
  }

  #watch(asked: ApiRequest, response: ServerResponse, failure: Failure | undefined): void {
    const { bookmarkMs = 60_000 } = this.#options;
    const end = answerWatch(this.store, asked, response, { failure, bookmarkMs });
    this.#endWatches.add(end);
    response.on('close', () => this.#endWatches.delete(end));
  }

  #carryOut({ verb, resource, namespace, name, isStatus, query }: ApiRequest, request: IncomingMessage, body: string) {
    const { store } = this;
    const part = isStatus ? 'status' : 'main';
    const manager = query.get('fieldManager') ?? 'unknown';
    switch (verb) {
      case 'get':
        return found(store.get(resource, namespace ?? '', name), resource, name);
      case 'list':
        return this.#list({ resource, namespace, query });
      case 'create':
        return store.create(resource, JSON.parse(body), manager);
      case 'replace':
        return store.replace(resource, JSON.parse(body), part, manager);
      case 'patch':
        if (request.headers['content-type'] === 'application/apply-patch+yaml') {
          return store.apply(resource, JSON.parse(body), manager, part);
        }
        return store.patch(resource, namespace ?? '', name, JSON.parse(body), part, manager);
      default: {
        const { preconditions = {} } = body === '' ? {} : JSON.parse(body);
        store.delete(resource, namespace ?? '', name, preconditions);
        return { kind: 'Status', apiVersion: 'v1', status: 'Success' };
      }
    }
  }

  #list({ resource, namespace, query }: Pick<ApiRequest, 'resource' | 'namespace' | 'query'>) {
    const option = (name: string) => query.get(name) ?? undefined;
    const limit = option('limit');
    const page = this.store.list(resource, {
      ...Object.fromEntries(
        Object.entries({
          namespace,
          labelSelector: option('labelSelector'),
          fieldSelector: option('fieldSelector'),
          continueToken: option('continue'),
          limit: limit === undefined ? undefined : Number(limit),
        }).filter(([, value]) => value !== undefined),
      ),
    });
    return {
      kind: `${resource.kind}List`,
      apiVersion: apiVersionOf(resource),
      metadata: { resourceVersion: page.resourceVersion, continue: page.continueToken },
      // Items do not say what they are.
      items: page.items.map(({ metadata, apiVersion: _, kind: __, ...rest }) => ({ metadata, ...rest })),
    };
  }
}

function found(object: KubeObject | undefined, { plural }: Resource, name: string): KubeObject {
  if (object !== undefined) return object;
  throw new KubeApiError(`${plural} "${name}" not found`, { status: 404, reason: 'NotFound' });
}

/** @returns whether that was all of the answer */
async function happens(failure: Failure, response: ServerResponse): Promise<boolean> {
  switch (failure.do) {
    case 'status': {
      const retryAfterMs = (failure.retryAfterSeconds ?? 0) * 1000;
      refuse(response, new KubeApiError('by fault', { status: failure.status, retryAfterMs }));
      return true;
    }
    case 'hang':
      return true;
    case 'reset':
      response.destroy();
      return true;
    case 'slow':
      await new Promise((resolve) => setTimeout(resolve, failure.delayMs));
      return false;
    default:
      return false;
  }
}

function reply(response: ServerResponse, status: number, body: object, failure: Failure | undefined): void {
  if (failure?.do === 'lose-answer') response.destroy();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: KubeApiError): void {
  const headers = { 'content-type': 'application/json' };
  const wait = error.retryAfterMs > 0 ? { 'retry-after': String(error.retryAfterMs / 1000) } : {};
  response.writeHead(error.status, { ...headers, ...wait }).end(JSON.stringify(statusBody(error)));
}
