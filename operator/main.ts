import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type OperatorConfig, OperatorConfigError, operatorConfigHelp, readOperatorConfig } from './config.ts';
import { HealthServer, type ListenAddress, ListenError } from './health-server.ts';
import { type ClusterAccess, ClusterAccessError } from './kube-client/cluster-access.ts';
import { findCluster } from './kube-client/find-cluster.ts';
import { HttpKubeClient } from './kube-client/http-kube-client.ts';
import { systemClock } from './lib/clock.ts';
import { errorMessage } from './lib/log.ts';
import { createLogger, type RootLogger } from './lib/logger.ts';
import { version } from './lib/version.ts';
import { OperatorMetrics } from './metrics.ts';
import { fieldManager, makeOperator } from './operator.ts';
import type { Runtime } from './runtime.ts';

const usage = `gatesvr operator: looks after GateSvrs and Zones in a Kubernetes cluster

Usage: gatesvr operator [flags]

Examples:
  gatesvr operator --kubeconfig ~/.kube/config --leader-elect=false
  gatesvr operator --namespaces games,chat --log-level debug

SIGTERM and SIGINT finish what is under way, give leadership back and stop. Losing leadership ends the process with code 1.

Flags:
`;

const exitCodes = { ok: 0, failure: 1, usage: 2 } as const;
/** For each call in an election: several fit into the time after which leadership is lost. */
const electionCallTimeoutMs = 3000;
/** Less than the grace period of the operator's pods. */
const stopTimeoutMs = 15_000;

/**
 * The `operator` subcommand: runs until a signal, or the loss of leadership, ends it.
 *
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(usage + operatorConfigHelp());
    return exitCodes.ok;
  }
  try {
    const config = readOperatorConfig(argv, process.env);
    const environment = { env: process.env, readFile: readFileSync, nowMs: () => systemClock.nowMs() };
    return await run(config, findCluster(config, environment));
  } catch (error) {
    if (
      !(error instanceof OperatorConfigError || error instanceof ClusterAccessError || error instanceof ListenError)
    ) {
      throw error;
    }
    process.stderr.write(`gatesvr operator: ${error.message}\n`);
    return exitCodes.usage;
  }
}

async function run(config: OperatorConfig, access: ClusterAccess): Promise<number> {
  const log = createLogger(config.logLevel);
  const metrics = new OperatorMetrics(access.server.host);
  const podName = process.env['POD_NAME'] || hostname();
  const identity = `${podName}_${randomUUID()}`;
  const userAgent = `gatesvr-operator/${version}`;
  const common = { access, clock: systemClock, metrics, fieldManager, userAgent };
  const client = new HttpKubeClient(common);
  const electionClient = new HttpKubeClient({ ...common, callTimeoutMs: electionCallTimeoutMs });
  const ended = new Ending();
  const leaseNamespace = config.leaseNamespace || process.env['POD_NAMESPACE'] || access.namespace;
  const runtime = makeOperator({
    client,
    electionClient,
    config,
    lease: config.leaderElect ? { namespace: leaseNamespace, name: config.leaseName } : undefined,
    clock: systemClock,
    random: Math.random,
    newId: randomUUID,
    log,
    metrics,
    identity,
    podName,
    onLost: () => ended.end('leadership was lost', exitCodes.failure),
  });
  const server = new HealthServer({
    healthy: () => runtime.healthProblems(),
    ready: () => runtime.readyProblems(),
    metrics,
    log,
  });
  await listen(server, config);
  const { href: api } = access.server;
  log.info({ version, identity, api, namespaces: config.namespaces, lease: leaseNamespace }, 'operator started');
  runtime.start();
  const { why, code } = await ended.wait();
  log.info({ why }, 'stopping');
  const stopped = await stopWithin(runtime, log);
  await server.close();
  client.close();
  electionClient.close();
  await log.flush();
  return stopped ? code : exitCodes.failure;
}

/** One server where health and metrics share an address. */
async function listen(server: HealthServer, { healthAddr, metricsAddr }: OperatorConfig): Promise<void> {
  const same = (a: ListenAddress, b: ListenAddress): boolean => a.host === b.host && a.port === b.port && a.port !== 0;
  if (healthAddr !== undefined && metricsAddr !== undefined && same(healthAddr, metricsAddr)) {
    await server.listen(healthAddr, 'both');
    return;
  }
  if (healthAddr !== undefined) await server.listen(healthAddr, 'health');
  if (metricsAddr !== undefined) await server.listen(metricsAddr, 'metrics');
}

/** @returns whether it stopped in order */
async function stopWithin(runtime: Runtime, log: RootLogger): Promise<boolean> {
  const expired = Symbol('expired');
  const late = new Promise<typeof expired>((resolve) => systemClock.after(stopTimeoutMs, () => resolve(expired)));
  try {
    if ((await Promise.race([runtime.stop(), late])) !== expired) return true;
    log.error({ stopTimeoutMs }, 'did not stop in time');
  } catch (error) {
    log.error({ error: errorMessage(error) }, 'stop failed');
  }
  return false;
}

/** Why the process is to end: the first reason counts, and a second signal ends it at once. */
class Ending {
  #resolve: (end: { readonly why: string; readonly code: number }) => void = () => {};
  #ended = new Promise<{ readonly why: string; readonly code: number }>((resolve) => {
    this.#resolve = resolve;
  });

  constructor() {
    let signalled = false;
    const onSignal = (signal: string): void => {
      if (signalled) process.exit(exitCodes.failure);
      signalled = true;
      this.end(signal, exitCodes.ok);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  }

  end(why: string, code: number): void {
    this.#resolve({ why, code });
  }

  wait(): Promise<{ readonly why: string; readonly code: number }> {
    return this.#ended;
  }
}
