import { isIPv6 } from 'node:net';
import { type AccessEnvironment, type ClusterAccess, ClusterAccessError } from './cluster-access.ts';
import { WatchedFile } from './watched-file.ts';

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Whether this process runs in a pod with a service account. */
export function isInCluster({ env }: AccessEnvironment): boolean {
  return (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && (env['KUBERNETES_SERVICE_PORT'] ?? '') !== '';
}

/**
 * The API server as a pod's service account reaches it.
 *
 * @throws ClusterAccessError when token or certificate authority are not mounted
 */
export function inClusterAccess(environment: AccessEnvironment): ClusterAccess {
  const host = environment.env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment.env['KUBERNETES_SERVICE_PORT'] ?? '';
  if (!isInCluster(environment)) {
    throw new ClusterAccessError('KUBERNETES_SERVICE_HOST: not set: expected to run in a pod with a service account');
  }
  const token = new WatchedFile(`${serviceAccountFolder}/token`, environment);
  const ca = new WatchedFile(`${serviceAccountFolder}/ca.crt`, environment);
  const namespace = new WatchedFile(`${serviceAccountFolder}/namespace`, environment);
  return {
    server: new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`),
    namespace: namespace.contents().toString('utf8').trim(),
    connection: async () => ({
      tls: { ca: ca.contents() },
      headers: { authorization: `Bearer ${token.contents().toString('utf8').trim()}` },
    }),
    refused: () => {
      token.expire();
      ca.expire();
    },
  };
}
