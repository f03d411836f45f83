import type { GateSvr } from '../api/gatesvr.ts';
import { namesOf, namespaceOf } from './names.ts';

/** A certificate that a GateSvr needs. */
export interface CertificateRequest {
  readonly secretName: string;
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly server: boolean;
  readonly client: boolean;
}

/** Gateways take the role of who calls from such a name (gateway/auth/roles.ts). */
const roleUri = (role: 'peer' | 'operator' | 'zone'): string => `spiffe://cluster.local/gatesvr/${role}`;

/** Every certificate of a GateSvr. The one for clients is not asked for when the user has brought one. */
export function certificateRequests(gateSvr: GateSvr): CertificateRequest[] {
  const names = namesOf(gateSvr);
  const { name } = gateSvr.metadata;
  const namespace = namespaceOf(gateSvr);
  const both = { server: true, client: true };
  const inCluster = (service: string): string[] => [
    service,
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
  ];
  // Every pod of the fleet has a name of its own below the Service of peers.
  const pods = inCluster(`*.${names.peers}`).slice(2);
  const gateway: CertificateRequest = {
    secretName: names.gatewayTls,
    // Not the bare name: a GateSvr may be named like a role.
    commonName: `${name}-gateway`,
    dnsNames: [...pods, ...inCluster(names.upstream)],
    uris: [roleUri('peer')],
    ...both,
  };
  const clients: CertificateRequest = {
    secretName: names.clientTls,
    commonName: names.quic,
    dnsNames: [...inCluster(names.quic), ...pods, 'localhost', ...advertisedHosts(gateSvr)],
    uris: [],
    server: true,
    client: false,
  };
  const role = (secretName: string, of: 'operator' | 'zone'): CertificateRequest => ({
    secretName,
    commonName: `${name}-${of}`,
    dnsNames: [`${secretName}.${namespace}.svc`],
    uris: [roleUri(of)],
    ...both,
  });
  return [
    gateway,
    ...(gateSvr.spec.quic.tlsSecret === undefined ? [clients] : []),
    role(names.operatorTls, 'operator'),
    role(names.zoneTls, 'zone'),
  ];
}

function advertisedHosts({ spec: { quic, pairs } }: GateSvr): string[] {
  const { advertise } = quic;
  if (advertise === undefined || advertise.startsWith('[')) return [];
  const hosts = Array.from({ length: pairs }, (_, index) =>
    advertise.slice(0, advertise.lastIndexOf(':')).replaceAll('{pair}', String(index)),
  );
  return [...new Set(hosts)].filter((host) => !/^[0-9.]+$/.test(host));
}
