/**
 * etcd and an API server (with controllers and a scheduler when asked) as processes on this machine, for tests that need the
 * real Kubernetes API and no nodes.
 */

import { randomBytes } from 'node:crypto';
import { request } from 'node:https';
import { freeTcpPort } from '../../bench/lib/free-port.ts';
import { kubeconfig } from './lib/kubeconfig.ts';
import { kubernetesBinaries } from './lib/kubernetes-binary.ts';
import { Authority, type Credentials, makeSigningKey } from './lib/pki.ts';
import { RunFolder } from './lib/run-folder.ts';

export interface ControlPlaneOptions {
  /** With the controller-manager: StatefulSets make pods, EndpointSlices follow Services, orphans are collected. */
  readonly controllers?: boolean;
}

export interface ControlPlane {
  /** Of a user who may do everything. */
  readonly kubeconfigPath: string;
  /** `https://127.0.0.1:PORT` */
  readonly server: string;
  stop(): Promise<void>;
}

/** How the pieces of one control plane are reached; the local node has addresses of its own. */
export interface ControlPlaneSettings {
  /** Where the API server listens. */
  readonly address: string;
  readonly serviceRange: string;
  readonly controllers: boolean;
  readonly scheduler: boolean;
}

export interface RunningControlPlane extends Omit<ControlPlane, 'stop'> {
  readonly authority: Authority;
  readonly admin: Credentials;
}

const readyDeadlineMs = 90_000;
const pollMs = 100;
const startsMax = 3;

/** Ready in about 4 s once the binary is built. @throws Error in one line when it cannot be built; with the log when it does not start */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { kubernetes } = await kubernetesBinaries();
  const { controllers = false } = options;
  const settings = { address: '127.0.0.1', serviceRange: '198.19.0.0/24', controllers, scheduler: false };
  for (let attempt = 1; ; attempt += 1) {
    const folder = await RunFolder.claim([`control-plane-${randomBytes(6).toString('hex')}`]);
    try {
      const { kubeconfigPath, server } = await launchControlPlane(folder, kubernetes, settings);
      return { kubeconfigPath, server, stop: () => folder.remove() };
    } catch (error) {
      await folder.remove();
      // Somebody took a port between our asking for it and its use.
      const portTaken = error instanceof Error && error.message.includes('address already in use');
      if (!portTaken || attempt === startsMax) throw error;
    }
  }
}

/** Starts the processes in this folder and waits until the API server is ready. */
export async function launchControlPlane(
  folder: RunFolder,
  kubernetes: string,
  settings: ControlPlaneSettings,
): Promise<RunningControlPlane> {
  const { address } = settings;
  const etcdPort = await freeTcpPort();
  const peerPort = await freeTcpPort();
  const apiPort = await freeTcpPort();
  const authority = await Authority.make('gatesvr-e2e');
  await writeCredentials(folder, authority, settings);
  const etcd = `http://127.0.0.1:${etcdPort}`;
  folder.start('etcd', kubernetes, ['etcd', ...etcdFlags(folder, etcd, `http://127.0.0.1:${peerPort}`)]);
  folder.start('kube-apiserver', kubernetes, ['kube-apiserver', ...apiServerFlags(folder, etcd, apiPort, settings)]);
  const server = `https://${address}:${apiPort}`;
  const admin = await authority.issue({ commonName: 'admin', organization: 'system:masters' });
  const configFor = (user: Credentials) => kubeconfig(server, authority.credentials.certificate, user);
  const kubeconfigPath = folder.write('admin.kubeconfig', configFor(admin));
  const manager = await authority.issue({ commonName: 'system:kube-controller-manager' });
  const scheduler = await authority.issue({ commonName: 'system:kube-scheduler' });
  folder.write('kube-controller-manager.kubeconfig', configFor(manager));
  folder.write('kube-scheduler.kubeconfig', configFor(scheduler));
  await untilReady(folder, server, authority, admin);
  if (settings.controllers) {
    const flags = controllerManagerFlags(folder, await freeTcpPort());
    folder.start('kube-controller-manager', kubernetes, ['kube-controller-manager', ...flags]);
  }
  if (settings.scheduler) {
    const config = `--kubeconfig=${folder.file('kube-scheduler.kubeconfig')}`;
    const flags = [config, '--leader-elect=false', '--bind-address=127.0.0.1', `--secure-port=${await freeTcpPort()}`];
    folder.start('kube-scheduler', kubernetes, ['kube-scheduler', ...flags]);
  }
  return { kubeconfigPath, server, authority, admin };
}

