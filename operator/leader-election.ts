import { KubeApiError, type KubeClient, type KubeObject } from './kube-api.ts';
import { type Clock, sleep } from './lib/clock.ts';
import { errorMessage, type Logger, silentLogger } from './lib/log.ts';
import { apiVersionOf, leases } from './resources.ts';

export interface LeaderElectionOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The Lease's name: the same for all that may lead. */
  readonly name: string;
  /** Never the same twice, not after a restart either. */
  readonly identity: string;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly timings?: LeaseTimings;
  readonly log?: Logger;
  readonly onElected: () => void;
  /** It leads no more, and did not want that: another may lead at any moment now. */
  readonly onLost: () => void;
}

export interface LeaseTimings {
  /** How long the others wait after they saw the last renewal. */
  readonly leaseMs: number;
  /** How long the leader goes on without a renewal; less than `leaseMs`. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

/** Those of client-go. */
const defaultTimings: LeaseTimings = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };

/** A leader whose renewal failed has no time to lose. */
const failedRetryMs = 500;

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/**
 * One of several that holds a Lease and renews it, after the algorithm of client-go's `leaderelection`. Clocks are not
 * compared: each waits by its own from when it saw the Lease change. It does not fence: what a leader began may still be under
 * way when the next one starts, so writes that matter are compare-and-swaps.
 */
