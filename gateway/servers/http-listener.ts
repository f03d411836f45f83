import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatAddress, parseAddress } from '../lib/address.ts';
import { errorMessage, UsageError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a path, or nothing when there is no such path. */
export type Routes = (path: string) => Reply | Promise<Reply> | undefined;

export interface HttpListener {
  /** Where it really listens, HOST:PORT; the port is the chosen one when 0 was asked for. */
  readonly address: string;
  /** Takes no more connections, lets answers under way finish until the deadline, then cuts. */
  close(deadlineMs: number): Promise<void>;
}

/** Reading only: these servers change nothing. */
const allowedMethods = 'GET, HEAD';

export function jsonReply(status: number, body: unknown): Reply {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` };
}

/**
 * Serves GET and HEAD of `routes` over HTTP/1.1, with bounds on headers, time and connections.
 * @param key configuration key named in errors
 * @param address HOST:PORT or :PORT
 * @throws {UsageError} when the address cannot be listened at
 */
export async function listenHttp(key: string, address: string, routes: Routes, log: Logger): Promise<HttpListener> {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => void answer(request, response, routes, log),
  );
  server.maxConnections = 1000;
  server.maxRequestsPerSocket = 1000;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else socket.end(`HTTP/1.1 ${statusOfClientError(error.code)}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  await listening(server, key, address);
  const bound = server.address() as AddressInfo;
  return {
    address: formatAddress({ host: bound.address, port: bound.port }),
    close: (deadlineMs) => closeWithin(server, deadlineMs),
  };
}

function statusOfClientError(code: string | undefined): string {
  if (code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
}

function listening(server: Server, key: string, text: string): Promise<void> {
  const address = parseAddress(text);
  if (address === undefined) throw new UsageError(`${key}: ${text}: expected HOST:PORT or :PORT`);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'is in use by another process' : errorMessage(error);
      reject(new UsageError(`${key}: ${text}: ${reason}`));
    });
    const host = address.host === '' ? {} : { host: address.host };
    server.listen({ ...host, port: address.port }, resolve);
  });
}

function closeWithin(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), deadlineMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: Routes, log: Logger): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const reply = await replyTo(request.method ?? '', path, routes, log);
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, {
    'Content-Type': reply.contentType,
    'Content-Length': body.byteLength,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(reply.status === 405 ? { Allow: allowedMethods } : {}),
    ...(request.headers['content-length'] === undefined ? {} : { Connection: 'close' }),
    ...reply.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function replyTo(method: string, path: string, routes: Routes, log: Logger): Promise<Reply> {
  try {
    const reply = await routes(path);
    if (reply === undefined) return jsonReply(404, { error: 'not found', path: path.slice(0, 200) });
    if (method === 'GET' || method === 'HEAD') return reply;
    return jsonReply(405, { error: 'method not allowed', allowed: allowedMethods });
  } catch (error) {
    log.error({ path, error: errorMessage(error) }, 'http request failed');
    return jsonReply(500, { error: 'internal error' });
  }
}
