import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { AdminServiceService } from '../proto/gen/admin.ts';
import { FleetServiceService } from '../proto/gen/fleet.ts';
import { HeartbeatServiceService, ReplicationServiceService } from '../proto/gen/replication.ts';
import { GatewayServiceService } from '../proto/gen/upstream.ts';
import { createAuthenticator } from './auth/create.ts';
import { ReplaceableAuthenticator } from './auth/replaceable.ts';
import type { Config } from './config.ts';
import { createCore, type GatewayCore } from './core.ts';
import type { Certificate } from './dev-certificate.ts';
import { followMapFile } from './fleet.ts';
import { Dispatcher } from './handlers/dispatch.ts';
import type { GatewayIdentity } from './handlers/status.ts';
import { Housekeeping } from './housekeeping.ts';
import { formatAddress, isLoopback, parseAddress } from './lib/address.ts';
import type { Clock } from './lib/clock.ts';
import { errorMessage, UsageError } from './lib/errors.ts';
import type { Logger } from './lib/log.ts';
import { createMetrics, type Metrics } from './lib/metrics.ts';
import { RequestMeter } from './lib/request-meter.ts';
import { version } from './lib/version.ts';
import { type Gateway, Lifecycle } from './lifecycle.ts';
import { checkPairSecret, type Pair } from './pair.ts';
import { arbiterOf, type ConnectArbiter } from './pair-arbiter.ts';
import { errorCodeName } from './protocol/error-codes.ts';
import { adminService } from './servers/admin-service.ts';
import { fleetService } from './servers/fleet-service.ts';
import { gatewayService } from './servers/gateway-service.ts';
import { gatewayView, gaugeSource } from './servers/gateway-view.ts';
import { type GrpcSecurity, mutualTls, plaintextGrpc } from './servers/grpc-security.ts';
import { type GrpcServer, startGrpcServer } from './servers/grpc-server.ts';
import { startHttpServer } from './servers/http-server.ts';
import { startMetricsServer } from './servers/metrics-server.ts';
import { transportOptions } from './settings.ts';
import { type ChosenTransport, chooseTransport } from './transport/choose.ts';
import type { ServerTransport } from './transport/transport.ts';

const performanceWindowSeconds = 10;

export interface GatewayOptions {
  readonly config: Config;
  readonly certificate: Certificate;
  readonly clock: Clock;
  readonly log: Logger;
  /** Read a file that the configuration names. */
  readonly readFile: (path: string) => string;
  readonly readBytes: (path: string) => Uint8Array;
  /** The API server of the cluster that this process runs in. */
  readonly kubernetesApiServer: string | undefined;
}

const later = (delayMs: number, run: () => void) => setTimeout(run, delayMs).unref();

/**
 * Starts a gateway: the whole path of a message is wired here and in core.ts.
 * @throws UsageError when a file, an address or a certificate is wrong.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, clock, log } = options;
  const { serverId, kubernetes } = config.backup;
  const identity: GatewayIdentity = { serverId, version, podUid: kubernetes.podUid ?? '' };
  const metrics = createMetrics();
  const meter = new RequestMeter({
    metrics,
    windowSeconds: performanceWindowSeconds,
    nowMs: clock.nowMs(),
    codeName: errorCodeName,
  });
  const pairSecret = readPairSecret(config, options.readBytes);
  const security = grpcSecurity(options);
  const makeAuthenticator = ({ auth }: Config) =>
    createAuthenticator(auth, { clock, log, grpcCredentials: security.channel });
  const authenticator = new ReplaceableAuthenticator(await makeAuthenticator(config), later);
  const core = createCore({
    config,
    clock,
    log,
    metrics,
    meter,
    authenticator,
    upstreamCredentials: () => security.zoneChannel,
    peerCredentials: security.channel,
    ...(pairSecret === undefined ? {} : { pair: { secret: pairSecret, connectArbiter: connectArbiter(options) } }),
  });
  metrics.observe(gaugeSource(core.context));
  const chosen = chosenTransport(options);
  const transport = await listenQuic(options, chosen, core, pairSecret === undefined ? [] : [pairSecret]);
  core.client.attach(transport);
  const housekeeping = new Housekeeping({ context: core.context, meter, metrics });
  const readMap = followMap(config, core, log);
  const lifecycle = new Lifecycle({
    core,
    config,
    identity,
    transport,
    housekeeping,
    prepareCertificate: (next, certificate) => prepareCertificate(options, { next, certificate, security, transport }),
    readMap,
    prepareAuthenticator: async (next) => {
      const prepared = await makeAuthenticator(next);
      return () => authenticator.replace(prepared);
    },
  });
  await startServers(options, { core, identity, metrics, meter, lifecycle, transport, chosen, security });
  return lifecycle;
}

/** @returns what reads the fleet map's file again. */
function followMap({ fleet }: Config, { context }: GatewayCore, log: Logger): () => void {
  if (context.fleet === undefined || fleet.mapFile === undefined) return () => {};
  return followMapFile(fleet.mapFile, context.fleet, log);
}

