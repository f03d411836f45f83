import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { Cluster } from '../cluster.ts';
import { providerNamed } from '../providers.ts';
import { Namespace } from './kubectl.ts';
import { clusterVariables } from './suite-variables.ts';

export interface Suite {
  readonly cluster: Cluster;
  readonly namespace: Namespace;
}

const collectedKinds = 'pods,services,endpointslices,leases,statefulsets,deployments,configmaps,gatesvrs,zones';

/** The cluster that `make e2e` made. @throws Error when the tests were started in another way */
export async function openCluster(): Promise<Cluster> {
  const { provider, cluster } = clusterVariables;
  const name = process.env[cluster];
  if (name === undefined) throw new Error('these tests need a cluster: run make e2e');
  return providerNamed(process.env[provider] ?? '').attach(name);
}

/**
 * Gives the tests of a file a namespace of their own that enforces the restricted Pod Security level. When one of them fails,
 * what is in it is kept as files. `prepare` runs once the namespace is there.
 */
export function describeInNamespace(purpose: string, prepare: (suite: Suite) => Promise<void>): Suite {
  let suite: Suite | undefined;
  beforeAll(async () => {
    const cluster = await openCluster();
    const namespace = new Namespace(cluster, `e2e-${purpose}-${randomBytes(3).toString('hex')}`);
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await namespace.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace.name, labels } });
    suite = { cluster, namespace };
    try {
      await prepare(suite);
    } catch (error) {
      await collect(suite.namespace, 'before the tests');
      throw error;
    }
  });
  afterEach(async ({ task }) => {
    if (suite !== undefined && task.result?.state === 'fail') await collect(suite.namespace, task.name);
  });
  afterAll(async () => {
    await suite?.namespace.kubectl(['delete', 'namespace', suite.namespace.name, '--wait=false']);
  });
  const made = (): Suite => {
    if (suite === undefined) throw new Error('used before the tests began');
    return suite;
  };
  return {
    get cluster() {
      return made().cluster;
    },
    get namespace() {
      return made().namespace;
    },
  };
}

/** Writes objects, events and every container's logs to a folder named after what failed. */
async function collect(namespace: Namespace, failed: string): Promise<void> {
  const results = process.env[clusterVariables.results];
  if (results === undefined) return;
  const folder = join(results, `${namespace.name} ${failed}`.replaceAll(/[^\w.-]+/g, '-').slice(0, 120));
  mkdirSync(folder, { recursive: true });
  const keep = async (file: string, ...args: string[]) => {
    const said = await namespace.kubectl(args).catch((error: unknown) => String(error));
    writeFileSync(join(folder, file), said);
    return said;
  };
  const kinds: string[] = [];
  for (const kind of collectedKinds.split(',')) {
    // Some are there only with the operator.
    const known = await namespace.kubectl(['get', kind, '-o', 'name']).then(
      () => true,
      () => false,
    );
    if (known) kinds.push(kind);
  }
  await keep('objects.yaml', 'get', kinds.join(','), '-o', 'yaml');
  await keep('events.txt', 'get', 'events', '--sort-by=.lastTimestamp');
  await keep('nodes.txt', 'describe', 'nodes');
  const pods = (await keep('pods.txt', 'get', 'pods', '-o', 'name'))
    .split('\n')
    .filter((line) => line.startsWith('pod/'));
  for (const pod of pods) {
    const name = pod.slice('pod/'.length);
    await keep(`${name}.log`, 'logs', name, '--all-containers', '--timestamps');
    await keep(`${name}.previous.log`, 'logs', name, '--all-containers', '--timestamps', '--previous');
  }
  process.stderr.write(`what was there when it failed: ${folder}\n`);
}
