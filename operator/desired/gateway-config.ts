import { stringify } from 'yaml';
import type { GateSvr } from '../api/gatesvr.ts';
import { durationMs } from '../lib/duration.ts';
import { type DesiredObject, hashOf, metadataOf, namesOf, ports } from './names.ts';

/** Where the pod has its files. */
export const paths = {
  config: '/etc/gatesvr/config',
  grpcTls: '/etc/gatesvr/tls',
  quicTls: '/etc/gatesvr/quic-tls',
  pair: '/etc/gatesvr/pair',
  auth: '/etc/gatesvr/auth',
  redis: '/etc/gatesvr/redis',
  fleet: '/etc/gatesvr/fleet',
} as const;

export const configFileName = 'gatesvr.yaml';
export const fleetMapFileName = 'fleet-map.json';

/** What every gateway of the fleet reads: keys of docs/configuration.md. What differs from pod to pod comes by flags. */
function gatewayConfig(gateSvr: GateSvr): object {
  const { spec } = gateSvr;
  const { session, failover, replication, update } = spec;
  return {
    server: {
      quic_addr: `:${ports.quic}`,
      http_addr: `:${ports.http}`,
      grpc_addr: `:${ports.grpc}`,
      metrics_addr: `:${ports.metrics}`,
      cert_file: `${paths.quicTls}/tls.crt`,
      key_file: `${paths.quicTls}/tls.key`,
      grpc_cert_file: `${paths.grpcTls}/tls.crt`,
      grpc_key_file: `${paths.grpcTls}/tls.key`,
      ca_file: `${paths.grpcTls}/ca.crt`,
      session_timeout: session.timeout,
      resume_window: session.resumeWindow,
      ack_timeout: session.ackTimeout,
      max_retries: session.maxRetries,
      start_timeout: session.startTimeout,
      heartbeat_interval: session.heartbeatInterval,
      idle_timeout: session.idleTimeout,
      second_login: session.secondLogin,
      max_frame_bytes: session.maxFrameBytes,
      queue_max_messages: session.queueMaxMessages,
      queue_max_bytes: session.queueMaxBytes,
      total_queue_max_bytes: session.totalQueueMaxBytes,
      drain_timeout: update.drainTimeout,
    },
    upstream: { zone_count: spec.zoneCount },
    auth: authConfig(spec.auth),
    fleet: { map_file: `${paths.fleet}/${fleetMapFileName}` },
    ...directoryConfig(gateSvr),
    backup: {
      enabled: true,
      arbiter: 'kubernetes',
      secret_file: `${paths.pair}/secret`,
      heartbeat: { interval: failover.heartbeatInterval, timeout: failover.heartbeatTimeout },
      sync: {
        batch_size: replication.batchSize,
        timeout: replication.batchTimeout,
        buffer_size: replication.bufferSize,
      },
      // The operator decides first.
      kubernetes: { reset_after: `${2 * durationMs(failover.resetAfter)}ms` },
    },
  };
}

function directoryConfig({ metadata, spec: { directory } }: GateSvr): object {
  const { redis } = directory;
  if (redis === undefined) return {};
  const ownPrefix = `${metadata.name}-${hashOf([metadata.namespace, metadata.name]).slice(0, 8)}`;
  return {
    directory: {
      kind: 'redis',
      redis: {
        mode: redis.mode,
        addrs: redis.addresses,
        master_name: redis.masterName,
        tls: redis.tls,
        db: redis.database,
        prefix: redis.prefix ?? ownPrefix,
        ...(redis.username === undefined ? {} : { username: redis.username }),
        ...(redis.passwordSecret === undefined ? {} : { password_file: `${paths.redis}/password` }),
      },
    },
  };
}

function authConfig({ mode, clockSkew, hmac, jwt, grpc }: GateSvr['spec']['auth']): object {
  return {
    mode,
    clock_skew: clockSkew,
    ...(mode === 'hmac' && hmac !== undefined ? { hmac_secret_file: `${paths.auth}/secret` } : {}),
    ...(mode === 'jwt' && jwt !== undefined
      ? {
          jwt: {
            ...(jwt.issuer === undefined ? {} : { issuer: jwt.issuer }),
            ...(jwt.audience === undefined ? {} : { audience: jwt.audience }),
            ...(jwt.jwksUrl === undefined ? { jwks_file: `${paths.auth}/jwks.json` } : { jwks_url: jwt.jwksUrl }),
            openid_claim: jwt.openidClaim,
            algorithms: jwt.algorithms,
          },
        }
      : {}),
    ...(mode === 'grpc' && grpc !== undefined ? { grpc: { addr: grpc.address, timeout: grpc.timeout } } : {}),
  };
}

/**
 * The configuration under a name that changes with it: a pod that is made again from an older template finds the
 * configuration it had.
 */
export function configMap(gateSvr: GateSvr): DesiredObject {
  const data = { [configFileName]: stringify(gatewayConfig(gateSvr)) };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(gateSvr, `${gateSvr.metadata.name}-config-${hashOf(data)}`),
    immutable: true,
    data,
  };
}

/** Limits for gateways that start while nobody pushes them; a change is no reason to replace a pod. */
export function limitsConfigMap(gateSvr: GateSvr): DesiredObject {
  const { overload } = gateSvr.spec;
  const values: Readonly<Record<string, unknown>> = {
    ENABLED: overload.enabled,
    MAX_CONNECTIONS: overload.maxConnections,
    CONNECTION_WARNING_THRESHOLD: overload.connectionWarningThreshold,
    MAX_QPS: overload.maxQps,
    QPS_WARNING_THRESHOLD: overload.qpsWarningThreshold,
    QPS_WINDOW_SECONDS: overload.qpsWindowSeconds,
    MAX_UPSTREAM_CONCURRENT: overload.maxUpstreamConcurrent,
    UPSTREAM_TIMEOUT: overload.upstreamTimeout,
    UPSTREAM_WARNING_THRESHOLD: overload.upstreamWarningThreshold,
  };
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(gateSvr, namesOf(gateSvr).limits),
    data: Object.fromEntries(given.map(([key, value]) => [`GATESVR_OVERLOAD_PROTECTION_${key}`, String(value)])),
  };
}
