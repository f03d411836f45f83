import type { Zone } from './api/zone.ts';
import type { KubeObject } from './kube-api.ts';

export interface Service extends KubeObject {
  readonly spec: {
    readonly type?: string;
    readonly ports?: readonly { readonly name?: string; readonly port: number }[];
  };
}

export interface EndpointSlice extends KubeObject {
  readonly endpoints?:
    | readonly {
        readonly addresses: readonly string[];
        readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean };
      }[]
    | null;
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
}

/** What of the cluster a Zone may refer to. */
export interface ZoneReferences {
  readonly service: (name: string) => Service | undefined;
  /** The slices of a Service. */
  readonly slices: (serviceName: string) => readonly EndpointSlice[];
}

export interface Endpoint {
  readonly address: string;
  readonly weight: number;
}

export type Resolved =
  | { readonly ok: true; readonly endpoints: readonly Endpoint[]; readonly message: string }
  | { readonly ok: false; readonly reason: string; readonly message: string };

/** As many as a gateway takes of one zone. */
const endpointsMax = 256;

/** The endpoints of a Zone, sorted, or why there are none and what to do. */
export function resolveEndpoints({ metadata, spec }: Zone, references: ZoneReferences): Resolved {
  const { addresses, service } = spec.endpoints;
  if (service === undefined) {
    const endpoints = (addresses ?? []).map(({ address, weight }) => ({ address, weight: weight ?? spec.weight }));
    return found(endpoints, 'static');
  }
  const object = references.service(service.name);
  const field = 'spec.endpoints.service';
  if (object === undefined) {
    const where = `in namespace ${metadata.namespace ?? 'default'}`;
    return missing(
      'ServiceNotFound',
      `${field}.name: there is no Service ${service.name} ${where}: make it, or correct the name`,
    );
  }
  if (object.spec.type === 'ExternalName') {
    return missing(
      'ServiceHasNoEndpoints',
      `${field}.name: Service ${service.name} is an ExternalName: give its host under spec.endpoints.addresses`,
    );
  }
  const ports = object.spec.ports ?? [];
  const port = ports.find(({ name, port: number }) => name === service.port || String(number) === String(service.port));
  if (port === undefined) {
    const known = ports.map(({ name, port: number }) => (name === undefined ? `${number}` : `${name} (${number})`));
    return missing(
      'PortNotFound',
      `${field}.port: Service ${service.name} has no port ${service.port}, only ${known.join(', ')}`,
    );
  }
  const endpoints = addressesOf(references.slices(service.name), port.name ?? '').map((address) => ({
    address,
    weight: spec.weight,
  }));
  if (endpoints.length > 0) return found(endpoints, `ready in Service ${service.name}`);
  return missing(
    'NoEndpoints',
    `Service ${service.name} has no ready endpoints on port ${service.port}: see its pods, and ` +
      `kubectl get endpointslices -l kubernetes.io/service-name=${service.name}`,
  );
}

/** Ready ones; where there are none, those that still serve while they end. */
function addressesOf(slices: readonly EndpointSlice[], portName: string): string[] {
  const all = slices.flatMap(({ endpoints, ports }) => {
    const port = (ports ?? []).find(({ name }) => (name ?? '') === portName)?.port;
    if (port === undefined) return [];
    return (endpoints ?? []).flatMap(({ addresses: [host = ''], conditions }) => ({
      address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      // Not said means ready (EndpointSlice v1).
      ready: conditions?.ready ?? true,
      serving: conditions?.serving ?? conditions?.ready ?? true,
    }));
  });
  const ready = all.filter((endpoint) => endpoint.ready);
  const usable = ready.length > 0 ? ready : all.filter((endpoint) => endpoint.serving);
  return usable.map(({ address }) => address);
}

function found(endpoints: readonly Endpoint[], what: string): Resolved {
  const unique = [...new Map(endpoints.map((endpoint) => [endpoint.address, endpoint])).values()];
  const sorted = unique.sort((a, b) => (a.address < b.address ? -1 : 1));
  const taken = sorted.slice(0, endpointsMax);
  const more = sorted.length > taken.length ? `; a zone has at most ${endpointsMax}, the rest is left out` : '';
  return { ok: true, endpoints: taken, message: `${sorted.length} ${what}${more}` };
}

function missing(reason: string, message: string): Resolved {
  return { ok: false, reason, message };
}
