import type { StartedTestContainer } from 'testcontainers';
import { RedisDirectory } from '../../gateway/fleet/redis-directory.ts';

const redisPort = 6379;
const readyDeadlineMs = 20_000;

/** A directory in that Redis, which answers. */
export async function openDirectory(redis: StartedTestContainer, pairId: string): Promise<RedisDirectory> {
  const directory = new RedisDirectory({
    mode: 'standalone',
    addrs: [`${redis.getHost()}:${redis.getMappedPort(redisPort)}`],
    masterName: '',
    tls: false,
    db: 0,
    prefix: 'gatesvr-e2e',
    timeoutMs: 5_000,
    entryTtlMs: 60_000,
    pairId,
    onState: () => {},
  });
  const deadline = performance.now() + readyDeadlineMs;
  // Before the connection is made every question is answered with undefined.
  while ((await directory.find(['nobody'])) === undefined) {
    if (performance.now() > deadline) throw new Error(`Redis does not answer within ${readyDeadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return directory;
}
