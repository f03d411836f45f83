import { createHash } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { KubeApiError } from '../kube-api.ts';
import type { ClusterAccess, Connection, TlsSettings } from './cluster-access.ts';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly contentType?: string;
  readonly body?: object;
}

/** Calls at the same time, each on a connection of its own; more wait for one. Watches are not among them. */
const callsMax = 16;
/** Longer than a busy operator pauses, shorter than API servers and load balancers keep idle connections. */
const idleMs = 30_000;

type Agent = HttpAgent | HttpsAgent;

/**
 * Sends requests over connections that are kept and used again. The library's own way makes a new TLS connection for each
 * request where the cluster has a certificate authority of its own, and costs 30 MB more.
 */
export class Requester {
  #access: ClusterAccess;
  #agents: { readonly id: string; readonly calls: Agent; readonly watches: Agent } | undefined;
  #userAgent: string;

  constructor(access: ClusterAccess, userAgent: string) {
    this.#access = access;
    this.#userAgent = userAgent;
  }

  /**
   * @param signal ends the request, and the reading of its answer
   * @returns the answer's head; its body is still to be read
   * @throws KubeApiError with status 0 when no answer came
   */
  async send(call: Call, signal: AbortSignal, isWatch = false): Promise<IncomingMessage> {
    const connection = await this.#connection();
    try {
      return await this.#attempt(call, connection, signal, isWatch);
    } catch (error) {
      // The server closed an idle connection at this very moment: a read can simply be sent again.
      if (!(error instanceof ReusedConnectionError)) throw error;
      if (call.method !== 'GET') throw unanswered(call, error.cause);
      try {
        return await this.#attempt(call, connection, signal, isWatch);
      } catch (again) {
        throw again instanceof ReusedConnectionError ? unanswered(call, again.cause) : again;
      }
    }
  }

  /** The credentials were refused: the next request reads them anew. */
  refused(): void {
    this.#access.refused();
  }

  close(): void {
    this.#agents?.calls.destroy();
    this.#agents?.watches.destroy();
    this.#agents = undefined;
  }

  async #connection(): Promise<Connection> {
    try {
      return await this.#access.connection();
    } catch (error) {
      throw new KubeApiError(error instanceof Error ? error.message : String(error), { status: 0, cause: error });
    }
  }

  #attempt(call: Call, { tls, headers }: Connection, signal: AbortSignal, isWatch: boolean): Promise<IncomingMessage> {
    const { server } = this.#access;
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const agents = this.#agentsFor(tls);
    const options: RequestOptions = {
      method: call.method,
      agent: isWatch ? agents.watches : agents.calls,
      signal,
      headers: {
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...headers,
        ...(body === undefined
          ? {}
          : { 'content-type': call.contentType ?? 'application/json', 'content-length': body.length }),
      },
    };
    const url = new URL(`${server.pathname.replace(/\/$/, '')}${call.path}`, server);
    const send = server.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(url, options, resolve);
      request.on('error', (error: NodeJS.ErrnoException) => {
        const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        reject(stale ? new ReusedConnectionError('reused', { cause: error }) : unanswered(call, error, signal));
      });
      request.end(body);
    });
  }

  /** New ones when a certificate has changed; the old connections end when they fall idle. */
  #agentsFor(tls: TlsSettings) {
    const hash = createHash('sha256');
    for (const part of [tls.ca, tls.cert, tls.key]) hash.update(part ?? '').update('\0');
    const id = hash.update(`${tls.servername}\0${tls.rejectUnauthorized}`).digest('base64');
    if (this.#agents?.id === id) return this.#agents;
    const make = (maxSockets: number): Agent => {
      const options = {
        keepAlive: true,
        keepAliveMsecs: idleMs,
        timeout: idleMs,
        maxSockets,
        scheduling: 'lifo' as const,
      };
      return this.#access.server.protocol === 'https:'
        ? new HttpsAgent({ ...options, ...tls })
        : new HttpAgent(options);
    };
    this.#agents = { id, calls: make(callsMax), watches: make(Number.POSITIVE_INFINITY) };
    return this.#agents;
  }
}

class ReusedConnectionError extends Error {
  override readonly name = 'ReusedConnectionError';
}

export function unanswered(call: Call, cause: unknown, signal?: AbortSignal): KubeApiError {
  const reason: unknown = signal?.aborted === true ? signal.reason : cause;
  const why = reason instanceof Error ? reason.message : String(reason);
  return new KubeApiError(`${call.method} ${call.path.split('?')[0]}: no answer: ${why}`, { status: 0, cause: reason });
}
