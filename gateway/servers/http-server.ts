import type { Logger } from '../lib/log.ts';
import type { PerformanceReport } from '../lib/performance-window.ts';
import { consolePage } from './console/page.ts';
import { type HttpListener, jsonReply, listenHttp, type Reply } from './http-listener.ts';
import { type MetricsText, metricsReply } from './metrics-server.ts';

/** The body of `/health` (interface, "HTTP"), without its constant status. */
export interface HealthReport {
  readonly pid: number;
  readonly version: string;
  readonly server_id: string;
  readonly role: string;
  readonly epoch: number;
  readonly transport: string;
  /** Why this transport must not serve in production; absent for the one that may. */
  readonly transport_warning?: string;
}

export interface StatsReport {
  readonly connections: number;
  readonly sessions: number;
  /** By zone id, "001" and on. */
  readonly zones: Readonly<
    Record<
      string,
      {
        readonly sessions: number;
        readonly endpoints: readonly {
          readonly address: string;
          readonly healthy: boolean;
          readonly in_flight: number;
        }[];
      }
    >
  >;
  readonly queue: { readonly messages: number; readonly bytes: number };
  readonly overload: { readonly state: string; readonly limits: object };
  readonly shards: readonly {
    readonly id: string;
    readonly role: string;
    readonly epoch: number;
    readonly incarnation: string;
    readonly log_index: number;
    readonly commit_index: number;
    readonly in_sync: readonly string[];
  }[];
}

/** What the HTTP server shows; the gateway implements it. All calls are answered at once, from memory. */
export interface GatewayView {
  readonly metrics: MetricsText;
  health(): HealthReport;
  /** Empty when clients can be served here, or a promotion would make it so. */
  notReadyReasons(): readonly string[];
  isPrimary(): boolean;
  stats(): StatsReport;
  performance(): PerformanceReport;
}

/**
 * Health, readiness, statistics, metrics and the console.
 * @param address HOST:PORT or :PORT
 * @throws {UsageError} when the address cannot be listened at
 */
export function startHttpServer(address: string, view: GatewayView, log: Logger): Promise<HttpListener> {
  return listenHttp('server.http_addr', address, (path) => route(path, view), log);
}

function route(path: string, view: GatewayView): Reply | Promise<Reply> | undefined {
  switch (path) {
    case '/':
      return consolePage;
    case '/health':
      return jsonReply(200, { status: 'healthy', ...view.health() });
    case '/ready':
      return readiness(view.notReadyReasons());
    case '/primary':
      return jsonReply(view.isPrimary() ? 200 : 503, { primary: view.isPrimary() });
    case '/stats':
      return jsonReply(200, view.stats());
    case '/performance':
      return jsonReply(200, view.performance());
    case '/metrics':
      return metricsReply(view.metrics);
    default:
      return undefined;
  }
}

function readiness(reasons: readonly string[]): Reply {
  return reasons.length === 0 ? jsonReply(200, { status: 'ready' }) : jsonReply(503, { status: 'not ready', reasons });
}
