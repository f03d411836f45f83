import { isLoopback, parseAddress } from '../lib/address.ts';
import { formatDuration } from '../lib/duration.ts';
import type { Config } from './schema.ts';

/** Something that must hold between several keys. */
export interface Rule {
  /** Keys it reads; when one of them is already wrong the rule is not asked. The first one is named in the problem. */
  readonly paths: readonly string[];
  /** What is wrong, as "value: expected …", or undefined. */
  readonly check: (config: Config) => string | undefined;
}

/** The smaller key, the larger key, and what to read of each. */
function atMost(small: string, large: string, read: (config: Config) => readonly [number, number]): Rule {
  return {
    paths: [small, large],
    check: (config) => {
      const [smaller, larger] = read(config);
      return smaller <= larger ? undefined : `${smaller}: expected at most ${large} (${larger})`;
    },
  };
}

function needed(
  path: string,
  switchPath: string,
  read: (config: Config) => readonly [boolean, string | undefined],
): Rule {
  return {
    paths: [path, switchPath.split(' ')[0] ?? switchPath],
    check: (config) => {
      const [isNeeded, value] = read(config);
      return isNeeded && value === undefined ? `not set: expected a value, because ${switchPath}` : undefined;
    },
  };
}

const limits = 'overload_protection';

const overloadRules: readonly Rule[] = [
  atMost(`${limits}.connection_warning_threshold`, `${limits}.max_connections`, ({ overloadProtection: o }) => [
    o.connectionWarningThreshold,
    o.maxConnections,
  ]),
  atMost(`${limits}.qps_warning_threshold`, `${limits}.max_qps`, ({ overloadProtection: o }) => [
    o.qpsWarningThreshold,
    o.maxQps,
  ]),
  atMost(`${limits}.upstream_warning_threshold`, `${limits}.max_upstream_concurrent`, ({ overloadProtection: o }) => [
    o.upstreamWarningThreshold,
    o.maxUpstreamConcurrent,
  ]),
  atMost(`${limits}.zone_max_concurrent`, `${limits}.max_upstream_concurrent`, ({ overloadProtection: o }) => [
    o.zoneMaxConcurrent,
    o.maxUpstreamConcurrent,
  ]),
  atMost(`${limits}.event_loop_delay_warning`, `${limits}.event_loop_delay_limit`, ({ overloadProtection: o }) => [
    o.eventLoopDelayWarningMs,
    o.eventLoopDelayLimitMs,
  ]),
  atMost(`${limits}.memory_warning`, `${limits}.memory_limit`, ({ overloadProtection: o }) => [
    o.memoryLimit === 0 ? 0 : o.memoryWarning,
    o.memoryLimit,
  ]),
];

const authRules: readonly Rule[] = [
  needed('auth.hmac_secret_file', 'auth.mode is hmac', ({ auth }) => [auth.mode === 'hmac', auth.hmacSecretFile]),
  needed('auth.grpc.addr', 'auth.mode is grpc', ({ auth }) => [auth.mode === 'grpc', auth.grpc.addr]),
  {
    paths: ['auth.jwt.jwks_file', 'auth.jwt.jwks_url', 'auth.mode'],
    check: ({ auth: { mode, jwt } }) => {
      if (jwt.jwksFile !== undefined && jwt.jwksUrl !== undefined) {
        return `${jwt.jwksFile}: expected nothing, because auth.jwt.jwks_url is set`;
      }
      const missing = mode === 'jwt' && jwt.jwksFile === undefined && jwt.jwksUrl === undefined;
      return missing ? 'not set: expected a value here or in auth.jwt.jwks_url, because auth.mode is jwt' : undefined;
    },
  },
];

