import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { UsageError } from '../lib/errors.ts';
import { type Logger, silentLogger } from '../lib/log.ts';
import type { HttpListener } from './http-listener.ts';
import { type GatewayView, startHttpServer } from './http-server.ts';
import { startMetricsServer } from './metrics-server.ts';

const view: GatewayView = {
  health: () => ({ pid: 7, version: '1.2.3', server_id: 'gate-001', role: 'primary', epoch: 5, transport: 'quinn' }),
  notReadyReasons: () => [],
  isPrimary: () => true,
  stats: () => ({
    connections: 1,
    sessions: 2,
    zones: { '001': { sessions: 2, endpoints: [{ address: 'localhost:9001', healthy: true, in_flight: 3 }] } },
    queue: { messages: 4, bytes: 5 },
    overload: { state: 'normal', limits: { max_connections: 6 } },
    shards: [{ id: '0', role: 'primary', epoch: 5, incarnation: 'i', log_index: 9, commit_index: 8, in_sync: ['i'] }],
  }),
  performance: () => ({
    window_seconds: 10,
    qps: 1,
    latency_ms: { p50: 1, p90: 2, p99: 3, max: 4 },
    throughput_bytes_per_second: { in: 5, out: 6 },
  }),
  metrics: { text: async () => 'gatesvr_session_count 2\n', contentType: 'text/plain; version=0.0.4; charset=utf-8' },
};

const open: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(0)));
});

async function serve(changes: Partial<GatewayView> = {}, log: Logger = silentLogger): Promise<string> {
  const listener = await startHttpServer('127.0.0.1:0', { ...view, ...changes }, log);
  open.push(listener);
  return listener.address;
}

async function get(address: string, path: string, init?: RequestInit) {
  const response = await fetch(`http://${address}${path}`, init);
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

/** Everything the server says on a raw connection until it closes it. */
function talk(address: string, send: (socket: Socket) => void): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host);
    let heard = '';
    socket.on('connect', () => send(socket));
    socket.on('data', (data) => {
      heard += String(data);
    });
    socket.on('close', () => resolve(heard));
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? undefined : reject(error)));
  });
}

describe('the HTTP server', () => {
  it('answers with the pinned bodies', async () => {
    const address = await serve();
    const health = { status: 'healthy', ...view.health() };
    expect(JSON.parse((await get(address, '/health')).text)).toEqual(health);
    expect(JSON.parse((await get(address, '/stats')).text)).toEqual(view.stats());
    expect(JSON.parse((await get(address, '/performance?x=1')).text)).toEqual(view.performance());
    expect((await get(address, '/metrics')).text).toBe('gatesvr_session_count 2\n');
    expect((await get(address, '/metrics')).headers.get('content-type')).toBe(view.metrics.contentType);
  });

  it('says whether it is ready and primary by the status, with reasons', async () => {
    const serving = await serve();
    expect((await get(serving, '/ready')).status).toBe(200);
    expect((await get(serving, '/primary')).status).toBe(200);
    const waiting = await serve({ notReadyReasons: () => ['draining'], isPrimary: () => false });
    const ready = await get(waiting, '/ready');
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.text)).toEqual({ status: 'not ready', reasons: ['draining'] });
    expect((await get(waiting, '/primary')).status).toBe(503);
    expect((await get(waiting, '/health')).status).toBe(200);
  });

  it('shows a console that loads nothing from elsewhere and runs only its own script', async () => {
    const { text, headers } = await get(await serve(), '/');
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'sha256-[^']+'/);
    expect(text).toContain('<h1>GateSvr');
    expect(text).toContain('setTimeout(refresh, refreshMs)');
    expect(text).not.toMatch(/(?:src|href)="(?!\/)/);
  });

  it('answers HEAD without a body, other methods and paths with a JSON error', async () => {
    const address = await serve();
    const head = await get(address, '/health', { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    const post = await get(address, '/health', { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect(JSON.parse(post.text)).toEqual({ error: 'method not allowed', allowed: 'GET, HEAD' });
    const missing = await get(address, '/../etc/passwd%00');
    expect(missing.status).toBe(404);
    expect(JSON.parse(missing.text)).toMatchObject({ error: 'not found' });
  });

  it('keeps the reason of a failure in the log, not in the answer', async () => {
    const lines: object[] = [];
    const log = { ...silentLogger, error: (fields: object) => void lines.push(fields) };
    const stats = () => {
      throw new Error('secret detail');
    };
    const { status, text } = await get(await serve({ stats }, log), '/stats');
    expect([status, JSON.parse(text)]).toEqual([500, { error: 'internal error' }]);
    expect(lines).toEqual([{ path: '/stats', error: 'secret detail' }]);
  });

  it('refuses headers without end and what is not HTTP, and goes on', async () => {
    const address = await serve();
    const endless = (socket: Socket) => socket.write(`GET / HTTP/1.1\r\nA: ${'x'.repeat(20_000)}`);
    expect(await talk(address, endless)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await talk(address, (socket) => socket.write('\x16\x03\x01 garbage\r\n\r\n'))).toMatch(/^HTTP\/1\.1 400 /);
    expect((await get(address, '/health')).status).toBe(200);
  });

  it('does not wait for a client that never ends its headers', async () => {
    const address = await serve();
    expect(await talk(address, (socket) => socket.write('GET /health HTTP/1.1\r\nA: b'))).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('names the key when the address cannot be used', async () => {
    const address = await serve();
    const again = startHttpServer(address, view, silentLogger);
    await expect(again).rejects.toThrow(new UsageError(`server.http_addr: ${address}: is in use by another process`));
  });

  it('cuts answers that outlast the deadline when it stops', async () => {
    const stuck = { ...view.metrics, text: () => new Promise<string>(() => {}) };
    const listener = await startHttpServer('127.0.0.1:0', { ...view, metrics: stuck }, silentLogger);
    const request = get(listener.address, '/metrics').catch(() => 'cut');
    await get(listener.address, '/health');
    await listener.close(10);
    expect(await request).toBe('cut');
  });
});

describe('the metrics server', () => {
  it('serves metrics and nothing else', async () => {
    const listener = await startMetricsServer('127.0.0.1:0', view.metrics, silentLogger);
    open.push(listener);
    expect((await get(listener.address, '/metrics')).text).toBe('gatesvr_session_count 2\n');
    expect((await get(listener.address, '/stats')).status).toBe(404);
  });
});