function connectArbiter({ config, kubernetesApiServer, readFile, log }: GatewayOptions): ConnectArbiter {
  return arbiterOf(config, { apiServer: kubernetesApiServer, readFile, log });
}

function grpcSecurity({ config, certificate, readFile }: GatewayOptions): GrpcSecurity {
  const { dev, grpcPlaintext } = config.server;
  if (dev || grpcPlaintext) return plaintextGrpc;
  const identity = grpcIdentity(config, certificate, readFile);
  return mutualTls(identity.certificate, identity.privateKey, identity.ca);
}

/** @throws UsageError when a file cannot be read. */
function grpcIdentity({ server }: Config, quic: Certificate, readFile: GatewayOptions['readFile']) {
  const { grpcCertFile, grpcKeyFile, caFile } = server;
  const own = grpcCertFile !== undefined && grpcKeyFile !== undefined;
  const read = (key: string, path: string): string => {
    try {
      return readFile(path);
    } catch (error) {
      throw new UsageError(`server.${key}: ${path}: cannot be read: ${errorMessage(error)}`);
    }
  };
  return {
    certificate: own ? read('grpc_cert_file', grpcCertFile) : quic.certificate,
    privateKey: own ? read('grpc_key_file', grpcKeyFile) : quic.privateKey,
    ca: caFile === undefined ? undefined : read('ca_file', caFile),
  };
}

interface NewCertificate {
  readonly next: Config;
  readonly certificate: Certificate;
  readonly security: GrpcSecurity;
  readonly transport: ServerTransport;
}

/** @returns what puts the certificates in force. @throws Error when those for gRPC cannot be read or do not fit. */
function prepareCertificate({ readFile }: GatewayOptions, made: NewCertificate): () => void {
  const { next, certificate, security, transport } = made;
  const { ca, ...shown } = grpcIdentity(next, certificate, readFile);
  const renewGrpc = ca === undefined ? () => {} : security.renew({ ...shown, ca });
  return () => {
    transport.setCertificate(certificate.certificate, certificate.privateKey);
    renewGrpc();
  };
}

/** @throws UsageError when what the configuration asks for is not on this machine. */
function chosenTransport({ config, log }: GatewayOptions): ChosenTransport {
  try {
    const chosen = chooseTransport(config.server.transport);
    if (chosen.warning !== undefined) log.warn({ transport: chosen.kind }, chosen.warning);
    return chosen;
  } catch (error) {
    throw new UsageError(`server.transport: ${config.server.transport}: ${errorMessage(error)}`);
  }
}

async function listenQuic(
  { config, certificate }: GatewayOptions,
  { listen }: ChosenTransport,
  core: GatewayCore,
  secrets: readonly Uint8Array[],
): Promise<ServerTransport> {
  try {
    const options = transportOptions(config, certificate, secrets);
    return await listen({ ...options, host: await addressOf(options.host) }, new Dispatcher(core.context));
  } catch (error) {
    throw new UsageError(`server.quic_addr: ${config.server.quicAddr}: cannot listen: ${errorMessage(error)}`);
  }
}

