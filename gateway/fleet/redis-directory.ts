import { randomUUID } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import { parseAddress } from '../lib/address.ts';
import { errorMessage } from '../lib/errors.ts';
import type { ClaimOutcome, Directory, Placement } from './directory.ts';
import { claimScript, releaseScript } from './redis-scripts.ts';

const reconnectMaxMs = 1_000;
const markTtlSeconds = 300;
/** One mark in a single server; in a cluster enough of them that each node very likely has some. */
const clusterMarks = 64;

export interface RedisDirectoryOptions {
  readonly mode: 'standalone' | 'sentinel' | 'cluster';
  readonly addrs: readonly string[];
  readonly masterName: string;
  readonly username?: string | undefined;
  readonly password?: string;
  readonly tls: boolean;
  /** Authority of its certificate, PEM. */
  readonly ca?: string;
  readonly db: number;
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly entryTtlMs: number;
  readonly pairId: string;
  /** Called when it answers no more, or again. */
  readonly onState: (reachable: boolean, reason: string) => void;
}

interface Scripts {
  gatesvrClaim(key: string, ...args: readonly (string | number)[]): Promise<[number, string, number]>;
  gatesvrRelease(key: string, ...args: readonly string[]): Promise<number>;
}

/**
 * A directory in Redis. Everything in it may be lost or old: it is asked with a short deadline, and after each reconnect, or
 * when a mark of this process is gone, everything is announced again.
 */
export class RedisDirectory implements Directory {
  readonly kind = 'redis';
  #options: RedisDirectoryOptions;
  #client: (Redis | Cluster) & Scripts;
  #marks: readonly string[];
  #lost: (() => void)[] = [];
  #reachable = true;

  constructor(options: RedisDirectoryOptions) {
    this.#options = options;
    const count = options.mode === 'cluster' ? clusterMarks : 1;
    const process = randomUUID();
    this.#marks = Array.from({ length: count }, (_, n) => `${options.prefix}:mark:${options.pairId}:${process}:${n}`);
    const client = connect(options);
    client.defineCommand('gatesvrClaim', { numberOfKeys: 1, lua: claimScript });
    client.defineCommand('gatesvrRelease', { numberOfKeys: 1, lua: releaseScript });
    client.on('ready', () => this.#announceAll());
    client.on('error', (error: Error) => this.#failed(error));
    this.#client = client as typeof client & Scripts;
  }

  async find(openids: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
    const pairs = await this.#guarded(() =>
      Promise.all(openids.map((openid) => this.#client.hget(this.#key(openid), 'p'))),
    );
    if (pairs === undefined) return undefined;
    const found = new Map<string, string>();
    openids.forEach((openid, index) => {
      const pairId = pairs[index];
      if (typeof pairId === 'string') found.set(openid, pairId);
    });
    return found;
  }

  async claim(placement: Placement, fresh: boolean): Promise<ClaimOutcome | undefined> {
    const { openid, pairId, sessionId, epoch, generation, createTimeMs } = placement;
    const { entryTtlMs } = this.#options;
    const answer = await this.#guarded(() =>
      this.#client.gatesvrClaim(
        this.#key(openid),
        pairId,
        sessionId,
        epoch,
        generation,
        Math.floor(createTimeMs),
        entryTtlMs,
        fresh ? '1' : '0',
      ),
    );
    if (answer === undefined) return undefined;
    const [taken, holder, current] = answer;
    return taken === 1 ? { kind: 'held', generation: Number(current) } : { kind: 'superseded', pairId: holder };
  }

  async release(openid: string, sessionId: string, pairId: string): Promise<void> {
    await this.#guarded(() => this.#client.gatesvrRelease(this.#key(openid), pairId, sessionId));
  }

  onLost(listener: () => void): void {
    this.#lost.push(listener);
  }

  async check(): Promise<void> {
    const before = await this.#guarded(() =>
      Promise.all(this.#marks.map((mark) => this.#client.set(mark, '1', 'EX', markTtlSeconds, 'GET'))),
    );
    if (before?.some((value) => value === null) === true) this.#announceAll();
  }

  close(): void {
    this.#client.disconnect();
  }

  #key(openid: string): string {
    return `${this.#options.prefix}:user:${openid}`;
  }

  #announceAll(): void {
    for (const listener of this.#lost) listener();
  }

  /** @returns undefined when Redis did not answer in time, or with an error. */
  async #guarded<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await ask();
      if (!this.#reachable) this.#options.onState(true, 'it answers');
      this.#reachable = true;
      return answer;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    if (this.#reachable) this.#options.onState(false, errorMessage(error));
    this.#reachable = false;
  }
}

/** Nothing is queued for a Redis that is away, and nothing is sent again behind our back: a claim counts logins. */
function connect(options: RedisDirectoryOptions): Redis | Cluster {
  const { mode, addrs, username, password, db, timeoutMs, masterName } = options;
  const tls = options.tls ? { tls: options.ca === undefined ? {} : { ca: options.ca } } : {};
  const nodes = addrs.map((address) => parseAddress(address) ?? { host: address, port: 6379 });
  const redis = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
    commandTimeout: timeoutMs,
    connectTimeout: Math.max(timeoutMs, 1_000),
    socketTimeout: Math.max(4 * timeoutMs, 2_000),
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 10), reconnectMaxMs),
  };
  if (mode === 'cluster') {
    return new Cluster(nodes, {
      enableOfflineQueue: false,
      enableAutoPipelining: true,
      redisOptions: redis,
      clusterRetryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 10), reconnectMaxMs),
    });
  }
  if (mode === 'sentinel') {
    const sentinelRetryStrategy = (times: number) => Math.min(50 * 2 ** Math.min(times, 10), reconnectMaxMs);
    const sentinel = {
      sentinels: nodes,
      name: masterName,
      sentinelRetryStrategy,
      sentinelCommandTimeout: timeoutMs * 4,
    };
    return new Redis({ ...redis, ...sentinel, db, failoverDetector: true });
  }
  const [node] = nodes;
  return new Redis({ ...redis, host: node?.host ?? '', port: node?.port ?? 0, db });
}
