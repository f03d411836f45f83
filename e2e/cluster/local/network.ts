import { run } from '../lib/command.ts';
import type { RunFolder } from '../lib/run-folder.ts';
import type { LocalAddresses, NodeAddresses } from './addresses.ts';

/** A bridge, and for each node a network namespace with a cable to it; routes to each other's pods. */
export async function makeNetwork(folder: RunFolder, addresses: LocalAddresses): Promise<void> {
  const { bridge, host, serviceRange, nodes } = addresses;
  folder.undoWith('ip', 'link', 'delete', bridge);
  await ip('link', 'add', bridge, 'type', 'bridge');
  await ip('address', 'add', `${host}/24`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
  for (const node of nodes) await makeNodeNetwork(folder, addresses, node);
  // Clients on this machine reach Services through the first node.
  for (const node of nodes) await ip('route', 'add', node.podRange, 'via', node.address);
  await ip('route', 'add', serviceRange, 'via', nodes[0]?.address ?? '');
}

async function makeNodeNetwork(folder: RunFolder, addresses: LocalAddresses, node: NodeAddresses): Promise<void> {
  const { networkNamespace, cable, address } = node;
  folder.undoWith('ip', 'netns', 'delete', networkNamespace);
  await ip('netns', 'add', networkNamespace);
  const inside = (...args: string[]) => ip('-netns', networkNamespace, ...args);
  folder.undoWith('ip', 'link', 'delete', cable);
  await ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', networkNamespace);
  await ip('link', 'set', cable, 'master', addresses.bridge, 'up');
  await inside('link', 'set', 'lo', 'up');
  await inside('address', 'add', `${address}/24`, 'dev', 'eth0');
  await inside('link', 'set', 'eth0', 'up');
  await inside('route', 'add', 'default', 'via', addresses.host);
  for (const other of addresses.nodes) {
    if (other !== node) await inside('route', 'add', other.podRange, 'via', other.address);
  }
  await run(...inNamespace(node, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0']));
}

function ip(...args: string[]): Promise<string> {
  return run('ip', args);
}

/** Only the network is the node's: `ip netns exec` would also mount /sys anew, and a kubelet would find no cgroups there. */
export function inNamespace(node: NodeAddresses, command: readonly string[]): [string, string[]] {
  return ['nsenter', [`--net=/run/netns/${node.networkNamespace}`, ...command]];
}

export async function setCable(node: NodeAddresses, state: 'up' | 'down'): Promise<void> {
  await ip('link', 'set', node.cable, state);
}
