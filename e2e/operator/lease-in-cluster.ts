import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { LeaseObject } from '../../gateway/replication/lease-object.ts';
import { pairAccess } from '../../operator/desired/access.ts';
import type { KubeObject } from '../../operator/kube-api.ts';
import { findCluster } from '../../operator/kube-client/find-cluster.ts';
import { HttpKubeClient } from '../../operator/kube-client/http-kube-client.ts';
import { systemClock } from '../../operator/lib/clock.ts';
import { leases, resourceOf } from '../../operator/resources.ts';
import { gateSvrOf } from '../../operator/testing/defaulted.ts';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { run } from '../cluster/lib/command.ts';
import { kubernetesBinaries } from '../cluster/lib/kubernetes-binary.ts';
import type { LeaseStore } from './kubernetes-pair.ts';

/**
 * The Lease of a pair in a real API server. The token is the one of the pair's service account, with the rights that the
 * operator gives it and no others.
 */
export async function leaseInCluster({ kubeconfigPath, server }: ControlPlane): Promise<LeaseStore> {
  const { kubernetes } = await kubernetesBinaries();
  const kubectl = (...args: string[]) => run(kubernetes, ['kubectl', `--kubeconfig=${kubeconfigPath}`, ...args]);
  const environment = { env: {}, readFile: (path: string) => readFileSync(path), nowMs: systemClock.wallMs };
  const client = new HttpKubeClient({
    access: findCluster({ kubeconfig: kubeconfigPath }, environment),
    clock: systemClock,
    metrics: { requested: () => {} },
    fieldManager: 'gatesvr-operator',
    userAgent: 'gatesvr-e2e',
  });
  const [namespace, name] = ['games', 'shop-p0'];
  await kubectl('create', 'namespace', namespace);
  for (const object of pairAccess(gateSvrOf({ name: 'shop', namespace }), 0)) {
    await client.create(resourceOf(object), object as KubeObject);
  }
  const [cluster] = parse(readFileSync(kubeconfigPath, 'utf8')).clusters;
  return {
    server: new URL(server),
    authority: Buffer.from(cluster.cluster['certificate-authority-data'], 'base64').toString(),
    token: (await kubectl('create', 'token', name, `--namespace=${namespace}`)).trim(),
    namespace,
    name,
    read: () => client.get<LeaseObject>(leases, namespace, name),
    write: async (object) => {
      await client.replace(leases, object);
    },
    remove: () => client.delete(leases, namespace, name),
  };
}
