import type { ListenAddress } from './health-server.ts';
import type { LogLevel } from './lib/logger.ts';
import { version } from './lib/version.ts';

export interface OperatorConfig {
  /** Those whose objects are looked after; empty: all of the cluster, and its nodes. */
  readonly namespaces: readonly string[];
  readonly leaderElect: boolean;
  readonly leaseName: string;
  /** '' for the one the operator runs in. */
  readonly leaseNamespace: string;
  /** undefined: not served. */
  readonly healthAddr: ListenAddress | undefined;
  readonly metricsAddr: ListenAddress | undefined;
  readonly gatewayImage: string;
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** Flags, variables or values that cannot be used: one problem a line. */
export class OperatorConfigError extends Error {
  override readonly name = 'OperatorConfigError';
}

interface Setting {
  readonly flag: string;
  readonly fallback: string;
  readonly value: string;
  readonly help: string;
  /** @returns undefined when the text is not what `expected` says */
  readonly parse: (text: string) => unknown;
  readonly expected: string;
}

const labelPattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const namePattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const levels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error'];
const workersMax = 256;

function oneOf(pattern: RegExp): (text: string) => string | undefined {
  return (text) => (pattern.test(text) ? text : undefined);
}

function optional(text: string): { readonly given: string | undefined } {
  return { given: text === '' ? undefined : text };
}

const settings = {
  namespaces: {
    flag: 'namespaces',
    value: 'NAME,…',
    fallback: '',
    help: 'look after these namespaces only, without rights on nodes; all when empty',
    expected: 'names of namespaces, by comma',
    parse: parseNamespaces,
  },
  leaderElect: {
    flag: 'leader-elect',
    value: 'BOOL',
    fallback: 'true',
    help: 'one of several operators leads; promoting a backup needs no leader',
    expected: 'true or false',
    parse: (text) => ({ true: true, false: false })[text],
  },
  leaseName: {
    flag: 'lease-name',
    value: 'NAME',
    fallback: 'gatesvr-operator',
    help: 'the Lease by which they elect it',
    expected: 'the name of a Lease',
    parse: oneOf(namePattern),
  },
  leaseNamespace: {
    flag: 'lease-namespace',
    value: 'NAME',
    fallback: '',
    help: 'where that Lease is; the namespace that the operator runs in when empty',
    expected: 'the name of a namespace',
    parse: (text) => (text === '' || labelPattern.test(text) ? text : undefined),
  },
  healthAddr: {
    flag: 'health-addr',
    value: 'ADDR',
    fallback: ':8080',
    help: '/healthz and /readyz; off when empty',
    expected: 'HOST:PORT or :PORT',
    parse: parseAddress,
  },
  metricsAddr: {
    flag: 'metrics-addr',
    value: 'ADDR',
    fallback: ':9090',
    help: '/metrics; off when empty, and may be the same as --health-addr',
    expected: 'HOST:PORT or :PORT',
    parse: parseAddress,
  },
  gatewayImage: {
    flag: 'gateway-image',
    value: 'IMAGE',
    fallback: `gatesvr/gateway:${version}`,
    help: 'what gateways run whose GateSvr names no image',
    expected: 'an image',
    parse: oneOf(/^\S+$/),
  },
  workers: {
    flag: 'workers',
    value: 'N',
    fallback: '16',
    help: 'pairs that are looked after at the same time',
    expected: `a number from 1 to ${workersMax}`,
    parse: (text) => (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= workersMax ? Number(text) : undefined),
  },
  logLevel: {
    flag: 'log-level',
    value: 'LEVEL',
    fallback: 'info',
    help: levels.join(', '),
    expected: levels.join(', '),
    parse: (text) => (levels.includes(text) ? text : undefined),
  },
  kubeconfig: {
    flag: 'kubeconfig',
    value: 'FILE',
    fallback: '',
    help: "else KUBECONFIG, the pod's service account, or ~/.kube/config",
    expected: 'the path of a kubeconfig',
    parse: optional,
  },
  context: {
    flag: 'context',
    value: 'NAME',
    fallback: '',
    help: 'of the kubeconfig; its own current one when empty',
    expected: 'the name of a context',
    parse: optional,
  },
} satisfies Readonly<Record<string, Setting>>;

const byFlag = new Map<string, Setting>(Object.values(settings).map((setting) => [setting.flag, setting]));

function variableOf({ flag }: Pick<Setting, 'flag'>): string {
  return `GATESVR_OPERATOR_${flag.replaceAll('-', '_').toUpperCase()}`;
}

/** One line a flag, with its variable and default. */
export function operatorConfigHelp(): string {
  const names = [...byFlag.values()].map(({ flag, value }) => `  --${flag} ${value}`);
  const width = Math.max(...names.map(({ length }) => length));
  const lines = [...byFlag.values()].map(({ help, fallback }, index) => {
    const shown = fallback === '' ? '' : ` (default ${fallback})`;
    return `${names[index]?.padEnd(width)}  ${help}${shown}\n`;
  });
  return `${lines.join('')}\nEach flag is also a variable: --log-level is ${variableOf(settings.logLevel)}.\n`;
}

/**
 * Flags over environment over defaults.
 *
 * @throws OperatorConfigError with everything that is wrong
 */
export function readOperatorConfig(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): OperatorConfig {
  const problems: string[] = [];
  const flags = readFlags(argv, problems);
  const read = <T>(setting: Setting): T => {
    const variable = variableOf(setting);
    const [origin, text] = flags.has(setting.flag)
      ? [`--${setting.flag}`, flags.get(setting.flag) ?? '']
      : env[variable]
        ? [variable, env[variable]]
        : ['default', setting.fallback];
    const value = setting.parse(text);
    if (value === undefined) problems.push(`${origin}: ${text}: expected ${setting.expected}`);
    return value as T;
  };
  const config: OperatorConfig = {
    namespaces: read(settings.namespaces),
    leaderElect: read(settings.leaderElect),
    leaseName: read(settings.leaseName),
    leaseNamespace: read(settings.leaseNamespace),
    healthAddr: read<Given<ListenAddress> | undefined>(settings.healthAddr)?.given,
    metricsAddr: read<Given<ListenAddress> | undefined>(settings.metricsAddr)?.given,
    gatewayImage: read(settings.gatewayImage),
    workers: read(settings.workers),
    logLevel: read(settings.logLevel),
    kubeconfig: read<Given<string> | undefined>(settings.kubeconfig)?.given,
    context: read<Given<string> | undefined>(settings.context)?.given,
  };
  if (problems.length > 0) throw new OperatorConfigError(problems.join('\n'));
  return config;
}

interface Given<T> {
  readonly given: T | undefined;
}

function readFlags(argv: readonly string[], problems: string[]): Map<string, string> {
  const flags = new Map<string, string>();
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    const match = /^--?([a-z][a-z-]*)(?:=([\s\S]*))?$/.exec(argument);
    const flag = match?.[1] === 'namespace' ? 'namespaces' : (match?.[1] ?? '');
    if (!byFlag.has(flag)) {
      problems.push(`${argument}: unknown flag: expected --${[...byFlag.keys()].join(', --')}`);
      continue;
    }
    const next = argv[index + 1];
    if (match?.[2] !== undefined) flags.set(flag, match[2]);
    else if (flag === settings.leaderElect.flag && next !== 'true' && next !== 'false') flags.set(flag, 'true');
    else if (next === undefined) problems.push(`--${flag}: no value: expected ${byFlag.get(flag)?.expected}`);
    else {
      flags.set(flag, next);
      index += 1;
    }
  }
  return flags;
}

function parseNamespaces(text: string): string[] | undefined {
  const names = text.split(',').map((name) => name.trim());
  if (text.trim() === '') return [];
  return names.every((name) => labelPattern.test(name)) ? [...new Set(names)] : undefined;
}

function parseAddress(text: string): Given<ListenAddress> | undefined {
  if (text === '') return { given: undefined };
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { given: { host: match[1] ?? match[2] ?? '', port } };
}
