import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { errorMessage } from '../lib/errors.ts';

const bodyBytesMax = 1_048_576;
/** The server ends a watch after this long, drawn anew each time so that many gateways do not come back together. */
const watchSeconds = { min: 240, max: 480 };
/** A watch that outlives its end by this much hangs. */
const watchGraceMs = 10_000;

export interface LeaseHttpOptions {
  /** Of the API server, https. */
  readonly server: URL;
  readonly namespace: string;
  readonly name: string;
  readonly timeoutMs: number;
  /** Both are read for each request: kubelet replaces them before they expire. @throws when they cannot be read. */
  readonly readToken: () => string;
  readonly readAuthority: () => string;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** An answer of the API server that is not success, or none: status 0, and then a write may have happened. */
export class LeaseHttpError extends Error {
  override readonly name = 'LeaseHttpError';
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export interface LeaseWatchEvent {
  readonly type: string;
  readonly object: unknown;
}

/** The requests a gateway makes of the Kubernetes API; each has a deadline. */
export interface LeaseApi {
  /** @returns undefined when there is no Lease. @throws LeaseHttpError */
  read(): Promise<unknown>;
  /** Replaces the object that has the version in it, or makes one when there is no version. @throws LeaseHttpError */
  write(object: object): Promise<unknown>;
  /**
   * Tells of changes after `version`, or first of the present object when that is ''. Ends when the server ends it.
   * @throws LeaseHttpError
   */
  watch(version: string, onEvent: (event: LeaseWatchEvent) => void, signal: AbortSignal): Promise<void>;
}

/**
 * The Lease of one shard over HTTPS. A client of its own, because one object with three requests needs no more: importing
 * `@kubernetes/client-node` costs a gateway 82 MB of memory (73 MB for its deepest parts alone, of which the gateway would
 * use 300 lines), node:https 7 MB, and its watch would have to be wrapped all the same.
 */
export class LeaseHttp implements LeaseApi {
  #options: LeaseHttpOptions;
  #agent: { readonly authority: string; readonly agent: Agent } | undefined;

  constructor(options: LeaseHttpOptions) {
    this.#options = options;
  }

  async read(): Promise<unknown> {
    try {
      return await this.#call('GET', this.#objectPath, undefined);
    } catch (error) {
      if (error instanceof LeaseHttpError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** PUT makes a Lease that is not there: a role can allow `create` of one name for PUT, but not for POST. */
  write(object: object): Promise<unknown> {
    return this.#call('PUT', this.#objectPath, JSON.stringify(object));
  }

  watch(version: string, onEvent: (event: LeaseWatchEvent) => void, signal: AbortSignal): Promise<void> {
    const { min, max } = watchSeconds;
    const seconds = Math.floor(min + this.#options.random() * (max - min));
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      fieldSelector: `metadata.name=${this.#options.name}`,
      timeoutSeconds: String(seconds),
      ...(version === '' ? {} : { resourceVersion: version }),
    });
    const lines = new LineReader((line) => onEvent(eventOf(line)));
    const ends = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1_000 + watchGraceMs)]);
    return this.#request('GET', `${this.#folder}?${query}`, undefined, ends, async (answer) => {
      for await (const chunk of answer) lines.take(chunk as Buffer);
    });
  }

  close(): void {
    this.#agent?.agent.destroy();
    this.#agent = undefined;
  }

  get #folder(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(this.#options.namespace)}/leases`;
  }

  get #objectPath(): string {
    return `${this.#folder}/${encodeURIComponent(this.#options.name)}`;
  }

  #call(method: string, path: string, body: string | undefined): Promise<unknown> {
    const late = AbortSignal.timeout(this.#options.timeoutMs);
    return this.#request(method, path, body, late, async (answer) => JSON.parse(await textOf(answer)));
  }

  /** Sends a request and has its answer taken in. Whatever goes wrong becomes a LeaseHttpError. */
  async #request<T>(
    method: string,
    path: string,
    body: string | undefined,
    signal: AbortSignal,
    take: (answer: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    let sent: ClientRequest | undefined;
    try {
      sent = this.#open(method, path, body, signal);
      const answer = await headersOf(sent, this.#options.timeoutMs);
      const status = answer.statusCode ?? 0;
      if (status < 200 || status > 299) throw new LeaseHttpError(await refusalOf(answer, status), status);
      return await take(answer);
    } catch (error) {
      // The connection may be a dead one: the next request gets another.
      sent?.destroy();
      if (error instanceof LeaseHttpError) throw error;
      const why = signal.aborted ? `no answer within ${this.#options.timeoutMs} ms` : errorMessage(error);
      throw new LeaseHttpError(`${this.#options.server.origin}: ${method} ${path.split('?')[0]}: ${why}`, 0);
    }
  }

  #open(method: string, path: string, body: string | undefined, signal: AbortSignal): ClientRequest {
    const { server, readToken } = this.#options;
    const headers: Record<string, string> = {
      accept: 'application/json',
      authorization: `Bearer ${readToken().trim()}`,
      'user-agent': 'gatesvr-gateway',
    };
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = String(Buffer.byteLength(body));
    }
    // A name in brackets is how a URL writes an IPv6 address.
    const hostname = server.hostname.replace(/^\[(.*)\]$/, '$1');
    const sent = request({
      hostname,
      port: server.port || 443,
      method,
      path,
      headers,
      signal,
      agent: this.#agentNow(),
    });
    // Listened to as long as it lives: an error without a listener ends the process.
    sent.on('error', () => {});
    sent.end(body);
    return sent;
  }

  #agentNow(): Agent {
    const authority = this.#options.readAuthority();
    if (this.#agent?.authority === authority) return this.#agent.agent;
    const agent = new Agent({ keepAlive: true, ca: authority, maxSockets: 4, timeout: 0 });
    this.#agent = { authority, agent };
    return agent;
  }
}

function headersOf(sent: ClientRequest, timeoutMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    sent.once('response', (answer) => {
      clearTimeout(late);
      resolve(answer);
    });
    sent.once('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length;
    if (bytes > bodyBytesMax) throw new Error(`an answer of more than ${bodyBytesMax} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The `message` of the metav1.Status that comes with a refusal. */
async function refusalOf(answer: IncomingMessage, status: number): Promise<string> {
  const text = await textOf(answer).catch(() => '');
  let message = text;
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    // Not from the API server itself: shown as it is.
  }
  return `HTTP ${status}: ${message.slice(0, 500)}`;
}

function eventOf(line: string): LeaseWatchEvent {
  const event = JSON.parse(line) as { type?: unknown; object?: { code?: unknown; message?: unknown } };
  if (event.type === 'ERROR') {
    const { code, message } = event.object ?? {};
    throw new LeaseHttpError(`watch: ${String(message).slice(0, 500)}`, typeof code === 'number' ? code : 0);
  }
  return { type: String(event.type), object: event.object };
}

/** Cuts a stream of bytes into lines. */
class LineReader {
  #onLine: (line: string) => void;
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** @throws Error when a line is too long, and what `onLine` throws. */
  take(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...this.#kept, chunk.subarray(start, end)]).toString('utf8');
      this.#kept = [];
      this.#keptBytes = 0;
      start = end + 1;
      if (line.trim() !== '') this.#onLine(line);
    }
    if (start === chunk.length) return;
    this.#kept.push(chunk.subarray(start));
    this.#keptBytes += chunk.length - start;
    if (this.#keptBytes > bodyBytesMax) throw new Error(`an event of more than ${bodyBytesMax} bytes`);
  }
}