function ownPeer(
  path: string,
  listenPath: string,
  read: (config: Config) => readonly [string | undefined, string],
): Rule {
  return {
    paths: [path, listenPath],
    check: (config) => {
      const [peerText, listenText] = read(config);
      const peer = peerText === undefined ? undefined : parseAddress(peerText);
      const listen = parseAddress(listenText);
      if (peer === undefined || listen === undefined || peer.port !== listen.port) return undefined;
      const oneself = peer.host === listen.host || (isLoopback(peer.host) && isLocal(listen.host));
      return oneself ? `${peerText}: expected the peer's address, this is ${listenPath} (${listenText})` : undefined;
    },
  };
}

function isLocal(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::' || isLoopback(host);
}

const pairOn = ({ backup }: Config) => backup.enabled;
const inKubernetes = ({ backup }: Config) => backup.enabled && backup.arbiter === 'kubernetes';

const backupRules: readonly Rule[] = [
  needed('backup.secret_file', 'backup.enabled is true', (c) => [pairOn(c), c.backup.secretFile]),
  needed('backup.heartbeat.peer_addr', 'backup.enabled is true', (c) => [pairOn(c), c.backup.heartbeat.peerAddr]),
  needed('backup.sync.peer_addr', 'backup.enabled is true', (c) => [pairOn(c), c.backup.sync.peerAddr]),
  ownPeer('backup.heartbeat.peer_addr', 'backup.heartbeat.listen_addr', ({ backup: { heartbeat } }) => [
    heartbeat.peerAddr,
    heartbeat.listenAddr,
  ]),
  ownPeer('backup.sync.peer_addr', 'backup.sync.listen_addr', ({ backup: { sync } }) => [
    sync.peerAddr,
    sync.listenAddr,
  ]),
  needed('backup.kubernetes.lease_name', 'backup.arbiter is kubernetes', (c) => [
    inKubernetes(c),
    c.backup.kubernetes.leaseName,
  ]),
  {
    paths: ['backup.kubernetes.api_server'],
    check: ({ backup: { kubernetes } }) =>
      kubernetes.apiServer === undefined || kubernetes.apiServer.startsWith('https:')
        ? undefined
        : `${kubernetes.apiServer}: expected an https URL: the token is sent there`,
  },
  {
    paths: ['backup.kubernetes.reset_after', 'backup.heartbeat.timeout'],
    check: (config) => {
      const { kubernetes, heartbeat } = config.backup;
      const wrong = inKubernetes(config) && kubernetes.resetAfterMs < 4 * heartbeat.timeoutMs;
      const atLeast = `at least 4 times backup.heartbeat.timeout (${formatDuration(heartbeat.timeoutMs)})`;
      return wrong ? `${formatDuration(kubernetes.resetAfterMs)}: expected ${atLeast}` : undefined;
    },
  },
  {
    paths: ['backup.heartbeat.timeout', 'backup.heartbeat.interval'],
    check: ({ backup: { heartbeat } }) =>
      heartbeat.timeoutMs >= 3 * heartbeat.intervalMs
        ? undefined
        : `${formatDuration(heartbeat.timeoutMs)}: expected at least 3 times backup.heartbeat.interval (${formatDuration(heartbeat.intervalMs)})`,
  },
];

const fleetRules: readonly Rule[] = [
  {
    paths: ['fleet.map_file', 'fleet.pair_id'],
    check: ({ fleet }) =>
      fleet.mapFile !== undefined && fleet.pairId === ''
        ? `${fleet.mapFile}: expected nothing, because fleet.pair_id is not set`
        : undefined,
  },
  {
    paths: ['directory.kind', 'fleet.pair_id'],
    check: ({ directory, fleet }) =>
      directory.kind === 'redis' && fleet.pairId === ''
        ? 'redis: expected memory, because fleet.pair_id is not set'
        : undefined,
  },
  {
    paths: ['directory.redis.addrs', 'directory.kind'],
    check: ({ directory: { kind, redis } }) =>
      kind === 'redis' && redis.addrs.length === 0
        ? 'not set: expected a value, because directory.kind is redis'
        : undefined,
  },
];

