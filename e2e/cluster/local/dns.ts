import { Resolver } from 'node:dns/promises';
import { freeTcpPort } from '../../../bench/lib/free-port.ts';
import type { RunningControlPlane } from '../control-plane.ts';
import { kubeconfig } from '../lib/kubeconfig.ts';
import type { RunFolder } from '../lib/run-folder.ts';
import type { LocalAddresses } from './addresses.ts';

const cacheSeconds = 5;

/** CoreDNS as a process beside the API server. @returns its port and what to apply so that pods find it */
export async function startDns(
  folder: RunFolder,
  kubernetes: string,
  addresses: LocalAddresses,
  { authority, server }: RunningControlPlane,
): Promise<{ port: number; objects: readonly object[] }> {
  const port = await freeTcpPort();
  const user = await authority.issue({ commonName: 'system:coredns' });
  const credentials = folder.write('coredns.kubeconfig', kubeconfig(server, authority.credentials.certificate, user));
  const zones = 'cluster.local in-addr.arpa';
  const corefile = folder.write(
    'Corefile',
    `.:${port} {
  bind ${addresses.host}
  errors
  kubernetes ${zones} {
    kubeconfig ${credentials} gatesvr-e2e
    ttl ${cacheSeconds}
  }
}
`,
  );
  folder.start('coredns', kubernetes, ['coredns', '-conf', corefile]);
  return { port, objects: dnsObjects(addresses, port) };
}

function dnsObjects({ host, dnsService }: LocalAddresses, port: number): readonly object[] {
  const metadata = { name: 'kube-dns', namespace: 'kube-system' };
  const named = ['UDP', 'TCP'].map((protocol) => ({ name: `dns-${protocol.toLowerCase()}`, protocol }));
  const readable = { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: ['list', 'watch'] };
  const slices = { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] };
  const rbac = 'rbac.authorization.k8s.io';
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { clusterIP: dnsService, ports: named.map((each) => ({ ...each, port: 53 })) },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kube-dns' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [host], conditions: { ready: true } }],
      ports: named.map((each) => ({ ...each, port })),
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'system:coredns' },
      rules: [readable, slices],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:coredns' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:coredns' },
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'system:coredns' }],
    },
  ];
}

export async function dnsAnswers({ host }: LocalAddresses, port: number): Promise<boolean> {
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([`${host}:${port}`]);
  return resolver.resolve4('kubernetes.default.svc.cluster.local').then(
    (found) => found.length > 0,
    () => false,
  );
}
