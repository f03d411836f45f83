import { existsSync } from 'node:fs';
import { type Cluster, type Provider, progress } from './cluster.ts';
import { CommandError, isInstalled, run } from './lib/command.ts';

/** The cluster of KUBECONFIG: nothing is done to its nodes, and the images have to be where its nodes find them. */
export const existingProvider: Provider = {
  name: 'existing',
  async missing() {
    const path = process.env.KUBECONFIG;
    if (path === undefined || path === '') return 'an existing cluster is named by KUBECONFIG, which is not set';
    if (!existsSync(path)) return `KUBECONFIG: ${path}: no such file`;
    return (await isInstalled('kubectl')) ? undefined : 'an existing cluster needs kubectl: https://kubernetes.io';
  },
  async up() {
    const cluster = existing();
    const [program, ...first] = cluster.kubectl;
    progress(`using the cluster of ${cluster.kubeconfigPath}`);
    await run(program, [...first, 'get', '--raw', '/readyz']).catch((error: CommandError) => {
      throw new CommandError(`the cluster of KUBECONFIG does not answer: ${error.message}`, error.status, error);
    });
    return cluster;
  },
  attach: async () => existing(),
};

function existing(): Cluster {
  const kubeconfigPath = process.env.KUBECONFIG ?? '';
  return {
    provider: 'existing',
    name: 'existing',
    kubeconfigPath,
    kubectl: ['kubectl', `--kubeconfig=${kubeconfigPath}`],
    down: async () => {},
  };
}
