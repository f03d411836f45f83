import { mkdirSync } from 'node:fs';
import { type Cluster, type NodeFaults, type Provider, poll, progress } from '../cluster.ts';
import { launchControlPlane } from '../control-plane.ts';
import { isInstalled, run } from '../lib/command.ts';
import { kubernetesBinaries } from '../lib/kubernetes-binary.ts';
import { aptMissing, installPackages } from '../lib/packages.ts';
import { RunFolder } from '../lib/run-folder.ts';
import { clustersMax, localAddresses } from './addresses.ts';
import { dnsAnswers, startDns } from './dns.ts';
import { makeNetwork, setCable } from './network.ts';
import { LocalNode } from './node.ts';
import { makePauseImage } from './pause-image.ts';

/** Debian's packages by a program of each. */
const packages = {
  containerd: 'containerd',
  runc: 'runc',
  iptables: 'iptables',
  conntrack: 'conntrack',
  ip: 'iproute2',
  nsenter: 'util-linux',
  sysctl: 'procps',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
};
const folderPrefix = 'local-';
const readyDeadlineMs = 120_000;

/** Two nodes as processes of this machine, each in a network namespace: for machines without Docker. */
export const localProvider: Provider = {
  name: 'local',
  async missing() {
    if (process.platform !== 'linux') return 'a local cluster needs Linux';
    if (process.getuid?.() !== 0) return 'a local cluster needs root (it makes network namespaces and mounts)';
    if (!(await isInstalled('go'))) return 'a local cluster needs Go 1.24 or newer to build Kubernetes: https://go.dev';
    return aptMissing(packages);
  },
  async up(keep) {
    await installPackages(packages);
    const { kubernetes, pause } = await kubernetesBinaries();
    const numbers = Array.from({ length: clustersMax }, (_, number) => number);
    const folder = await RunFolder.claim(numbers.map((number) => `${folderPrefix}${number}`));
    try {
      await launch(folder, kubernetes, pause);
    } catch (error) {
      await folder.remove();
      throw error;
    }
    if (keep) folder.keep();
    return clusterIn(folder, kubernetes);
  },
  async attach(name) {
    const folder = RunFolder.reopen(name);
    if (folder === undefined) throw new Error(`there is no local cluster ${name}`);
    return clusterIn(folder, (await kubernetesBinaries()).kubernetes);
  },
};

function addressesOf(folder: RunFolder) {
  return localAddresses(Number(folder.name.slice(folderPrefix.length)));
}

function nodesOf(folder: RunFolder): LocalNode[] {
  const addresses = addressesOf(folder);
  return addresses.nodes.map((node) => new LocalNode(folder, addresses, node));
}

async function launch(folder: RunFolder, kubernetes: string, pause: string): Promise<void> {
  const addresses = addressesOf(folder);
  const nodes = nodesOf(folder);
  progress(`starting the local cluster ${folder.name} (${folder.path})`);
  await makeNetwork(folder, addresses);
  for (const node of nodes) node.startContainerd();
  const { host: address, serviceRange } = addresses;
  const settings = { address, serviceRange, controllers: true, scheduler: true };
  const controlPlane = await launchControlPlane(folder, kubernetes, settings);
  const cluster = clusterIn(folder, kubernetes);
  progress('the API server is ready');
  const pauseFolder = folder.file('pause');
  mkdirSync(pauseFolder);
  const pauseArchive = await makePauseImage(pauseFolder, pause);
  for (const node of nodes) {
    await poll('containerd answers', readyDeadlineMs, () => node.answers());
    await node.loadImage(pauseArchive);
    await node.join(kubernetes, controlPlane);
  }
  const dns = await startDns(folder, kubernetes, addresses, controlPlane);
  const [program, ...first] = cluster.kubectl;
  const list = { apiVersion: 'v1', kind: 'List', items: dns.objects };
  await run(program, [...first, 'apply', '-f', '-'], { input: JSON.stringify(list) });
  const template = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}';
  await poll('both nodes are ready', readyDeadlineMs, async () => {
    folder.checkAlive();
    const said = await run(program, [...first, 'get', 'nodes', '-o', `jsonpath=${template}`]);
    return said.trim() === nodes.map(() => 'True').join(' ');
  });
  progress('both nodes are ready');
  await poll('DNS answers', readyDeadlineMs, () => dnsAnswers(addresses, dns.port));
}

function clusterIn(folder: RunFolder, kubernetes: string): Cluster {
  const kubeconfigPath = folder.file('admin.kubeconfig');
  const nodes = nodesOf(folder);
  const nodeNamed = (name: string) => {
    const node = nodes.find((candidate) => candidate.addresses.name === name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  };
  const faults: NodeFaults = {
    cutNode: (name) => setCable(nodeNamed(name).addresses, 'down'),
    joinNode: (name) => setCable(nodeNamed(name).addresses, 'up'),
    async signalContainer(name, containerId, signal) {
      await run(...nodeNamed(name).ctr('tasks', 'kill', '--signal', signal, containerId));
    },
  };
  return {
    provider: 'local',
    name: folder.name,
    kubeconfigPath,
    kubectl: [kubernetes, 'kubectl', `--kubeconfig=${kubeconfigPath}`],
    faults,
    async loadImage(archivePath) {
      await Promise.all(nodes.map((node) => node.loadImage(archivePath)));
    },
    down: () => folder.remove(),
  };
}
