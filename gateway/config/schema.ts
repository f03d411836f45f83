import { directory, fleet } from './fleet-keys.ts';
import {
  certificatePart,
  choice,
  duration,
  flag,
  integer,
  type Key,
  listenAddress,
  onOff,
  optionalFile,
  optionalObjectName,
  optionalText,
  optionalUrl,
  peerAddress,
  share,
  text,
  wordList,
} from './keys.ts';

const minuteMs = 60_000;
const hourMs = 3_600_000;
const upTo = (max: number) => ({ min: 0, max });
const from = (min: number, max: number) => ({ min, max });
const count = from(1, 10_000_000);
const countOrOff = upTo(10_000_000);
const pathPattern = /^\S{1,4096}$/;
const bytesOrOff = upTo(1_099_511_627_776);

const server = {
  quicAddr: listenAddress(':8453', 'Where clients connect (QUIC, UDP).'),
  httpAddr: listenAddress(':8080', 'Health, readiness, statistics, metrics and the console (HTTP).'),
  grpcAddr: listenAddress(':8092', 'Where zones register and push, and where administrators call (gRPC).'),
  metricsAddr: listenAddress(':9090', 'Prometheus metrics (HTTP).'),
  certFile: certificatePart('certs/server.crt', 'server.key_file', 'Certificate chain for QUIC and gRPC, PEM.'),
  keyFile: certificatePart('certs/server.key', 'server.cert_file', 'Private key of the certificate, PEM.'),
  grpcCertFile: optionalFile('Certificate chain for gRPC when it is not the one for QUIC, PEM.'),
  grpcKeyFile: optionalFile('Private key of that certificate, PEM.'),
  caFile: optionalFile('Authority whose certificates zones, peers and administrators must show on gRPC, PEM.'),
  advertiseAddr: peerAddress('Address clients are told to come back to, when it is not the one they used.'),
  sessionTimeoutMs: duration('5m', from(100, 24 * hourMs), 'A session whose client says nothing for this long ends.'),
  ackTimeoutMs: duration(
    '30s',
    from(10, hourMs),
    'A push not acknowledged for this long is sent again on the same connection.',
  ),
  maxRetries: integer(
    3,
    upTo(100),
    'After this many repeats without acknowledgement the connection is closed; the session stays resumable.',
  ),
  startTimeoutMs: duration('5s', from(10, minuteMs), 'The first message (START) must arrive within this time.'),
  heartbeatIntervalMs: duration('10s', from(10, hourMs), 'How often clients are asked to send a heartbeat.'),
  idleTimeoutMs: duration('30s', from(100, hourMs), 'A connection on which nothing arrives for this long is closed.'),
  resumeWindowMs: duration('30s', from(0, hourMs), 'How long a session waits for its client to come back.'),
  drainTimeoutMs: duration('30s', from(0, hourMs), 'The longest a graceful stop may take.'),
  replacedGraceMs: duration('5s', from(0, minuteMs), 'How long a replaced connection may stay after it was told.'),
  slowConsumerTimeoutMs: duration('10s', from(100, hourMs), 'A connection that takes nothing for this long is closed.'),
  bindWaitMs: duration('5s', from(0, hourMs), 'How long a push bound to a response waits for it.'),
  pushDedupeHorizonMs: duration('2m', from(1000, hourMs), 'How long the first answer to a push_id is kept.'),
  pushDedupeMaxEntries: integer(100_000, count, 'Most push_ids kept at a time.'),
  maxProducers: integer(1000, count, 'Most producers of numbered pushes (PushStream) kept at a time.'),
  maxSessions: share(
    200,
    'overload_protection.max_connections',
    count,
    'Most sessions, connected or waiting for their client.',
  ),
  maxFrameBytes: integer(65_536, from(1024, 16_777_216), 'Longest message either way.'),
  queueMaxMessages: integer(256, from(1, 1_000_000), 'Most unacknowledged messages of one session.'),
  queueMaxBytes: integer(262_144, from(1024, 1_073_741_824), 'Most unacknowledged bytes of one session.'),
  totalQueueMaxBytes: integer(
    536_870_912,
    from(1024, 1_099_511_627_776),
    'Most unacknowledged bytes of all sessions together.',
  ),
  secondLogin: choice(['resume', 'replace', 'refuse'], 'What a second login of the same user does to the first.'),
  transport: choice(['auto', 'quinn', 'quiche'], 'QUIC implementation; auto takes the best that is built.'),
  qlog: optionalText(
    'Folder for a trace of every QUIC packet (qlog, JSON-SEQ); it must exist.',
    'the path of a folder',
  ),
  keyLog: optionalFile('Where TLS secrets are written (as SSLKEYLOGFILE): who has them can read the traffic.'),
  allowDebugging: flag('Allows qlog and key_log without dev.'),
  grpcPlaintext: flag('gRPC without TLS. Everyone who reaches the port may register zones and push.'),
  grpcReflection: flag('Lets gRPC tools list services and messages.'),
  adminTokenFile: optionalFile('Bearer token for administrative HTTP requests; no such request exists yet.'),
  dev: flag('Development: throw-away certificate, plaintext gRPC on loopback, no authentication.'),
};

