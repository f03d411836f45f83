import type { GateSvr } from '../api/gatesvr.ts';
import type { Zone } from '../api/zone.ts';
import type { KubeClient, KubeObject, Resource } from '../kube-api.ts';
import { systemClock } from '../lib/clock.ts';
import { gateSvrs, zones } from '../resources.ts';
import { fleetText, zonesText } from './fleet-text.ts';
import { drain, fence, promote, readGateSvr } from './orders.ts';
import type { PodReader } from './pod-reader.ts';
import { makeReport } from './report.ts';
import { sessionsText } from './sessions-text.ts';

export class PluginUsageError extends Error {
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
