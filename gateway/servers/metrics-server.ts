import type { Logger } from '../lib/log.ts';
import { type HttpListener, listenHttp, type Reply } from './http-listener.ts';

/** Prometheus text; `Metrics` of lib/metrics.ts is one. */
export interface MetricsText {
  text(): Promise<string>;
  readonly contentType: string;
}

export async function metricsReply(metrics: MetricsText): Promise<Reply> {
  return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
}

/**
 * `/metrics` alone, on a port that may be open to the monitoring and to nobody else.
 * @param address HOST:PORT or :PORT
 * @throws {UsageError} when the address cannot be listened at
 */
export function startMetricsServer(address: string, metrics: MetricsText, log: Logger): Promise<HttpListener> {
  const route = (path: string) => (path === '/metrics' ? metricsReply(metrics) : undefined);
  return listenHttp('server.metrics_addr', address, route, log);
}
