import { randomBytes, randomUUID } from 'node:crypto';
import { getHeapStatistics } from 'node:v8';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Authenticator } from './auth/authenticator.ts';
import { ClientWriter, deliveryPort } from './client-writer.ts';
import type { Config } from './config.ts';
import type { FleetNode } from './fleet/fleet-node.ts';
import { sessionIdOf } from './fleet/session-id.ts';
import { createFleet } from './fleet.ts';
import { ConnectionTable } from './handlers/connection.ts';
import type { HandlerContext, HandlerSettings, ResumeTokens, ShardPort } from './handlers/context.ts';
import { performEffect } from './handlers/effects.ts';
import { ParkedStarts } from './handlers/parked-starts.ts';
import { PushWaiters } from './handlers/push-waiters.ts';
import { leaveBlocked, stepDown } from './handlers/step-down.ts';
import { Turn } from './handlers/turn.ts';
import { parseAddress } from './lib/address.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { Metrics } from './lib/metrics.ts';
import type { RequestMeter } from './lib/request-meter.ts';
import { ClientRates } from './overload/client-rates.ts';
import { OverloadProtector } from './overload/protector.ts';
import { clientRateOptions, protectorOptions } from './overload/settings.ts';
import { createPair, type Pair, pairKey } from './pair.ts';
import type { ConnectArbiter } from './pair-arbiter.ts';
import { SoloShard } from './replication/solo-shard.ts';
import type { Command } from './session/command.ts';
import { Delivery } from './session/delivery.ts';
import type { Effect, Outcome } from './session/effect.ts';
import { mintResumeToken, verifyResumeToken } from './session/resume-token.ts';
import { SessionMachine } from './session/session-machine.ts';
import { deliveryLimits, handlerSettings, shardLimits } from './settings.ts';
import { UpstreamRouter } from './upstream/router.ts';

/** Of a pair that is in no fleet. */
const loneShardId = 's0';
const keyBytes = 32;

const schedule = (delayMs: number, run: () => void): void => void setTimeout(run, delayMs).unref();

export interface CoreOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly meter: RequestMeter;
  readonly authenticator: Authenticator;
  readonly upstreamCredentials: () => ChannelCredentials;
  readonly peerCredentials: ChannelCredentials;
  /** What the gateways of a pair share, and who decides between them; absent without a pair. */
  readonly pair?: { readonly secret: Uint8Array; readonly connectArbiter: ConnectArbiter };
}

export interface GatewayCore {
  readonly context: HandlerContext;
  readonly client: ClientWriter;
  /** Absent without a pair. */
  readonly pair?: Pair;
  /** Puts the limits of this configuration in force now, and whenever this gateway leads again. */
  readonly limit: (config: Config) => void;
}

/** Everything between the transport and the servers, wired: state machine, shard, delivery, router, limits. */
export function createCore(options: CoreOptions): GatewayCore {
  const { config, clock, log, meter } = options;
  const client = new ClientWriter(meter);
  const held = createShard(options, () => context);
  const { shard } = held;
  const delivery = new Delivery({
    sessions: { session: (sessionId) => held.machine().session(sessionId) },
    port: deliveryPort(client),
    commitIndex: () => shard.commitIndex,
    limits: deliveryLimits(config),
  });
  const router = createRouter(options);
  const tokenKey = options.pair === undefined ? randomBytes(keyBytes) : pairKey(options.pair.secret, 'resume token');
  const fleet = createFleet({ config, clock, log, credentials: options.peerCredentials, context: () => context });
  const context: HandlerContext = {
    ...(fleet === undefined ? {} : { fleet }),
    clock,
    log,
    settings: withEndpoints(config, held.pair, fleet),
    shard,
    get sessions() {
      return held.machine();
    },
    delivery,
    router,
    protector: createProtector(options),
    rates: new ClientRates(clientRateOptions(config.overloadProtection)),
    authenticator: options.authenticator,
    tokens: resumeTokens([tokenKey]),
    connections: new ConnectionTable(),
    pushWaiters: new PushWaiters(),
    parkedStarts: new ParkedStarts(schedule),
    client,
    meter,
    turn: new Turn(queueMicrotask, () => {
      router.flush();
      client.flush();
    }),
    newId: () => sessionIdOf(config.fleet.pairId, randomUUID()),
    schedule,
  };
  held.begin();
  return { context, client, limit: held.limit, ...(held.pair === undefined ? {} : { pair: held.pair }) };
}

interface HeldShard {
  readonly shard: ShardPort;
  /** The state as it is applied here; another object after a change of incarnation. */
  readonly machine: () => SessionMachine;
  readonly pair?: Pair;
  /** Gives a shard without a pair its first epoch and its limits; a pair does so whenever it leads. */
  readonly begin: () => void;
  readonly limit: (config: Config) => void;
}

