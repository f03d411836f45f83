import { readFileSync } from 'node:fs';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Config } from './config.ts';
import { Announcer } from './fleet/announcer.ts';
import { type Directory, MemoryDirectory } from './fleet/directory.ts';
import { Fleet } from './fleet/fleet.ts';
import { parseFleetMap } from './fleet/fleet-map.ts';
import { FleetNode } from './fleet/fleet-node.ts';
import { Forwarder } from './fleet/forwarder.ts';
import { dialForward } from './fleet/grpc-link.ts';
import { RedisDirectory } from './fleet/redis-directory.ts';
import type { HandlerContext } from './handlers/context.ts';
import type { Clock } from './lib/clock.ts';
import { errorMessage, UsageError } from './lib/errors.ts';
import type { Logger } from './lib/log.ts';
import { ErrorCode } from './protocol/error-codes.ts';
import { performCall } from './servers/fleet-service.ts';

const linkBytesMax = 64 * 1024 * 1024;
const announcementsMax = 256;
const checkMs = 1_000;
const mapPollMs = 1_000;

export interface FleetSetup {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly credentials: ChannelCredentials;
  readonly context: () => HandlerContext;
}

/** This gateway's part in its fleet with links, directory and timers; undefined when it is alone. */
export function createFleet(setup: FleetSetup): FleetNode | undefined {
  const { config, clock, context } = setup;
  const { pairId, forwardTimeoutMs, forwardMaxInFlight } = config.fleet;
  if (pairId === '') return undefined;
  const fleet = new Fleet({ pairId, nowMs: () => clock.nowMs() });
  const directory = createDirectory(setup);
  const schedule = (delayMs: number, run: () => void) => void setTimeout(run, delayMs).unref();
  const forwarder = new Forwarder({
    clock,
    limits: { callsMax: forwardMaxInFlight, bytesMax: linkBytesMax },
    dial: (endpoint, events) => dialForward(endpoint, setup.credentials, events),
    defer: setImmediate,
    schedule,
  });
  const announcer = createAnnouncer(setup, directory);
  return new FleetNode({
    fleet,
    forwarder,
    directory,
    announcer,
    timeoutMs: forwardTimeoutMs,
    local: (call, done) => performCall(context(), call, done),
  });
}

function createAnnouncer({ config, context, log }: FleetSetup, directory: Directory): Announcer {
  const announcer = new Announcer({
    pairId: config.fleet.pairId,
    directory,
    sessions: () => (context().shard.serving ? context().sessions.all() : []),
    session: (sessionId) => context().sessions.session(sessionId),
    epoch: () => context().shard.epoch,
    superseded: (sessionId, pairId) => {
      log.info({ session: sessionId, pair: pairId }, 'a newer login of this user is at another pair');
      const reason = 'another login replaced this session';
      context().shard.submit({ kind: 'close', sessionId, code: ErrorCode.ERROR_REPLACED, reason });
    },
    concurrency: announcementsMax,
    defer: setImmediate,
  });
  if (directory.kind === 'memory') return announcer;
  const timer = setInterval(() => {
    void directory.check().then(() => announcer.retry());
  }, checkMs).unref();
  const refresh = setInterval(() => announcer.announceAll(), config.directory.redis.entryTtlMs / 3).unref();
  announcer.onClose(() => {
    clearInterval(timer);
    clearInterval(refresh);
  });
  return announcer;
}

function createDirectory({ config, log }: FleetSetup): Directory {
  const { kind, redis } = config.directory;
  if (kind === 'memory') return new MemoryDirectory();
  const { passwordFile } = redis;
  const caFile = redis.tls ? config.server.caFile : undefined;
  return new RedisDirectory({
    ...redis,
    pairId: config.fleet.pairId,
    ...(passwordFile === undefined ? {} : { password: read('directory.redis.password_file', passwordFile).trim() }),
    ...(caFile === undefined ? {} : { ca: read('server.ca_file', caFile) }),
    onState: (reachable, reason) => log.warn({ reachable, reason }, 'the directory is away, or back'),
  });
}

/**
 * Reads the map file now, and whenever its content changes; a bad one keeps the map in force.
 * @returns a function that reads it again at once.
 * @throws UsageError when it cannot be used at the start.
 */
export function followMapFile(path: string, node: FleetNode, log: Logger): () => void {
  let last = '';
  const load = () => {
    const text = read('fleet.map_file', path);
    if (text === last) return;
    last = text;
    const map = parseFleetMap(text);
    if (node.fleet.setMap(map)) log.info({ version: map.version, pairs: map.pairs.length }, 'fleet map taken');
    else if (map.version < node.fleet.version) {
      log.warn({ version: map.version, inForce: node.fleet.version }, 'fleet.map_file: a lower version is ignored');
    }
  };
  try {
    load();
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`fleet.map_file: ${path}: ${errorMessage(error)}`);
  }
  const again = () => {
    try {
      load();
    } catch (error) {
      log.error({ error: errorMessage(error) }, 'fleet.map_file: refused, the old map stays');
    }
  };
  setInterval(again, mapPollMs).unref();
  return again;
}

function read(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${key}: ${path}: cannot be read: ${errorMessage(error)}`);
  }
}