export class LeaderElection {
  #options: LeaderElectionOptions;
  #timings: LeaseTimings;
  #log: Logger;
  #stop = new AbortController();
  #running: Promise<void> | undefined;
  #observed: { readonly lease: Lease; readonly atMs: number } | undefined;
  /** When the last renewal that succeeded was sent; undefined: it does not lead. */
  #renewedMs: number | undefined;
  #isLost = false;
  #cancelDeadline: () => void = () => {};

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#timings = options.timings ?? defaultTimings;
    this.#log = options.log ?? silentLogger;
  }

  /** Even before its timer has fired: after a pause of the whole process the clock alone tells. */
  get isLeader(): boolean {
    return !this.#isLost && this.#holds;
  }

  /** By the last renewal that is known; also of a process that has lost leadership and then heard that it was renewed. */
  get #holds(): boolean {
    const { clock } = this.#options;
    return this.#renewedMs !== undefined && clock.nowMs() - this.#renewedMs < this.#timings.renewDeadlineMs;
  }

  /** Who leads, as far as is known here; '' for nobody. */
  get leader(): string {
    return this.#observed?.lease.spec?.holderIdentity ?? '';
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Gives the Lease back, so that the next one need not wait for its end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const lease = this.#observed?.lease;
    const holds = this.#holds;
    this.#cancelDeadline();
    this.#renewedMs = undefined;
    if (!holds || lease === undefined) return;
    try {
      await this.#write({ ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, ...this.#renewal() }, lease);
      this.#log.info({ lease: this.#options.name }, 'gave leadership back');
    } catch (error) {
      this.#log.warn(
        { error: errorMessage(error) },
        'could not give leadership back: the next leader waits for its end',
      );
    }
  }

  async #loop(): Promise<void> {
    const { clock, random } = this.#options;
    const signal = this.#stop.signal;
    while (!signal.aborted) {
      const leads = this.#renewedMs !== undefined;
      let failed = false;
      try {
        if (await this.#acquireOrRenew()) this.#elected(leads);
      } catch (error) {
        const fields = { lease: this.#options.name, error: errorMessage(error) };
        this.#log[leads ? 'warn' : 'debug'](fields, 'lease not written');
        // What was written is unknown; the next attempt reads first.
        this.#forgetVersion();
        failed = true;
      }
      const { retryMs } = this.#timings;
      const renewMs = failed ? Math.min(retryMs, failedRetryMs) : retryMs;
      await sleep(clock, this.#renewedMs === undefined ? retryMs * (1 + random()) : renewMs, signal);
    }
  }

  #elected(before: boolean): void {
    if (before || this.#stop.signal.aborted) return;
    this.#log.info({ lease: this.#options.name, identity: this.#options.identity }, 'elected');
    this.#options.onElected();
  }

  /** @returns whether it leads now */
  async #acquireOrRenew(): Promise<boolean> {
    const { clock, identity } = this.#options;
    const sentMs = clock.nowMs();
    const known = this.#observed?.lease;
    // A leader that knows the version just writes, and reads only when that fails.
    if (this.isLeader && known?.metadata.resourceVersion !== undefined) {
      try {
        return this.#renewed(await this.#write({ ...known.spec, ...this.#renewal() }, known), sentMs);
      } catch (error) {
        if (!(error instanceof KubeApiError && (error.status === 409 || error.status === 404))) throw error;
      }
    }
    const lease = await this.#read();
    const holder = lease?.spec?.holderIdentity ?? '';
    if (lease !== undefined && holder !== '' && holder !== identity && !this.#expired(lease)) {
      if (this.#renewedMs !== undefined) this.#lost(`${holder} holds the lease`);
      return false;
    }
    const spec = holder === identity ? { ...lease?.spec, ...this.#renewal() } : this.#acquisition(lease);
    return this.#renewed(await this.#write(spec, lease), sentMs);
  }

  /** By this process's clock, since it saw the Lease as it is now. */
  #expired(lease: Lease): boolean {
    const durationMs = (lease.spec?.leaseDurationSeconds ?? this.#timings.leaseMs / 1000) * 1000;
    return this.#options.clock.nowMs() - (this.#observed?.atMs ?? 0) >= durationMs;
  }

  async #read(): Promise<Lease | undefined> {
    const { client, namespace, name, clock } = this.#options;
    const lease = await client.get<Lease>(leases, namespace, name);
    const before = this.#observed?.lease.spec;
    if (lease === undefined) this.#observed = undefined;
    else if (this.#observed === undefined || JSON.stringify(before) !== JSON.stringify(lease.spec)) {
      this.#observed = { lease, atMs: clock.nowMs() };
    } else this.#observed = { lease, atMs: this.#observed.atMs };
    return lease;
  }

  async #write(spec: Lease['spec'], over: Lease | undefined): Promise<Lease> {
    const { client, namespace, name } = this.#options;
    const metadata = over?.metadata ?? { name, namespace };
    const lease = { apiVersion: apiVersionOf(leases), kind: leases.kind, metadata, ...(spec ? { spec } : {}) };
    return over === undefined ? client.create<Lease>(leases, lease) : client.replace<Lease>(leases, lease);
  }

  /** The answer may have come so late that it no longer counts. */
  #renewed(lease: Lease, sentMs: number): boolean {
    const { clock } = this.#options;
    const leftMs = sentMs + this.#timings.renewDeadlineMs - clock.nowMs();
    this.#observed = { lease, atMs: clock.nowMs() };
    if (leftMs <= 0) return false;
    this.#renewedMs = sentMs;
    this.#cancelDeadline();
    this.#cancelDeadline = clock.after(leftMs, () => this.#lost('the lease could not be renewed in time'));
    return true;
  }

  #lost(why: string): void {
    this.#cancelDeadline();
    this.#renewedMs = undefined;
    if (this.#stop.signal.aborted) return;
    this.#isLost = true;
    this.#log.error({ lease: this.#options.name, why }, 'lost leadership');
    this.#stop.abort();
    this.#options.onLost();
  }

  #forgetVersion(): void {
    const { lease, atMs } = this.#observed ?? {};
    if (lease === undefined || atMs === undefined) return;
    const { resourceVersion: _, ...metadata } = lease.metadata;
    this.#observed = { lease: { ...lease, metadata }, atMs };
  }

  #renewal() {
    return { renewTime: microTime(this.#options.clock.wallMs()) };
  }

  #acquisition(lease: Lease | undefined) {
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#timings.leaseMs / 1000),
      acquireTime: microTime(this.#options.clock.wallMs()),
      leaseTransitions: lease === undefined ? 0 : (lease.spec?.leaseTransitions ?? 0) + 1,
      ...this.#renewal(),
    };
  }
}

/** `metav1.MicroTime` */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