function createShard(options: CoreOptions, context: () => HandlerContext): HeldShard {
  const { config, clock, log } = options;
  const perform = (effect: Effect) => performEffect(context(), effect);
  let limits = shardLimits(config);
  const configure = (shard: ShardPort) => shard.submit({ kind: 'configure', limits });
  const limitOf = (shard: ShardPort) => (next: Config) => {
    limits = shardLimits(next);
    if (shard.serving) configure(shard);
  };
  if (options.pair === undefined) {
    const machine = new SessionMachine();
    const epoch = Math.floor(clock.wallMs() / 1_000);
    const incarnation = `${config.backup.serverId}/${randomUUID()}`;
    const solo = { id: shardIdOf(config), machine, perform, incarnation, epoch, history: randomUUID() };
    const shard = new SoloShard<Command, Outcome, Effect>(solo);
    const begin = () => {
      shard.submit({ kind: 'promote', epoch, history: shard.history });
      configure(shard);
    };
    return { shard, machine: () => machine, begin, limit: limitOf(shard) };
  }
  const pair = createPair({
    id: shardIdOf(config),
    config,
    ...options.pair,
    clientEndpoint: ownEndpoint(config.server.advertiseAddr, config.server.quicAddr),
    zoneEndpoint: ownEndpoint(undefined, config.server.grpcAddr),
    clock,
    log,
    credentials: options.peerCredentials,
    perform,
    newId: randomUUID,
    onRole: ({ role, epoch, reason }) => {
      log.info({ shard: shardIdOf(config), role, epoch, reason }, 'role changed');
      if (role === 'primary') configure(shard);
      else stepDown(context(), reason);
      context().fleet?.roleChanged();
      // What they submit comes after the first commands of the epoch.
      queueMicrotask(() => context().parkedStarts.release());
    },
    onBlocked: (blocked, reason) => {
      log.warn({ blocked, reason }, 'the primary is blocked, or no longer');
      if (blocked) leaveBlocked(context(), reason, pair.shard.peer?.clientEndpoint ?? '');
    },
  });
  const { shard } = pair;
  return { shard, machine: () => shard.machine as SessionMachine, pair, begin: () => {}, limit: limitOf(shard) };
}

/** Epochs compare within a shard: those of a fleet have different names; in Kubernetes a shard is named like its Lease. */
function shardIdOf({ fleet, backup }: Config): string {
  const { leaseName } = backup.kubernetes;
  if (backup.enabled && backup.arbiter === 'kubernetes' && leaseName !== undefined) return leaseName;
  return fleet.pairId === '' ? loneShardId : fleet.pairId;
}

/** Where others find an address of ours: as configured, unless it names no host. */
function ownEndpoint(advertised: string | undefined, listened: string): string {
  if (advertised !== undefined) return advertised;
  const host = parseAddress(listened)?.host ?? '';
  return host === '' || host === '0.0.0.0' || host === '::' ? '' : listened;
}

/** The endpoints are both gateways of a pair as far as they are known, looked up for each message that carries them. */
function withEndpoints(config: Config, pair: Pair | undefined, fleet: FleetNode | undefined): HandlerSettings {
  const known = (own: string, peers: string | undefined) => [own, peers ?? ''].filter((endpoint) => endpoint !== '');
  const { advertiseAddr, quicAddr, grpcAddr } = config.server;
  return {
    ...handlerSettings(config),
    get endpoints() {
      if (pair === undefined) return known(advertiseAddr ?? '', undefined);
      return known(ownEndpoint(advertiseAddr, quicAddr), pair.shard.peer?.clientEndpoint);
    },
    get upstreamEndpoints() {
      if (fleet?.fleet.map !== undefined) return fleet.zoneEndpoints;
      return pair === undefined ? [] : known(ownEndpoint(undefined, grpcAddr), pair.shard.peer?.zoneEndpoint);
    },
  };
}

function createRouter(options: CoreOptions): UpstreamRouter {
  const { config, clock, log, metrics } = options;
  return new UpstreamRouter({
    clock,
    log,
    credentials: options.upstreamCredentials,
    timeoutMs: config.overloadProtection.upstreamTimeoutMs,
    healthIntervalMs: config.upstream.healthIntervalMs,
    healthTimeoutMs: config.upstream.healthTimeoutMs,
    keepaliveTimeMs: config.upstream.keepaliveIntervalMs,
    keepaliveTimeoutMs: config.upstream.keepaliveTimeoutMs,
    onResult: (zoneId, result) => {
      metrics.upstreamRequests.tally(zoneId, result).value += 1;
    },
  });
}

function createProtector({ config, log }: CoreOptions): OverloadProtector {
  return new OverloadProtector({
    ...protectorOptions(config.overloadProtection, config.upstream.zoneCount, getHeapStatistics().heap_size_limit),
    onStateChange: (change) => log.warn({ ...change }, 'overload state changed'),
  });
}

/** The first key mints, all verify. */
function resumeTokens(keys: readonly [Uint8Array, ...Uint8Array[]]): ResumeTokens {
  return {
    mint: (place) => mintResumeToken(keys[0], place),
    verify: (token) => verifyResumeToken(keys, token),
  };
}