/** TCP servers of one process; two at one address is a mistake that would show only as "port in use". */
const tcpServers: readonly (readonly [string, (config: Config) => string | undefined])[] = [
  ['server.http_addr', ({ server }) => server.httpAddr],
  ['server.grpc_addr', ({ server }) => server.grpcAddr],
  ['server.metrics_addr', ({ server }) => server.metricsAddr],
  ['backup.heartbeat.listen_addr', ({ backup }) => (backup.enabled ? backup.heartbeat.listenAddr : undefined)],
  ['backup.sync.listen_addr', ({ backup }) => (backup.enabled ? backup.sync.listenAddr : undefined)],
];

const portRules: readonly Rule[] = tcpServers.flatMap(([path, read], index) =>
  tcpServers.slice(0, index).map(([otherPath, readOther]) => ({
    paths: [path, otherPath],
    check: (config: Config) => {
      const address = read(config);
      const clash = address !== undefined && address === readOther(config) && parseAddress(address)?.port !== 0;
      return clash ? `${address}: expected another address than ${otherPath}` : undefined;
    },
  })),
);

/** What helps to find a fault gives users away, or fills a disk: not in production, unless somebody insists. */
const debuggingRules: readonly Rule[] = (['qlog', 'keyLog'] as const).map((name) => ({
  paths: [name === 'qlog' ? 'server.qlog' : 'server.key_log', 'server.dev', 'server.allow_debugging'],
  check: ({ server }) => {
    const refused = server[name] !== undefined && !server.dev && !server.allowDebugging;
    return refused ? `${server[name]}: expected nothing without server.dev, or server.allow_debugging` : undefined;
  },
}));

export const rules: readonly Rule[] = [
  ...debuggingRules,
  {
    paths: ['server.key_file', 'server.cert_file'],
    check: ({ server: { certFile, keyFile } }) =>
      (certFile === undefined) === (keyFile === undefined)
        ? undefined
        : `${keyFile ?? 'not set'}: expected server.cert_file and server.key_file both, or neither`,
  },
  {
    paths: ['server.grpc_key_file', 'server.grpc_cert_file'],
    check: ({ server: { grpcCertFile, grpcKeyFile } }) =>
      (grpcCertFile === undefined) === (grpcKeyFile === undefined)
        ? undefined
        : `${grpcKeyFile ?? 'not set'}: expected server.grpc_cert_file and server.grpc_key_file both, or neither`,
  },
  ...overloadRules,
  ...authRules,
  ...backupRules,
  ...fleetRules,
  ...portRules,
];

/** What is allowed, but an operator should know at the start. */
export function warningsFor(config: Config): string[] {
  const { server, auth, backup } = config;
  const warnings: string[] = [];
  if (auth.mode === 'none' && !server.dev)
    warnings.push('auth.mode is none: every client is believed to be who it says');
  if (server.grpcPlaintext)
    warnings.push('server.grpc_plaintext is on: who reaches the gRPC port may register zones and push');
  else if (server.caFile === undefined && !server.dev) {
    warnings.push('server.ca_file is not set: no zone or administrator can be recognised on gRPC');
  }
  if (auth.mode === 'jwt' && (auth.jwt.issuer === undefined || auth.jwt.audience === undefined)) {
    warnings.push('auth.jwt.issuer or auth.jwt.audience is not set: tokens made for others are accepted');
  }
  if (server.keyLog !== undefined) warnings.push('server.key_log is set: who has the file can read the traffic');
  if (server.qlog !== undefined) warnings.push('server.qlog is set: every packet writes to a file that only grows');
  if (server.idleTimeoutMs < 2 * server.heartbeatIntervalMs) {
    warnings.push('server.idle_timeout is shorter than two heartbeats: one lost heartbeat closes a connection');
  }
  if (server.queueMaxBytes < server.maxFrameBytes) {
    warnings.push('server.queue_max_bytes is less than server.max_frame_bytes: the longest messages never fit a queue');
  }
  if (backup.enabled && backup.arbiter === 'standalone') {
    warnings.push('backup.arbiter is standalone: while the two cannot reach each other, both may serve');
  }
  return warnings;
}