/** The transport takes addresses only; a name such as localhost becomes its IPv4 address where it has one. */
async function addressOf(host: string): Promise<string> {
  if (host === '' || isIP(host) !== 0) return host;
  const { address } = await lookup(host, { order: 'ipv4first' });
  return address;
}

/** @throws UsageError when a pair is configured and its secret cannot be read or is too short. */
function readPairSecret({ backup }: Config, readBytes: GatewayOptions['readBytes']): Uint8Array | undefined {
  if (!backup.enabled) return undefined;
  const path = backup.secretFile ?? '';
  let secret: Uint8Array;
  try {
    secret = readBytes(path);
  } catch (error) {
    throw new UsageError(`backup.secret_file: ${path}: cannot be read: ${errorMessage(error)}`);
  }
  checkPairSecret(secret, path);
  return secret;
}

interface Started {
  readonly core: GatewayCore;
  readonly identity: GatewayIdentity;
  readonly metrics: Metrics;
  readonly meter: RequestMeter;
  readonly lifecycle: Lifecycle;
  readonly transport: ServerTransport;
  readonly chosen: ChosenTransport;
  readonly security: GrpcSecurity;
}

async function startServers(options: GatewayOptions, started: Started): Promise<void> {
  const { config, log, clock } = options;
  const { core, lifecycle, transport, meter } = started;
  const grpc = await startGrpc(options, started);
  lifecycle.own(grpc);
  if (core.pair !== undefined) await startPair(options, core.pair, started);
  const view = gatewayView({
    context: core.context,
    metrics: started.metrics,
    identity: started.identity,
    transport: started.chosen,
    performance: () => meter.report(clock.nowMs()),
    notReadyReasons: () => lifecycle.notReadyReasons(),
  });
  const http = await startHttpServer(config.server.httpAddr, view, log);
  lifecycle.own(http);
  const metricsServer = await startMetricsServer(config.server.metricsAddr, started.metrics, log);
  lifecycle.own(metricsServer);
  const addresses = {
    quic: formatAddress(transport.address),
    http: http.address,
    grpc: grpc.port,
    metrics: metricsServer.address,
  };
  log.info({ ...addresses, transport: transport.kind, version, pid: process.pid }, 'gateway ready');
}

/** The peer's two doors, each behind the handshake of the pair. */
async function startPair({ config }: GatewayOptions, pair: Pair, { lifecycle, security }: Started): Promise<void> {
  const { heartbeat, sync } = config.backup;
  const open = async (address: string, definition: ServiceDefinition, implementation: UntypedServiceImplementation) =>
    lifecycle.own(
      await startGrpcServer({
        address,
        credentials: security.server,
        interceptors: security.interceptors,
        services: [{ definition, implementation }],
        reflection: false,
      }),
    );
  await open(heartbeat.listenAddr, HeartbeatServiceService, pair.link.heartbeatService);
  await open(sync.listenAddr, ReplicationServiceService, pair.link.replicationService);
  pair.start();
}

async function startGrpc(options: GatewayOptions, { core, lifecycle, security }: Started): Promise<GrpcServer> {
  const { server } = options.config;
  const parsed = parseAddress(server.grpcAddr);
  if (parsed === undefined) throw new UsageError(`server.grpc_addr: ${server.grpcAddr}: expected HOST:PORT`);
  // Plaintext without being asked for by name never leaves this machine.
  const devOnly = server.dev && !server.grpcPlaintext;
  if (devOnly && parsed.host !== '' && !isLoopback(parsed.host)) {
    throw new UsageError(
      `server.grpc_addr: ${server.grpcAddr}: expected a loopback address with dev, or grpc_plaintext`,
    );
  }
  return startGrpcServer({
    address: devOnly && parsed.host === '' ? `127.0.0.1:${parsed.port}` : server.grpcAddr,
    credentials: security.server,
    interceptors: security.interceptors,
    services: [
      { definition: GatewayServiceService, implementation: gatewayService(core.context) },
      { definition: AdminServiceService, implementation: adminService(core.context, lifecycle) },
      ...(core.context.fleet === undefined
        ? []
        : [{ definition: FleetServiceService, implementation: fleetService(core.context) }]),
    ],
    reflection: server.grpcReflection,
  });
}
