import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { type Cluster, type NodeFaults, type Provider, progress } from './cluster.ts';
import { isInstalled, run } from './lib/command.ts';
import { RunFolder } from './lib/run-folder.ts';

const upDeadlineMs = 10 * 60_000;
const namePrefix = 'kind-';

/** One node for the control plane and two for pods, in different zones. */
const config = stringify({
  kind: 'Cluster',
  apiVersion: 'kind.x-k8s.io/v1alpha4',
  nodes: [
    { role: 'control-plane' },
    { role: 'worker', labels: { 'topology.kubernetes.io/zone': 'a' } },
    { role: 'worker', labels: { 'topology.kubernetes.io/zone': 'b' } },
  ],
});

/** A cluster of containers, where Docker runs. */
export const kindProvider: Provider = {
  name: 'kind',
  async missing() {
    if (!(await isInstalled('docker'))) return 'kind needs Docker, which is not installed: https://docs.docker.com';
    const answers = await run('docker', ['version', '--format', '{{.Server.Version}}']).catch(() => undefined);
    if (answers === undefined) return 'kind needs Docker, whose engine does not answer (docker version)';
    if (!(await isInstalled('kind')))
      return 'kind is not installed: https://kind.sigs.k8s.io (go install sigs.k8s.io/kind)';
    return (await isInstalled('kubectl')) ? undefined : 'kind needs kubectl: https://kubernetes.io';
  },
  async up(keep) {
    const folder = await RunFolder.claim([`${namePrefix}${randomBytes(3).toString('hex')}`]);
    const cluster = clusterIn(folder);
    progress(`making the kind cluster ${folder.name}`);
    const named = ['--name', folder.name, '--kubeconfig', cluster.kubeconfigPath];
    folder.undoWith('kind', 'delete', 'cluster', ...named);
    try {
      const wait = ['--wait', `${upDeadlineMs / 1000}s`];
      await run('kind', ['create', 'cluster', ...named, '--config', '-', ...wait], {
        input: config,
        deadlineMs: upDeadlineMs,
      });
    } catch (error) {
      await folder.remove();
      throw error;
    }
    if (keep) folder.keep();
    return cluster;
  },
  async attach(name) {
    const folder = RunFolder.reopen(name);
    if (folder === undefined) throw new Error(`there is no kind cluster ${name}`);
    return clusterIn(folder);
  },
};

/** kind's nodes are containers of the same names. */
const faults: NodeFaults = {
  async cutNode(node) {
    await run('docker', ['network', 'disconnect', 'kind', node]);
  },
  async joinNode(node) {
    await run('docker', ['network', 'connect', 'kind', node]);
  },
  async signalContainer(node, containerId, signal) {
    const kill = ['ctr', '--namespace', 'k8s.io', 'tasks', 'kill', '--signal', signal, containerId];
    await run('docker', ['exec', node, ...kill]);
  },
};

function clusterIn(folder: RunFolder): Cluster {
  const kubeconfigPath = folder.file('admin.kubeconfig');
  return {
    provider: 'kind',
    name: folder.name,
    kubeconfigPath,
    kubectl: ['kubectl', `--kubeconfig=${kubeconfigPath}`],
    faults,
    async loadImage(archivePath) {
      await run('kind', ['load', 'image-archive', archivePath, '--name', folder.name]);
    },
    down: () => folder.remove(),
  };
}
