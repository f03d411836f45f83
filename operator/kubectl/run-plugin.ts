import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { KubeApiError } from '../kube-api.ts';
import { type ClusterAccess, ClusterAccessError } from '../kube-client/cluster-access.ts';
import { findCluster } from '../kube-client/find-cluster.ts';
import { HttpKubeClient } from '../kube-client/http-kube-client.ts';
import { systemClock } from '../lib/clock.ts';
import { durationMs } from '../lib/duration.ts';
import { version } from '../lib/version.ts';
import { PluginUsageError, type PluginWorld, runSubcommand } from './kubectl-command.ts';
import { OrderError } from './orders.ts';
import { HttpPodReader } from './pod-reader.ts';

const usage = `kubectl gatesvr: looks at fleets of GateSvr and steers them (also: gatesvr kubectl)

Usage: kubectl gatesvr SUBCOMMAND [flags]

  status [NAME]       pairs, their pods, roles and epochs, and what is wrong
  zones [NAME]        the Zones, and what is wrong with them
  sessions NAME       connections and sessions of each gateway
  promote NAME POD    hand over to this pod of the fleet, which must be in sync
  fence POD           never promote this pod; it hands over if it is primary
  unfence POD         take that back
  drain NODE          all primaries leave this node, one after the other
  report NAME         everything support needs, secrets removed, as a JSON file

Flags:
  -n, --namespace NAME    of the fleet; else the one of the context
  -A, --all-namespaces    status and zones of all namespaces
  -o, --output FILE       where report writes; - is standard output; default gatesvr-report-NAME.json
      --timeout DURATION  for promote and drain, each handover; default 30s
      --kubeconfig FILE   else KUBECONFIG or ~/.kube/config
      --context NAME      of the kubeconfig

Exit codes: 0; 1 it failed or took too long; 2 usage.
`;

const flags = {
  namespace: { type: 'string', short: 'n' },
  'all-namespaces': { type: 'boolean', short: 'A' },
  output: { type: 'string', short: 'o' },
  timeout: { type: 'string', default: '30s' },
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

function readFlags(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: flags, allowPositionals: true });
    return { values, positionals, timeoutMs: durationMs(values.timeout) };
  } catch (error) {
    throw new PluginUsageError(error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
}

function worldOf({ values, timeoutMs }: ReturnType<typeof readFlags>, access: ClusterAccess): PluginWorld {
  const userAgent = `kubectl-gatesvr/${version}`;
  const common = {
    access,
    clock: systemClock,
    metrics: { requested: () => {} },
    fieldManager: 'kubectl-gatesvr',
    userAgent,
  };
  return {
    client: new HttpKubeClient(common),
    reader: new HttpPodReader(access, userAgent),
    namespace: values['all-namespaces'] ? undefined : (values.namespace ?? access.namespace),
    timeoutMs,
    output: values.output,
    print: (text) => process.stdout.write(text),
    writeFile: (path, text) => writeFileSync(path, text, { mode: 0o600 }),
  };
}

/** The plugin, and `gatesvr kubectl`. @returns the exit code */
export async function runPlugin(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  try {
    const read = readFlags(argv);
    if (read.values.help || read.positionals.length === 0) {
      process.stdout.write(usage);
      return read.values.help ? 0 : 2;
    }
    const { kubeconfig, context } = read.values;
    const environment = { env, readFile: readFileSync, nowMs: () => systemClock.nowMs() };
    await runSubcommand(worldOf(read, findCluster({ kubeconfig, context }, environment)), read.positionals);
    return 0;
  } catch (error) {
    const usageMistake = error instanceof PluginUsageError || error instanceof ClusterAccessError;
    if (!usageMistake && !(error instanceof OrderError) && !(error instanceof KubeApiError)) throw error;
    process.stderr.write(`kubectl gatesvr: ${error.message}\n`);
    return usageMistake ? 2 : 1;
  }
}