async function writeCredentials(
  folder: RunFolder,
  authority: Authority,
  settings: ControlPlaneSettings,
): Promise<void> {
  const { address, serviceRange } = settings;
  const firstService = serviceRange.replace(/\.\d+\/\d+$/, '.1');
  const dnsNames = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
  ];
  const names = ['localhost', ...dnsNames];
  const addresses = [...new Set(['127.0.0.1', address, firstService])];
  const server = await authority.issue({ commonName: 'kube-apiserver', names, addresses });
  const toKubelet = { commonName: 'kube-apiserver-kubelet-client', organization: 'system:masters' };
  const pairs = { ca: authority.credentials, apiserver: server, 'kubelet-client': await authority.issue(toKubelet) };
  for (const [name, { certificate, privateKey }] of Object.entries(pairs)) {
    folder.write(`pki/${name}.crt`, certificate);
    folder.write(`pki/${name}.key`, privateKey);
  }
  const { publicKey, privateKey } = makeSigningKey();
  folder.write('pki/service-accounts.pub', publicKey);
  folder.write('pki/service-accounts.key', privateKey);
}

function etcdFlags(folder: RunFolder, client: string, peer: string): string[] {
  return [
    '--name=e2e',
    `--data-dir=${folder.file('etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=e2e=${peer}`,
    // Nothing of it is wanted after a crash of the machine.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

function apiServerFlags(folder: RunFolder, etcd: string, port: number, settings: ControlPlaneSettings): string[] {
  const pki = (name: string) => folder.file('pki', name);
  const { address, serviceRange } = settings;
  // Kubernetes refuses loopback as an endpoint of its own Service.
  const isReachable = address !== '127.0.0.1';
  return [
    `--etcd-servers=${etcd}`,
    `--bind-address=${address}`,
    `--secure-port=${port}`,
    isReachable ? `--advertise-address=${address}` : '--endpoint-reconciler-type=none',
    `--service-cluster-ip-range=${serviceRange}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--client-ca-file=${pki('ca.crt')}`,
    `--tls-cert-file=${pki('apiserver.crt')}`,
    `--tls-private-key-file=${pki('apiserver.key')}`,
    `--kubelet-certificate-authority=${pki('ca.crt')}`,
    `--kubelet-client-certificate=${pki('kubelet-client.crt')}`,
    `--kubelet-client-key=${pki('kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${pki('service-accounts.pub')}`,
    `--service-account-signing-key-file=${pki('service-accounts.key')}`,
  ];
}

function controllerManagerFlags(folder: RunFolder, port: number): string[] {
  const pki = (name: string) => folder.file('pki', name);
  return [
    `--kubeconfig=${folder.file('kube-controller-manager.kubeconfig')}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--use-service-account-credentials',
    `--root-ca-file=${pki('ca.crt')}`,
    `--service-account-private-key-file=${pki('service-accounts.key')}`,
    `--cluster-signing-cert-file=${pki('ca.crt')}`,
    `--cluster-signing-key-file=${pki('ca.key')}`,
  ];
}

async function untilReady(folder: RunFolder, server: string, authority: Authority, admin: Credentials): Promise<void> {
  const untilMs = performance.now() + readyDeadlineMs;
  for (;;) {
    if (await isReady(`${server}/readyz`, authority, admin)) return;
    folder.checkAlive();
    if (performance.now() > untilMs) throw new Error(`the API server is not ready after ${readyDeadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function isReady(url: string, authority: Authority, { certificate, privateKey }: Credentials): Promise<boolean> {
  return new Promise((resolve) => {
    const ca = authority.credentials.certificate;
    const options = { ca, cert: certificate, key: privateKey, agent: false, timeout: 2_000 };
    const asked = request(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}
