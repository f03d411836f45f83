import { randomBytes, randomUUID } from 'node:crypto';
import { getHeapStatistics } from 'node:v8';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Authenticator } from './auth/authenticator.ts';
import { ClientWriter, deliveryPort } from './client-writer.ts';
import type { Config } from './config.ts';
import { ConnectionTable } from './handlers/connection.ts';
import type { HandlerContext, HandlerSettings, ResumeTokens } from './handlers/context.ts';
import { performEffect } from './handlers/effects.ts';
import { PushWaiters } from './handlers/push-waiters.ts';
import { Turn } from './handlers/turn.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { Metrics } from './lib/metrics.ts';
import type { RequestMeter } from './lib/request-meter.ts';
import { ClientRates } from './overload/client-rates.ts';
import { OverloadProtector } from './overload/protector.ts';
import { clientRateOptions, protectorOptions } from './overload/settings.ts';
import { SoloShard } from './replication/solo-shard.ts';
import type { Command } from './session/command.ts';
import { Delivery } from './session/delivery.ts';
import type { Effect, Outcome } from './session/effect.ts';
import { mintResumeToken, verifyResumeToken } from './session/resume-token.ts';
import { SessionMachine } from './session/session-machine.ts';
import { deliveryLimits, shardLimits } from './settings.ts';
import { UpstreamRouter } from './upstream/router.ts';

const shardId = 's0';
const tokenKeyBytes = 32;

export interface CoreOptions {
  readonly config: Config;
  readonly settings: HandlerSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly meter: RequestMeter;
  readonly authenticator: Authenticator;
  readonly upstreamCredentials: () => ChannelCredentials;
  readonly incarnation: string;
}

export interface GatewayCore {
  readonly context: HandlerContext;
  readonly client: ClientWriter;
}

/** Everything between the transport and the servers, wired: state machine, shard, delivery, router, limits. */
export function createCore(options: CoreOptions): GatewayCore {
  const { config, clock, log, meter } = options;
  const sessions = new SessionMachine();
  const client = new ClientWriter(meter);
  const shard = new SoloShard<Command, Outcome, Effect>({
    id: shardId,
    machine: sessions,
    perform: (effect) => performEffect(context, effect),
    incarnation: options.incarnation,
    epoch: Math.floor(clock.wallMs() / 1_000),
    history: randomUUID(),
  });
  const delivery = new Delivery({
    sessions,
    port: deliveryPort(client),
    commitIndex: () => shard.commitIndex,
    limits: deliveryLimits(config),
  });
  const router = createRouter(options);
  const context: HandlerContext = {
    clock,
    log,
    settings: options.settings,
    shard,
    sessions,
    delivery,
    router,
    protector: createProtector(options),
    rates: new ClientRates(clientRateOptions(config.overloadProtection)),
    authenticator: options.authenticator,
    tokens: resumeTokens([randomBytes(tokenKeyBytes)]),
    connections: new ConnectionTable(),
    pushWaiters: new PushWaiters(),
    client,
    meter,
    turn: new Turn(queueMicrotask, () => {
      router.flush();
      client.flush();
    }),
    newId: randomUUID,
    schedule: (delayMs, run) => setTimeout(run, delayMs).unref(),
  };
  shard.submit({ kind: 'promote', epoch: shard.epoch, history: shard.history });
  shard.submit({ kind: 'configure', limits: shardLimits(config) });
  return { context, client };
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
