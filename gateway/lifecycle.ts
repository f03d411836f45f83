import type {
  DemoteRequest,
  DemoteResponse,
  GatewayStatus,
  PromoteRequest,
  PromoteResponse,
} from '../proto/gen/admin.ts';
import type { Config } from './config.ts';
import type { GatewayCore } from './core.ts';
import type { Certificate } from './dev-certificate.ts';
import type { GatewayControl } from './handlers/control.ts';
import { Drain } from './handlers/drain.ts';
import { Rebalance } from './handlers/rebalance.ts';
import { type GatewayIdentity, gatewayStatus } from './handlers/status.ts';
import type { Housekeeping } from './housekeeping.ts';
import { checkOverloadLimits, limitsOf } from './overload/limits.ts';
import { clientRateOptions, protectorChange } from './overload/settings.ts';
import type { Pair } from './pair.ts';
import { errorOf } from './protocol/codec.ts';
import { ErrorCode } from './protocol/error-codes.ts';
import type { SwitchoverResult } from './replication/pair-options.ts';
import type { ServerTransport } from './transport/transport.ts';

const drainPollMs = 50;
/** Of the whole stop, for closing what is left once the clients are gone. */
const closeMs = 2_000;
const switchoverMs = 5_000;
/** How long a hint waits for what the Lease says, and a switchover beyond its deadline for its outcome. */
const leaseMs = 1_000;
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
  /** It stops, and whoever takes over has. */
  #leaving = false;
  #shutdownListeners = new Set<() => void>();
  #changeListeners = new Set<() => void>();

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#drain = new Drain(options.core.context);
    options.housekeeping.onSweep(() => this.#drain.step());
    options.core.pair?.onChange(() => this.#changed());
    const rebalance = new Rebalance(options.core.context, options.config.fleet.rebalanceRate);
    options.housekeeping.onSweep(() => rebalance.step());
  }

  /** Closed when the gateway stops, in the order they were given. */
  own(server: Closable): void {
    this.#owned.push(server);
  }

  notReadyReasons(): readonly string[] {
    if (this.#leaving) return ['stopping'];
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
  async promote({ shardId, epoch, incarnation }: PromoteRequest): Promise<PromoteResponse> {
    const { context, pair } = this.#options.core;
    if (pair === undefined) return noPair;
    const { shard } = pair;
    const other = otherShard(pair, shardId);
    if (other !== undefined) return other;
    if (incarnation !== '' && incarnation !== shard.incarnation) {
      return refusal(pair, ErrorCode.ERROR_NOT_PRIMARY, `${incarnation}: this is ${shard.incarnation}`);
    }
    shard.lookAtLease(context.clock.nowMs());
    const leads = () => shard.role === 'primary' && BigInt(shard.epoch) >= epoch;
    await this.#until(leads, leaseMs);
    return leads()
      ? { success: true, error: undefined, epoch: BigInt(shard.epoch) }
      : refusal(pair, ErrorCode.ERROR_NOT_PRIMARY, notNamed);
  }

  /** Hands the shard over to the peer (rule 16). */
  async demote({ shardId, epoch, successor, deadlineMs }: DemoteRequest): Promise<DemoteResponse> {
    const { pair } = this.#options.core;
    if (pair === undefined) return noPair;
    const other = otherShard(pair, shardId);
    if (other !== undefined) return other;
    if (epoch !== 0n && epoch !== BigInt(pair.shard.epoch)) {
      return refusal(pair, ErrorCode.ERROR_NOT_PRIMARY, `epoch ${epoch}: this is ${pair.shard.epoch}`);
    }
    const result = await this.#switchover(pair, successor, deadlineMs);
    if (result.ok) return { success: true, error: undefined, epoch: BigInt(result.epoch) };
    return refusal(pair, ErrorCode.ERROR_TRY_LATER, result.reason);
  }

  #switchover(pair: Pair, successor: string, deadlineMs: number): Promise<SwitchoverResult> {
    const { context } = this.#options.core;
    const heir = successor === '' ? (pair.shard.peer?.incarnation ?? '') : successor;
    const withinMs = deadlineMs === 0 ? this.#config.backup.failoverTimeoutMs : deadlineMs;
    return new Promise((resolve) => {
      // The arbiter may not say what became of the write; the shard goes on waiting for that.
      const late = setTimeout(() => resolve({ ok: false, reason: 'the outcome is not known' }), withinMs + leaseMs);
      pair.shard.switchover(context.clock.nowMs(), heir, withinMs, (result) => {
        clearTimeout(late);
        resolve(result);
      });
    });
  }

  #until(isDone: () => boolean, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(late);
        off();
        resolve();
      };
      const late = setTimeout(end, withinMs);
      const off = this.onChange(() => isDone() && end());
      if (isDone()) end();
    });
  }

  drain(deadlineMs: number, sessionsPerSecond: number): number {
    const { context } = this.#options.core;
    this.#drain.start(sessionsPerSecond, deadlineMs === 0 ? this.#config.server.drainTimeoutMs : deadlineMs);
    this.#changed();
    return context.sessions.counts().connected;
  }

  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  #changed(): void {
    for (const listener of [...this.#changeListeners]) listener();
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
    context.protector.setLimits(context.clock.nowMs(), limits, protectorChange(config.overloadProtection));
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
    this.#leaving = true;
    this.#changed();
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

interface Refused {
  readonly success: false;
  readonly error: ReturnType<typeof errorOf>;
  readonly epoch: bigint;
}

const noPair = {
  success: false,
  error: errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: 'backup.enabled is false: there is no pair' }),
  epoch: 0n,
};

function refusal({ shard }: Pair, code: ErrorCode, message: string): Refused {
  return { success: false, error: errorOf({ code, message }), epoch: BigInt(shard.epoch) };
}

/** An order for a shard that is not here. */
function otherShard(pair: Pair, shardId: string): Refused | undefined {
  if (shardId === '' || shardId === pair.shard.id) return undefined;
  return refusal(pair, ErrorCode.ERROR_BAD_MESSAGE, `shard_id: ${shardId}: expected ${pair.shard.id}`);
}
