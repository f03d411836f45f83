import type { DemoteRequest, DemoteResponse, GatewayStatus, PromoteResponse } from '../proto/gen/admin.ts';
import type { Config } from './config.ts';
import type { GatewayCore } from './core.ts';
import type { Certificate } from './dev-certificate.ts';
import type { GatewayControl } from './handlers/control.ts';
import { Drain } from './handlers/drain.ts';
import { type GatewayIdentity, gatewayStatus } from './handlers/status.ts';
import type { Housekeeping } from './housekeeping.ts';
import { checkOverloadLimits, limitsOf } from './overload/limits.ts';
import { clientRateOptions } from './overload/settings.ts';
import type { Pair } from './pair.ts';
import { errorOf } from './protocol/codec.ts';
import { ErrorCode } from './protocol/error-codes.ts';
import type { SwitchoverResult } from './replication/pair-options.ts';
import type { ServerTransport } from './transport/transport.ts';

const drainPollMs = 50;
/** Of the whole stop, for closing what is left once the clients are gone. */
const closeMs = 2_000;
const switchoverMs = 5_000;
const notNamed = 'the Lease does not name this gateway';

export interface LifecycleOptions {
  readonly core: GatewayCore;
  readonly config: Config;
  readonly identity: GatewayIdentity;
  readonly transport: ServerTransport;
  readonly housekeeping: Housekeeping;
  /** Checks the certificates of this configuration. @returns what puts them in force. @throws when they are refused. */
  readonly prepareCertificate: (config: Config, certificate: Certificate) => () => void;
  /** Reads the fleet map's file again. */
  readonly readMap: () => void;
  /** Makes the authenticator of this configuration. @returns what puts it in force. @throws when its secrets or keys cannot be read. */
  readonly prepareAuthenticator: (config: Config) => Promise<() => void>;
}

/** A running gateway. */
export interface Gateway {
  /** Puts in force what may change while running: limits, queues, timeouts, certificate. @throws when it is refused. */
  reload(config: Config, certificate: Certificate): Promise<void>;
  /** Puts in force the certificates that this configuration names, and nothing else. @throws when they are refused. */
  renewCertificates(config: Config, certificate: Certificate): void;
  /** Sends clients away, lets answers under way out, closes everything; bounded by server.drain_timeout. */
  stop(): Promise<void>;
}

interface Closable {
  close(deadlineMs: number): Promise<void>;
}

/** A gateway from ready to stopped, and what an administrator may ask of it. */
export class Lifecycle implements Gateway, GatewayControl {
  #options: LifecycleOptions;
  #config: Config;
  #drain: Drain;
  #owned: Closable[] = [];
  #stopping: Promise<void> | undefined;
  #shutdownListeners = new Set<() => void>();

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#drain = new Drain(options.core.context);
    options.housekeeping.onSweep(() => this.#drain.step());
  }

  /** Closed when the gateway stops, in the order they were given. */
  own(server: Closable): void {
    this.#owned.push(server);
  }

  notReadyReasons(): readonly string[] {
    if (this.#stopping !== undefined) return ['stopping'];
    if (this.#drain.active) return ['draining'];
    const { pair } = this.#options.core;
    if (pair === undefined || pair.shard.serving || (pair.shard.role === 'backup' && pair.shard.isInSync)) return [];
    return [pair.shard.role === 'primary' ? 'the primary is not serving' : `${pair.shard.role}, not in sync`];
  }

  status(): GatewayStatus {
    const { core, identity } = this.#options;
    return gatewayStatus(core.context, identity, this.notReadyReasons().length === 0, this.#drain.active);
  }

  /** Only a hint: what counts is the Lease, which is read again (rule 3). */
  promote(): Promise<PromoteResponse> {
    const { context, pair } = this.#options.core;
    if (pair === undefined) return Promise.resolve(noPair);
    pair.shard.lookAtLease(context.clock.nowMs());
    const success = pair.shard.role === 'primary';
    const error = success ? undefined : errorOf({ code: ErrorCode.ERROR_NOT_PRIMARY, message: notNamed });
    return Promise.resolve({ success, error, epoch: BigInt(pair.shard.epoch) });
  }

  /** Hands the shard over to the peer (rule 16). */
  async demote(request: DemoteRequest): Promise<DemoteResponse> {
    const { pair } = this.#options.core;
    if (pair === undefined) return noPair;
    const result = await this.#switchover(pair, request.successor, request.deadlineMs);
    if (result.ok) return { success: true, error: undefined, epoch: BigInt(result.epoch) };
    const error = errorOf({ code: ErrorCode.ERROR_TRY_LATER, message: result.reason });
    return { success: false, error, epoch: BigInt(pair.shard.epoch) };
  }

  #switchover(pair: Pair, successor: string, deadlineMs: number): Promise<SwitchoverResult> {
    const { context } = this.#options.core;
    const heir = successor === '' ? (pair.shard.peer?.incarnation ?? '') : successor;
    const withinMs = deadlineMs === 0 ? this.#config.backup.failoverTimeoutMs : deadlineMs;
    return new Promise((resolve) => pair.shard.switchover(context.clock.nowMs(), heir, withinMs, resolve));
  }

  drain(deadlineMs: number, sessionsPerSecond: number): number {
    const { context } = this.#options.core;
    this.#drain.start(sessionsPerSecond, deadlineMs === 0 ? this.#config.server.drainTimeoutMs : deadlineMs);
    return context.sessions.counts().connected;
  }

  onShutdown(listener: () => void): () => void {
    this.#shutdownListeners.add(listener);
    return () => this.#shutdownListeners.delete(listener);
  }

  async reload(config: Config, certificate: Certificate): Promise<void> {
    const { core } = this.#options;
    const { context } = core;
    const limits = limitsOf(config.overloadProtection);
    // What can be refused comes first, so that a refusal leaves everything as it was.
    checkOverloadLimits(limits);
    const replaceAuthenticator = await this.#options.prepareAuthenticator(config);
    this.renewCertificates(config, certificate);
    replaceAuthenticator();
    context.protector.setLimits(context.clock.nowMs(), limits);
    context.rates.setOptions(clientRateOptions(config.overloadProtection));
    context.router.setTimeoutMs(limits.upstreamTimeoutMs);
    core.limit(config);
    this.#options.readMap();
    this.#config = config;
  }

  renewCertificates(config: Config, certificate: Certificate): void {
    this.#options.prepareCertificate(config, certificate)();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { core, transport, housekeeping } = this.#options;
    const { clock, connections, router, authenticator } = core.context;
    const { drainTimeoutMs } = this.#config.server;
    const untilMs = clock.nowMs() + drainTimeoutMs;
    const { pair } = core;
    if (pair?.shard.serving === true && pair.shard.peer !== undefined && !pair.shard.peerHeartbeatLost) {
      const result = await this.#switchover(pair, '', Math.min(drainTimeoutMs, switchoverMs));
      core.context.log.info({ ...result }, 'switchover before stopping');
    }
    transport.stopAccepting();
    this.#drain.start(0, drainTimeoutMs);
    while (connections.size > 0 && clock.nowMs() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, drainPollMs));
    }
    for (const listener of this.#shutdownListeners) listener();
    await transport.shutdown(ErrorCode.ERROR_GOING_AWAY, 'the gateway stopped', closeMs);
    await Promise.all([...this.#owned.map((server) => server.close(closeMs)), router.close(closeMs)]);
    housekeeping.stop();
    pair?.stop();
    core.context.fleet?.close();
    authenticator.close();
  }
}

const noPair = {
  success: false,
  error: errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: 'backup.enabled is false: there is no pair' }),
  epoch: 0n,
};
