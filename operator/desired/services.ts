import { isIPv6 } from 'node:net';
import type { GateSvr } from '../api/gatesvr.ts';
import { type DesiredObject, managedBy, metadataOf, namesOf, ports, selectorLabels } from './names.ts';

/** The pod that serves a pair, as its endpoint is written. */
export interface PrimaryPod {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly nodeName: string;
  /** Label topology.kubernetes.io/zone of the node, when it is known. */
  readonly zone?: string;
}

const tcp = (name: string, port: number) => ({ name, protocol: 'TCP', port, targetPort: port });

/** Where clients and zones reach the primaries. No selector: the operator writes the endpoints. */
export function services(gateSvr: GateSvr): DesiredObject[] {
  const names = namesOf(gateSvr);
  return [
    quicService(gateSvr),
    service(gateSvr, names.upstream, { type: 'ClusterIP', ports: [tcp('grpc', ports.grpc)] }),
    service(gateSvr, names.peers, {
      clusterIP: 'None',
      // A pair speaks to each other before either is ready.
      publishNotReadyAddresses: true,
      selector: selectorLabels(gateSvr),
      ports: [
        tcp('http', ports.http),
        tcp('grpc', ports.grpc),
        tcp('metrics', ports.metrics),
        tcp('heartbeat', ports.heartbeat),
        tcp('sync', ports.sync),
      ],
    }),
  ];
}

function quicService(gateSvr: GateSvr): DesiredObject {
  const { port, serviceType, nodePort, loadBalancerClass, externalTrafficPolicy, annotations } = gateSvr.spec.quic;
  const clientPort = { name: 'quic', protocol: 'UDP', port, targetPort: ports.quic };
  const spec = {
    type: serviceType,
    ports: [nodePort === undefined ? clientPort : { ...clientPort, nodePort }],
    ...(serviceType === 'ClusterIP' ? {} : { externalTrafficPolicy }),
    ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
  };
  return service(gateSvr, namesOf(gateSvr).quic, spec, annotations);
}

function service(
  gateSvr: GateSvr,
  name: string,
  spec: object,
  annotations?: Readonly<Record<string, string>>,
): DesiredObject {
  const metadata = metadataOf(gateSvr, name, annotations === undefined ? {} : { annotations });
  return { apiVersion: 'v1', kind: 'Service', metadata, spec };
}

/**
 * The endpoints of one pair behind the two Services without selector, the clients' first: one object each, so that a flip is
 * one write for clients.
 * @param primary undefined: nobody serves
 * @param family of the addresses when nobody serves; an EndpointSlice cannot change it
 */
export function desiredPairSlices(
  gateSvr: GateSvr,
  pairIndex: number,
  primary: PrimaryPod | undefined,
  family: 'IPv4' | 'IPv6' = 'IPv4',
): DesiredObject[] {
  const { quic, upstream, pair } = namesOf(gateSvr);
  const slice = (serviceName: string, suffix: string, port: object): DesiredObject => {
    const addressType = primary === undefined ? family : isIPv6(primary.ip) ? 'IPv6' : 'IPv4';
    const name = `${pair(pairIndex)}-${suffix}${addressType === 'IPv6' ? '-v6' : ''}`;
    const labels = {
      ...selectorLabels(gateSvr, pairIndex),
      'kubernetes.io/service-name': serviceName,
      // Not the controller's: it leaves the slices of others alone.
      'endpointslice.kubernetes.io/managed-by': managedBy,
    };
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: metadataOf(gateSvr, name, { labels }),
      addressType,
      endpoints: primary === undefined ? [] : [endpoint(gateSvr, primary)],
      ports: [port],
    };
  };
  return [
    slice(quic, 'quic', { name: 'quic', protocol: 'UDP', port: ports.quic }),
    slice(upstream, 'upstream', { name: 'grpc', protocol: 'TCP', port: ports.grpc }),
  ];
}

function endpoint(gateSvr: GateSvr, primary: PrimaryPod): object {
  const { namespace } = metadataOf(gateSvr, primary.name);
  return {
    addresses: [primary.ip],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: primary.nodeName,
    ...(primary.zone === undefined ? {} : { zone: primary.zone }),
    targetRef: { kind: 'Pod', name: primary.name, namespace, uid: primary.uid },
  };
}
