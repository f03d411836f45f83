import { mkdirSync } from 'node:fs';
import { stringify } from 'yaml';
import type { RunningControlPlane } from '../control-plane.ts';
import { makeCgroup } from '../lib/cgroups.ts';
import { run } from '../lib/command.ts';
import { kubeconfig } from '../lib/kubeconfig.ts';
import type { RunFolder } from '../lib/run-folder.ts';
import type { LocalAddresses, NodeAddresses } from './addresses.ts';
import { inNamespace } from './network.ts';
import { pauseImage } from './pause-image.ts';

const cniPlugins = '/usr/lib/cni';
const podsMax = 60;

/** One node of a local cluster: containerd, kubelet and kube-proxy with files and sockets of their own. */
export class LocalNode {
  readonly addresses: NodeAddresses;
  #folder: RunFolder;
  #cluster: LocalAddresses;

  constructor(folder: RunFolder, cluster: LocalAddresses, addresses: NodeAddresses) {
    this.#folder = folder;
    this.#cluster = cluster;
    this.addresses = addresses;
  }

  /** A containerd client's arguments for this node. */
  ctr(...args: string[]): [string, string[]] {
    return ['ctr', ['--address', this.#file('containerd.sock'), '--namespace', 'k8s.io', ...args]];
  }

  startContainerd(): void {
    mkdirSync(this.#file('tmp'), { recursive: true });
    this.#folder.write(`${this.addresses.name}/cni/10-bridge.conflist`, JSON.stringify(this.#cni()));
    const config = this.#folder.write(`${this.addresses.name}/containerd.toml`, this.#containerdConfig());
    this.#start('containerd', ['containerd', '--config', config]);
  }

  /** @returns whether containerd answers */
  async answers(): Promise<boolean> {
    return run(...this.ctr('version')).then(
      () => true,
      () => false,
    );
  }

  async loadImage(archivePath: string): Promise<void> {
    await run(...this.ctr('images', 'import', archivePath));
  }

  /** containerd must answer by now. @param kubernetes the binary */
  async join(kubernetes: string, controlPlane: RunningControlPlane): Promise<void> {
    const { name, address, cgroup } = this.addresses;
    const { authority, server } = controlPlane;
    const ca = authority.credentials.certificate;
    const subject = { commonName: `system:node:${name}`, organization: 'system:nodes', names: [name] };
    const node = await authority.issue({ ...subject, addresses: [address] });
    const proxy = await authority.issue({ commonName: 'system:kube-proxy' });
    const write = (file: string, content: string) => this.#folder.write(`${name}/${file}`, content);
    write('kubelet.crt', node.certificate);
    write('kubelet.key', node.privateKey);
    // The one of the machine names servers that cannot be reached from here.
    write('resolv.conf', '');
    const config = write('kubelet.yaml', stringify(this.#kubeletConfig()));
    const credentials = write('kubelet.kubeconfig', kubeconfig(server, ca, node));
    write('kube-proxy.kubeconfig', kubeconfig(server, ca, proxy));
    const proxyConfig = write('kube-proxy.yaml', stringify(this.#proxyConfig()));
    this.#folder.ownsCgroup(cgroup);
    makeCgroup(cgroup);
    this.#start('kubelet', [
      kubernetes,
      'kubelet',
      `--config=${config}`,
      `--kubeconfig=${credentials}`,
      `--root-dir=${this.#file('kubelet')}`,
      `--cert-dir=${this.#file('kubelet-certificates')}`,
      `--hostname-override=${name}`,
      `--node-ip=${address}`,
      `--node-labels=topology.kubernetes.io/zone=${name}`,
    ]);
    this.#start('kube-proxy', [kubernetes, 'kube-proxy', `--config=${proxyConfig}`]);
  }

  #file(...parts: string[]): string {
    return this.#folder.file(this.addresses.name, ...parts);
  }

  #start(name: string, command: readonly string[]): void {
    const [program, args] = inNamespace(this.addresses, command);
    this.#folder.start(`${this.addresses.name}-${name}`, program, args, { TMPDIR: this.#file('tmp') });
  }

  #cni() {
    const { podRange } = this.addresses;
    return {
      cniVersion: '1.0.0',
      name: 'pods',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isDefaultGateway: true,
          hairpinMode: true,
          ipam: { type: 'host-local', ranges: [[{ subnet: podRange }]], dataDir: this.#file('cni-addresses') },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    };
  }

  #containerdConfig(): string {
    const text = (value: string) => JSON.stringify(value);
    return `version = 2
root = ${text(this.#file('containerd'))}
state = ${text(this.#file('containerd-state'))}
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
address = ${text(this.#file('containerd.sock'))}
[plugins."io.containerd.internal.v1.opt"]
path = ${text(this.#file('containerd-opt'))}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${pauseImage}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${cniPlugins}"
conf_dir = ${text(this.#file('cni'))}
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
`;
  }

  #kubeletConfig() {
    return {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      authentication: { anonymous: { enabled: false }, x509: { clientCAFile: this.#folder.file('pki', 'ca.crt') } },
      authorization: { mode: 'Webhook' },
      address: this.addresses.address,
      readOnlyPort: 0,
      tlsCertFile: this.#file('kubelet.crt'),
      tlsPrivateKeyFile: this.#file('kubelet.key'),
      containerRuntimeEndpoint: `unix://${this.#file('containerd.sock')}`,
      clusterDomain: 'cluster.local',
      clusterDNS: [this.#cluster.dnsService],
      resolvConf: this.#file('resolv.conf'),
      cgroupDriver: 'cgroupfs',
      cgroupRoot: `/${this.addresses.cgroup}`,
      failCgroupV1: false,
      failSwapOn: false,
      // Machines in CI lack the right to set kernel variables and oom scores.
      featureGates: { KubeletInUserNamespace: true },
      enforceNodeAllocatable: [],
      // A full disk of the machine is not what is tested.
      evictionHard: {},
      imageGCHighThresholdPercent: 100,
      maxPods: podsMax,
      podLogsDir: this.#file('pod-logs'),
      volumePluginDir: this.#file('volume-plugins'),
    };
  }

  #proxyConfig() {
    const { name, address } = this.addresses;
    return {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      clientConnection: { kubeconfig: this.#file('kube-proxy.kubeconfig') },
      mode: 'iptables',
      hostnameOverride: name,
      bindAddress: address,
      clusterCIDR: this.#cluster.podRange,
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    };
  }
}
