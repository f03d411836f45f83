import type { HandlerContext } from '../handlers/context.ts';
import type { GatewayIdentity } from '../handlers/status.ts';
import type { GaugeSource, Metrics } from '../lib/metrics.ts';
import type { PerformanceReport } from '../lib/performance-window.ts';
import type { GatewayView, StatsReport } from './http-server.ts';

export interface GatewayViewOptions {
  readonly context: HandlerContext;
  readonly metrics: Metrics;
  readonly identity: GatewayIdentity;
  /** The QUIC implementation, and why it must not serve in production, if so. */
  readonly transport: { readonly kind: string; readonly warning?: string };
  readonly performance: () => PerformanceReport;
  readonly notReadyReasons: () => readonly string[];
}

/** What HTTP shows of a gateway, read from memory at each call. */
export function gatewayView(options: GatewayViewOptions): GatewayView {
  const { context, metrics, identity } = options;
  const { shard } = context;
  return {
    metrics,
    health: () => ({
      pid: process.pid,
      version: identity.version,
      server_id: identity.serverId,
      role: shard.role,
      epoch: shard.epoch,
      transport: options.transport.kind,
      ...(options.transport.warning === undefined ? {} : { transport_warning: options.transport.warning }),
    }),
    notReadyReasons: options.notReadyReasons,
    isPrimary: () => shard.role === 'primary',
    stats: () => statsReport(context),
    performance: options.performance,
  };
}

function statsReport(context: HandlerContext): StatsReport {
  const { shard, sessions, protector } = context;
  const counts = sessions.counts();
  return {
    connections: context.connections.size,
    sessions: counts.sessions,
    zones: zoneStats(context),
    queue: { messages: counts.queueMessages, bytes: counts.queueBytes },
    overload: { state: protector.state, limits: seedNames(protector.limits) },
    shards: [
      {
        id: shard.id,
        role: shard.role,
        epoch: shard.epoch,
        incarnation: shard.incarnation,
        log_index: shard.logIndex,
        commit_index: shard.commitIndex,
        in_sync: shard.inSync,
      },
    ],
  };
}

/** Limits under the names they have in the configuration. */
function seedNames(limits: object): Record<string, unknown> {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(limits).map(([name, value]) => [snake(name), value]));
}

function zoneStats(context: HandlerContext): StatsReport['zones'] {
  const zones: Record<string, StatsReport['zones'][string]> = {};
  const sessionsOf = context.sessions.zoneSessions();
  const health = context.router.status();
  for (let number = 1; number <= context.settings.zoneCount; number += 1) {
    const zoneId = String(number).padStart(3, '0');
    const endpoints = health.get(zoneId) ?? [];
    zones[zoneId] = {
      sessions: sessionsOf.get(zoneId) ?? 0,
      endpoints: endpoints.map(({ address, healthy, inFlight }) => ({ address, healthy, in_flight: inFlight })),
    };
  }
  return zones;
}

/** What Prometheus sees of the same. */
export function gaugeSource(context: HandlerContext): GaugeSource {
  return {
    connections: () => context.connections.size,
    sessions: () => context.sessions.counts().sessions,
    queueMessages: () => context.sessions.counts().queueMessages,
    zoneSessions: () => context.sessions.zoneSessions(),
    shards: () => {
      const { id, role, epoch, logIndex, commitIndex } = context.shard;
      return [{ id, role, epoch, lagEntries: logIndex - commitIndex }];
    },
  };
}
