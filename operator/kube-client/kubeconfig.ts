import { delimiter, dirname, isAbsolute, join } from 'node:path';
// Deep imports: the library as a whole brings in every generated API and costs 80 MB of memory.
import {
  type Cluster,
  newClusters,
  newContexts,
  newUsers,
  type User,
} from '@kubernetes/client-node/dist/config_types.js';
import { parse } from 'yaml';
import { type AccessEnvironment, type ClusterAccess, ClusterAccessError } from './cluster-access.ts';
import { tokenFileOf, UserCredentials } from './user-credentials.ts';

export interface KubeconfigChoice {
  /** As in KUBECONFIG: several are merged, the first that says something wins. */
  readonly paths: string;
  /** The kubeconfig's own when absent. */
  readonly context?: string | undefined;
}

interface Merged {
  readonly clusters: readonly Cluster[];
  readonly users: readonly User[];
  readonly contexts: ReturnType<typeof newContexts>;
  readonly currentContext: string | undefined;
}

/**
 * The API server as a kubeconfig names it: certificates, tokens (in files too), basic authentication, impersonation, and
 * credential plugins (`exec`).
 *
 * @throws ClusterAccessError with the file and what is wrong with it
 */
export function kubeconfigAccess(choice: KubeconfigChoice, environment: AccessEnvironment): ClusterAccess {
  const merged = mergedConfig(choice.paths, environment);
  const contextName = choice.context ?? merged.currentContext;
  const context = named(merged.contexts, contextName, choice.paths, 'context');
  const cluster = named(merged.clusters, context.cluster, choice.paths, 'cluster');
  const user = named(merged.users, context.user, choice.paths, 'user');
  if (cluster.proxyUrl !== undefined) throw unsupported(choice.paths, cluster.name, 'proxy-url');
  if (user.authProvider && tokenFileOf(user) === undefined)
    throw unsupported(choice.paths, user.name, 'auth-provider (use exec)');
  const credentials = new UserCredentials(cluster, user, environment);
  return {
    server: new URL(cluster.server),
    namespace: context.namespace ?? 'default',
    connection: () => credentials.connection(),
    refused: () => credentials.refused(),
  };
}

function unsupported(paths: string, name: string, what: string): ClusterAccessError {
  return new ClusterAccessError(`${paths}: ${name}: ${what}: not supported`);
}

function named<T extends { readonly name: string }>(
  all: readonly T[],
  name: string | undefined,
  paths: string,
  what: string,
): T {
  const found = all.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = all.map((each) => each.name).join(', ');
  throw new ClusterAccessError(`${paths}: ${what}: ${name ?? 'none'}: expected ${names === '' ? 'some' : names}`);
}

function mergedConfig(paths: string, environment: AccessEnvironment): Merged {
  const files = paths.split(delimiter).filter((path) => path !== '');
  const configs = files.map((path) => readConfig(path, environment));
  return {
    clusters: configs.flatMap((config) => config.clusters),
    users: configs.flatMap((config) => config.users),
    contexts: configs.flatMap((config) => config.contexts),
    currentContext: configs.map((config) => config.currentContext).find((name) => (name ?? '') !== ''),
  };
}

function readConfig(path: string, environment: AccessEnvironment): Merged {
  try {
    const document = withTokenFiles(parse(environment.readFile(path).toString('utf8')) ?? {});
    const absolute = (file: string | undefined): string | undefined =>
      file === undefined || isAbsolute(file) ? file : join(dirname(path), file);
    const given = <T extends object>(fields: T): T =>
      Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
    return {
      clusters: newClusters(document.clusters).map(
        (each) => given({ ...each, caFile: absolute(each.caFile) }) as Cluster,
      ),
      users: newUsers(document.users).map(
        (each) => given({ ...each, certFile: absolute(each.certFile), keyFile: absolute(each.keyFile) }) as User,
      ),
      contexts: newContexts(document.contexts),
      currentContext: document['current-context'],
    };
  } catch (error) {
    if (error instanceof ClusterAccessError) throw error;
    throw new ClusterAccessError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Document {
  readonly clusters?: unknown;
  readonly contexts?: unknown;
  readonly users?: unknown;
  readonly 'current-context'?: string;
}

/** The library reads `tokenFile` never, or once; as the provider it has for service accounts it is read again and again. */
function withTokenFiles(document: Document): Document {
  if (!Array.isArray(document.users)) return document;
  const users = document.users.map((entry: { name: string; user?: Record<string, unknown> }) => {
    const { tokenFile, ...user } = entry.user ?? {};
    if (typeof tokenFile !== 'string') return entry;
    return { ...entry, user: { ...user, 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } };
  });
  return { ...document, users };
}
