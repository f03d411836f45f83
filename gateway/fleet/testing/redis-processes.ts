import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const readyMs = 20_000;
const pollMs = 20;

/**
 * Makes sure that a real Redis can be started: installs Debian's when this is root, and says what to do otherwise.
 * @throws Error when there is none.
 */
export function needRedis(): void {
  const has = () => ['redis-server', 'redis-sentinel'].every((name) => spawnSync('which', [name]).status === 0);
  if (has()) return;
  if (process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    spawnSync('apt-get', ['update', '-qq'], { env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-server', 'redis-sentinel'], {
      env,
    });
  }
  if (!has()) throw new Error('these tests need a real Redis: apt-get install redis-server redis-sentinel');
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** One Redis or Sentinel process on a port of its own, without anything on disk that outlives it. */
export class RedisProcess {
  readonly port: number;
  #folder = mkdtempSync(join(tmpdir(), 'gatesvr-redis-'));
  #lines: readonly string[];
  #sentinel: boolean;
  #child: ChildProcess | undefined;

  private constructor(port: number, lines: readonly string[], sentinel: boolean) {
    this.port = port;
    this.#lines = lines;
    this.#sentinel = sentinel;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  static async start(lines: readonly string[] = []): Promise<RedisProcess> {
    const redis = new RedisProcess(await freePort(), ['save ""', 'appendonly no', ...lines], false);
    await redis.run();
    return redis;
  }

  static async startSentinel(master: RedisProcess, name: string): Promise<RedisProcess> {
    const lines = [
      `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
      `sentinel down-after-milliseconds ${name} 500`,
      `sentinel failover-timeout ${name} 3000`,
    ];
    const sentinel = new RedisProcess(await freePort(), lines, true);
    await sentinel.run();
    return sentinel;
  }

  /** Starts it, empty; also after `kill`. */
  async run(): Promise<void> {
    const file = join(this.#folder, 'redis.conf');
    const own = [`port ${this.port}`, 'bind 127.0.0.1', `dir ${this.#folder}`, 'daemonize no', ...this.#lines];
    writeFileSync(file, `${own.join('\n')}\n`);
    const program = this.#sentinel ? 'redis-sentinel' : 'redis-server';
    this.#child = spawn(program, [file], { stdio: 'ignore' });
    await this.#untilReady();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Asks it something directly. */
  async ask(...command: readonly [string, ...(string | number)[]]): Promise<unknown> {
    const client = new Redis({ port: this.port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => {});
    try {
      await client.connect();
      const [name, ...args] = command;
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  async #untilReady(): Promise<void> {
    const untilMs = performance.now() + readyMs;
    for (;;) {
      const answer = await this.ask('PING').catch(() => undefined);
      if (answer === 'PONG') return;
      if (performance.now() > untilMs) throw new Error(`redis on port ${this.port} does not answer`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }
}