const upstream = {
  zoneCount: integer(6, from(1, 999), 'Number of zones the users are spread over; changing it moves users.'),
  healthIntervalMs: duration('5s', from(50, hourMs), 'How often each endpoint is asked for its health.'),
  healthTimeoutMs: duration('2s', from(10, minuteMs), 'How long a health check may take.'),
  leaseMs: duration('30s', from(100, hourMs), 'An endpoint that does not register again within this time is removed.'),
  keepaliveIntervalMs: duration('10s', from(1000, hourMs), 'How often an idle upstream connection is checked.'),
  keepaliveTimeoutMs: duration(
    '5s',
    from(100, minuteMs),
    'An upstream connection that leaves a check unanswered this long is closed.',
  ),
  maxAttempts: integer(2, from(1, 10), 'Endpoints tried for one request, where it may be repeated.'),
  maxEndpoints: integer(1000, from(1, 100_000), 'Most endpoints of all zones together.'),
};

const overloadProtection = {
  enabled: onOff(true, 'Refuse work beyond the limits below.'),
  maxConnections: integer(1000, count, 'Most client connections.'),
  connectionWarningThreshold: share(
    80,
    'overload_protection.max_connections',
    upTo(count.max),
    'Connections from which on the state is warn.',
  ),
  maxQps: integer(2000, count, 'Most requests a second, over the window.'),
  qpsWarningThreshold: share(
    80,
    'overload_protection.max_qps',
    upTo(count.max),
    'Requests a second from which on the state is warn.',
  ),
  qpsWindowSeconds: integer(10, from(1, 600), 'Length of the sliding window over which requests are counted.'),
  maxUpstreamConcurrent: integer(100, count, 'Most requests waiting for zones at a time.'),
  upstreamTimeoutMs: duration('30s', from(10, hourMs), 'How long a zone may take to answer.'),
  upstreamWarningThreshold: share(
    80,
    'overload_protection.max_upstream_concurrent',
    upTo(count.max),
    'Waiting requests from which on the state is warn.',
  ),
  zoneMaxConcurrent: share(
    50,
    'overload_protection.max_upstream_concurrent',
    upTo(count.max),
    'Most requests waiting for one zone, so that a slow one cannot take all; 0 for no limit.',
  ),
  adaptiveConcurrency: flag('Lower the limit of a zone whose answers become slower.'),
  connectRate: integer(500, countOrOff, 'New connections a second; 0 for no limit.'),
  sessionMessageRate: share(
    25,
    'overload_protection.max_qps',
    countOrOff,
    'Messages a second of one session; slowed, then closed. 0 for no limit.',
    1000,
  ),
  sessionByteRate: integer(8_388_608, bytesOrOff, 'Bytes a second of one session. 0 for no limit.'),
  addressMessageRate: share(
    1000,
    'overload_protection.max_qps',
    countOrOff,
    'Messages a second of one client address. 0 for no limit.',
    20_000,
  ),
  addressByteRate: integer(268_435_456, bytesOrOff, 'Bytes a second of one client address. 0 for no limit.'),
  eventLoopDelayWarningMs: duration('100ms', from(1, minuteMs), 'Event-loop delay from which on the state is warn.'),
  eventLoopDelayLimitMs: duration('500ms', from(1, minuteMs), 'Event-loop delay from which on the state is protect.'),
  memoryLimit: integer(0, bytesOrOff, 'Resident bytes from which on the state is protect; 0 for no limit.'),
  memoryWarning: share(
    80,
    'overload_protection.memory_limit',
    bytesOrOff,
    'Resident bytes from which on the state is warn.',
  ),
};

