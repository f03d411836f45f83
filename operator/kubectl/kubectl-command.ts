import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { GateSvr } from '../api/gatesvr.ts';
import type { Zone } from '../api/zone.ts';
import { KubeApiError, type KubeClient, type KubeObject, type Resource } from '../kube-api.ts';
import { type ClusterAccess, ClusterAccessError } from '../kube-client/cluster-access.ts';
import { findCluster } from '../kube-client/find-cluster.ts';
import { HttpKubeClient } from '../kube-client/http-kube-client.ts';
import { systemClock } from '../lib/clock.ts';
import { durationMs } from '../lib/duration.ts';
import { version } from '../lib/version.ts';
import { gateSvrs, zones } from '../resources.ts';
import { fleetText, zonesText } from './fleet-text.ts';
import { drain, fence, OrderError, promote, readGateSvr } from './orders.ts';
import { HttpPodReader, type PodReader } from './pod-reader.ts';
import { makeReport } from './report.ts';
import { sessionsText } from './sessions-text.ts';

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

class PluginUsageError extends Error {
  override readonly name = 'PluginUsageError';
}

export interface PluginWorld {
  readonly client: KubeClient;
  readonly reader: PodReader;
  /** Undefined: all. */
  readonly namespace: string | undefined;
  readonly timeoutMs: number;
  readonly output: string | undefined;
  readonly print: (text: string) => void;
  readonly writeFile: (path: string, text: string) => void;
}

type Subcommand = (world: PluginWorld, args: readonly string[]) => Promise<void>;

const itemsMax = 1000;

async function listAll<T extends KubeObject>(
  { client, namespace }: PluginWorld,
  resource: Resource,
): Promise<readonly T[]> {
  const selection = namespace === undefined ? {} : { namespace };
  return (await client.list<T>(resource, { ...selection, limit: itemsMax })).items;
}

function own({ namespace }: PluginWorld): string {
  if (namespace === undefined) throw new PluginUsageError('--all-namespaces: expected with status and zones only');
  return namespace;
}

function orders(world: PluginWorld) {
  const { client, timeoutMs, print } = world;
  const say = (line: string): void => print(`${line}\n`);
  return { client, clock: systemClock, timeoutMs, signal: AbortSignal.timeout(timeoutMs * 100), say };
}

const subcommands: Readonly<Record<string, { readonly args: readonly string[]; readonly run: Subcommand }>> = {
  status: {
    args: ['[NAME]'],
    run: async (world, [name]) => {
      const found =
        name === undefined
          ? await listAll<GateSvr>(world, gateSvrs)
          : [await readGateSvr(world.client, own(world), name)];
      const texts = found.map((gateSvr) => fleetText(gateSvr, systemClock.wallMs()));
      world.print(texts.length === 0 ? 'no GateSvr\n' : texts.join('\n'));
    },
  },
  zones: {
    args: ['[NAME]'],
    run: async (world, [name]) => {
      const found = await listAll<Zone>(world, zones);
      world.print(zonesText(found.filter(({ spec }) => name === undefined || spec.gateSvrRef.name === name)));
    },
  },
  sessions: {
    args: ['NAME'],
    run: async (world, [name = '']) => {
      const gateSvr = await readGateSvr(world.client, own(world), name);
      world.print(await sessionsText(gateSvr, world.reader));
    },
  },
  promote: {
    args: ['NAME', 'POD'],
    run: (world, [name = '', pod = '']) => promote(orders(world), own(world), name, pod),
  },
  fence: { args: ['POD'], run: (world, [pod = '']) => fence(orders(world), own(world), pod, true) },
  unfence: { args: ['POD'], run: (world, [pod = '']) => fence(orders(world), own(world), pod, false) },
  drain: {
    args: ['NODE'],
    run: async (world, [node = '']) => drain(orders(world), await listAll<GateSvr>(world, gateSvrs), node),
  },
  report: {
    args: ['NAME'],
    run: async (world, [name = '']) => {
      await readGateSvr(world.client, own(world), name);
      const report = await makeReport(world.client, world.reader, own(world), name);
      const text = `${JSON.stringify(report, null, 2)}\n`;
      const path = world.output ?? `gatesvr-report-${name}.json`;
      if (path === '-') return world.print(text);
      world.writeFile(path, text);
      world.print(`${path}: ${text.length} bytes; look through it before you give it away\n`);
    },
  },
};

/** Runs one subcommand. @throws {PluginUsageError} {OrderError} {KubeApiError} */
export async function runSubcommand(world: PluginWorld, [name = '', ...args]: readonly string[]): Promise<void> {
  const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (subcommand === undefined) throw new PluginUsageError(`${name}: expected ${Object.keys(subcommands).join(', ')}`);
  const least = subcommand.args.filter((each) => !each.startsWith('[')).length;
  if (args.length < least || args.length > subcommand.args.length) {
    throw new PluginUsageError(`${name}: ${args.length} arguments: expected ${subcommand.args.join(' ')}`);
  }
  await subcommand.run(world, args);
}

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
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const read = readFlags(argv);
    if (read.values.help || read.positionals.length === 0) {
      process.stdout.write(usage);
      return read.values.help ? 0 : 2;
    }
    const { kubeconfig, context } = read.values;
    const environment = { env: process.env, readFile: readFileSync, nowMs: () => systemClock.nowMs() };
    await runSubcommand(worldOf(read, findCluster({ kubeconfig, context }, environment)), read.positionals);
    return 0;
  } catch (error) {
    const usageMistake = error instanceof PluginUsageError || error instanceof ClusterAccessError;
    if (!usageMistake && !(error instanceof OrderError) && !(error instanceof KubeApiError)) throw error;
    process.stderr.write(`kubectl gatesvr: ${error.message}\n`);
    return usageMistake ? 2 : 1;
  }
}
