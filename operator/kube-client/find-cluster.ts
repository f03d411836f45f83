import { join } from 'node:path';
import { type AccessEnvironment, type ClusterAccess, ClusterAccessError } from './cluster-access.ts';
import { inClusterAccess, isInCluster } from './in-cluster.ts';
import { kubeconfigAccess } from './kubeconfig.ts';

export interface ClusterChoice {
  /** Path of a kubeconfig, or several as in KUBECONFIG. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/**
 * The cluster that is meant: by the given kubeconfig, KUBECONFIG, the pod's service account, ~/.kube/config, in this order.
 *
 * @throws ClusterAccessError
 */
export function findCluster({ kubeconfig, context }: ClusterChoice, environment: AccessEnvironment): ClusterAccess {
  const { env } = environment;
  const paths = kubeconfig || env['KUBECONFIG'];
  if (paths) return kubeconfigAccess({ paths, context }, environment);
  if (context === undefined && isInCluster(environment)) return inClusterAccess(environment);
  const home = env['HOME'];
  if (!home) throw new ClusterAccessError('no cluster: expected --kubeconfig, KUBECONFIG, or to run in a pod');
  return kubeconfigAccess({ paths: join(home, '.kube', 'config'), context }, environment);
}