const auth = {
  mode: choice(['none', 'hmac', 'jwt', 'grpc'], 'How a client proves who it is. none believes everyone.'),
  hmacSecretFile: optionalFile('Shared secret of mode hmac.'),
  clockSkewMs: duration('30s', from(0, hourMs), 'How far the clocks of token makers may be off.'),
  jwt: {
    issuer: optionalText('Required issuer (iss).'),
    audience: optionalText('Required audience (aud).'),
    jwksFile: optionalFile('Keys, as a JSON Web Key Set.'),
    jwksUrl: optionalUrl('Where the keys are fetched from.'),
    jwksCacheMs: duration('10m', from(1000, 24 * hourMs), 'How long fetched keys are used without asking again.'),
    openidClaim: text('sub', /^[\w:./-]{1,128}$/, 'the name of a claim', 'The claim that holds the openid.'),
    algorithms: wordList(['RS256', 'ES256', 'EdDSA'], ['RS256', 'ES256', 'EdDSA'], 'Accepted signatures.'),
  },
  grpc: {
    addr: peerAddress('The service that is asked in mode grpc.'),
    timeoutMs: duration('2s', from(10, minuteMs), 'How long it may take.'),
    cacheMs: duration('30s', from(0, hourMs), 'How long its answer is believed.'),
    cacheMaxEntries: integer(10_000, countOrOff, 'Most answers kept.'),
    maxConcurrent: integer(100, count, 'Most questions open at a time.'),
  },
};

const backup = {
  enabled: flag('Run as one of a pair.'),
  mode: choice(['primary', 'backup'], 'The first wish; a living primary always wins over it.'),
  serverId: text(
    'gate-001',
    /^[A-Za-z0-9][\w.-]{0,62}$/,
    'a name of letters, digits, dot, dash, underscore',
    'Name of this gateway.',
  ),
  arbiter: choice(['standalone', 'kubernetes'], 'Who decides which of a pair is primary.'),
  secretFile: optionalFile('Secret that the pair shares, 32 bytes or more.'),
  heartbeat: {
    listenAddr: listenAddress(':8093', 'Where the peer sends heartbeats (gRPC).'),
    peerAddr: peerAddress("The peer's heartbeat address."),
    intervalMs: duration('2s', from(10, minuteMs), 'How often heartbeats are sent.'),
    timeoutMs: duration('6s', from(30, 10 * minuteMs), 'A peer silent for this long is lost.'),
  },
  sync: {
    listenAddr: listenAddress(':8094', 'Where the peer sends its log (gRPC).'),
    peerAddr: peerAddress("The peer's log address."),
    batchSize: integer(50, from(1, 100_000), 'Most log entries in one batch.'),
    timeoutMs: duration('200ms', from(1, minuteMs), 'Longest a batch may wait to fill; an idle link never waits.'),
    bufferSize: integer(1000, count, 'Most log entries not yet acknowledged by the peer.'),
  },
  kubernetes: {
    leaseName: optionalObjectName('Lease of this pair with arbiter kubernetes; also the name of its shard.'),
    namespace: optionalObjectName('Namespace of the Lease; not given: the one of the service account.'),
    podUid: optionalText('Uid of this pod, which the operator compares.', 'a uid'),
    apiServer: optionalUrl('Kubernetes API server; not given: the one of the cluster this pod runs in.'),
    tokenFile: text(
      '/var/run/secrets/kubernetes.io/serviceaccount/token',
      pathPattern,
      'a path',
      'Token for the API server, read again for each request.',
    ),
    caFile: text(
      '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
      pathPattern,
      'a path',
      'Authority of the API server, PEM, read again for each request.',
    ),
    resetAfterMs: duration(
      '2m',
      from(1000, 24 * hourMs),
      'With every gateway that holds the sessions unreachable for this long, and its Lease unwritten, one begins without them.',
    ),
  },
  failoverTimeoutMs: duration('10s', from(100, hourMs), 'Longest a takeover or a planned switch may take.'),
  startAloneAfterMs: duration('10s', from(0, hourMs), 'A primary that finds no peer starts alone after this time.'),
};

const log = {
  level: choice(['trace', 'debug', 'info', 'warn', 'error'], 'Least level that is written.', 'info'),
  file: optionalFile('Log file; not given: JSON on standard output.'),
  maxBytes: integer(3_145_728, from(1024, 1_073_741_824), 'Size at which the log file is rotated.'),
  files: integer(5, from(1, 1000), 'Rotated files kept.'),
};

/** Every configuration key, once. Names follow from the place: server.quicAddr is server.quic_addr, idleTimeoutMs idle_timeout. */
export const schema = { server, upstream, overloadProtection, auth, backup, fleet, directory, log };

/** What the sections are about, for help and documentation. */
export const sectionTitles: Readonly<Record<keyof typeof schema, string>> = {
  server: 'Addresses, sessions and queues',
  upstream: 'Zones',
  overloadProtection: 'Limits, and what happens near them',
  auth: 'Who may come in',
  backup: 'The pair',
  fleet: 'The fleet',
  directory: 'The directory',
  log: 'Logs',
};

type Values<S> = S extends Key<infer T> ? T : { readonly [K in keyof S]: Values<S[K]> };

/** The whole configuration, checked. Durations are milliseconds; optional texts are undefined when not set. */
export type Config = Values<typeof schema>;
