import type { Config } from './config.ts';
import { errorMessage, UsageError } from './lib/errors.ts';
import type { Logger } from './lib/log.ts';
import type { Arbiter } from './replication/arbiter.ts';
import { KubernetesArbiter } from './replication/kubernetes-arbiter.ts';
import { LeaseHttp } from './replication/lease-http.ts';
import type { LeaseGossip, PairTiming } from './replication/pair-options.ts';
import type { RoleSettings } from './replication/role.ts';
import { StandaloneArbiter } from './replication/standalone-arbiter.ts';

/** A heartbeat this slow is a link this slow: commits may take as long before the set shrinks. */
const stallTimeoutMsMin = 1_000;
const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
const callTimeoutMs = 2_000;
/** A call, and the longest the adapter waits after one that failed. */
const arbiterTimeoutMs = 3_500;
/** The watch brings news; this is for the day it does not. */
const calmReadIntervalMs = 10_000;

/** What the shard tells its arbiter's adapter, and is told by it. */
export interface ArbiterEvents {
  /** The Lease should be read now. */
  readonly changed: () => void;
  /** The peer should hear of the Lease at once. */
  readonly announce: () => void;
}

/** The arbiter of a pair, running. */
export interface PairArbiter {
  readonly arbiter: Arbiter;
  readonly gossip?: LeaseGossip;
  start(): void;
  stop(): void;
}

export type ConnectArbiter = (events: ArbiterEvents) => PairArbiter;

/** What a gateway's surroundings say of the cluster it runs in. */
export interface ClusterSurroundings {
  /** As KUBERNETES_SERVICE_HOST and _PORT name it; undefined outside a cluster. */
  readonly apiServer: string | undefined;
  /** @throws when the file cannot be read. */
  readonly readFile: (path: string) => string;
  readonly log: Logger;
}

/** @throws UsageError when the API server is not known, or its token and authority cannot be read. */
export function arbiterOf({ backup }: Config, surroundings: ClusterSurroundings): ConnectArbiter {
  if (backup.arbiter === 'standalone') {
    return ({ announce }) => {
      const arbiter = new StandaloneArbiter({ serverId: backup.serverId, announce });
      return { arbiter, gossip: arbiter, start: () => {}, stop: () => {} };
    };
  }
  const { kubernetes } = backup;
  const { readFile, log } = surroundings;
  const read = (key: string, path: string) => {
    try {
      return readFile(path);
    } catch (error) {
      throw new UsageError(`backup.kubernetes.${key}: ${path}: cannot be read: ${errorMessage(error)}`);
    }
  };
  const server = kubernetes.apiServer ?? surroundings.apiServer;
  if (server === undefined) {
    throw new UsageError('backup.kubernetes.api_server: not set: expected a URL, because this is no pod of a cluster');
  }
  const options = {
    namespace: kubernetes.namespace ?? read('namespace', namespaceFile).trim(),
    name: kubernetes.leaseName ?? '',
    random: Math.random,
  };
  const readToken = () => read('token_file', kubernetes.tokenFile);
  const readAuthority = () => read('ca_file', kubernetes.caFile);
  readToken();
  readAuthority();
  return ({ changed }) => {
    const url = new URL(server);
    const api = new LeaseHttp({ ...options, server: url, timeoutMs: callTimeoutMs, readToken, readAuthority });
    const onProblem = (problem: string) => {
      if (problem === '') log.info({}, 'the Lease is within reach again');
      else log.error({ problem }, 'the Lease cannot be used: sessions go on, the pair cannot change');
    };
    const arbiter = new KubernetesArbiter({ ...options, api, changed, onProblem });
    const stop = () => {
      arbiter.stop();
      api.close();
    };
    return { arbiter, start: () => arbiter.start(), stop };
  };
}

/** When a gateway acts by itself (design §5, rules 13 and 14). */
export function roleSettings({ backup }: Config): RoleSettings {
  const { serverId, mode, startAloneAfterMs, heartbeat } = backup;
  const own = { serverId, mode, startAloneAfterMs };
  if (backup.arbiter === 'standalone') {
    return { ...own, arbiter: 'own', promoteAfterMs: 0, resetAfterMs: backup.failoverTimeoutMs };
  }
  const promoteAfterMs = 2 * heartbeat.timeoutMs;
  return { ...own, arbiter: 'shared', promoteAfterMs, resetAfterMs: backup.kubernetes.resetAfterMs };
}

export function pairTiming({ backup }: Config): PairTiming {
  const { intervalMs, timeoutMs } = backup.heartbeat;
  const alone = backup.arbiter === 'standalone';
  return {
    heartbeatIntervalMs: intervalMs,
    heartbeatTimeoutMs: timeoutMs,
    stallTimeoutMs: Math.max(stallTimeoutMsMin, Math.min(timeoutMs, backup.failoverTimeoutMs)),
    arbiterTimeoutMs: alone ? timeoutMs : arbiterTimeoutMs,
    leaseReadIntervalMs: alone ? intervalMs : calmReadIntervalMs,
    urgentReadIntervalMs: alone ? intervalMs : Math.max(intervalMs, timeoutMs / 2),
    rejoinAfterMs: Math.max(500, 2 * intervalMs),
  };
}
