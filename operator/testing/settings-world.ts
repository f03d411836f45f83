import type { GateSvr } from '../api/gatesvr.ts';
import type { Zone, ZoneStatusCondition } from '../api/zone.ts';
import type { KubeObject, Resource } from '../kube-api.ts';
import type { ObjectStore } from '../object-store.ts';
import type { Verdict } from '../plan-zones.ts';
import { endpointSlices, gateSvrs, services, zones } from '../resources.ts';
import type { EndpointSlice, Service } from '../zone-endpoints.ts';
import { ApiStore } from './api-store.ts';
import { gateSvrOf, zoneOf } from './defaulted.ts';
import { MemoryKube } from './memory-kube.ts';
import { SettableGateway } from './settable-gateway.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A namespace with one GateSvr "shop", its gateways, and whatever Zones a test makes. */
export class SettingsWorld {
  readonly clock = new VirtualClock();
  #wallMs = Date.parse('2026-01-01T00:00:00Z');
  readonly store = new ApiStore({ wallMs: () => this.#wallMs });
  client = new MemoryKube({ store: this.store });
  gateways = new Map<string, SettableGateway>();
  told: string[] = [];

  /** The GateSvr and its gateways; member a of each pair serves. */
  makeGateSvr(spec: Parameters<typeof gateSvrOf>[1] = {}): void {
    const gateSvr = gateSvrOf({}, spec);
    this.put(gateSvrs, gateSvr);
    for (let index = 0; index < gateSvr.spec.pairs; index += 1) {
      for (const member of ['a', 'b']) {
        const gateway = new SettableGateway(`shop-p${index}-${member}-0`);
        gateway.role = member === 'a' ? 'primary' : 'backup';
        this.gateways.set(gateway.target.podName, gateway);
      }
    }
  }

  makeZone(name: string, spec: Omit<Parameters<typeof zoneOf>[1], 'gateSvrRef'>): void {
    const { metadata, ...rest } = zoneOf({ name }, { gateSvrRef: { name: 'shop' }, ...spec });
    this.put(zones, { ...rest, metadata: { name: metadata.name, namespace: 'games' } });
  }

  /** Makes an object, or changes its spec; each a second after the last. */
  put(resource: Resource, object: KubeObject): void {
    this.#wallMs += 1_000;
    const { name, namespace = 'games' } = object.metadata;
    const there = this.store.get(resource, namespace, name);
    if (there === undefined) this.store.create(resource, object);
    else this.store.replace(resource, { ...there, ...object, metadata: there.metadata } as KubeObject);
  }

  /** A Service "zone-pods" with port grpc, and a slice with these addresses. */
  makeService(
    endpoints: readonly { readonly ip: string; readonly ready?: boolean; readonly serving?: boolean }[],
  ): void {
    const metadata = { name: 'zone-pods', namespace: 'games' };
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { ports: [{ name: 'grpc', port: 80 }] },
    };
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, name: 'zone-pods-x1', labels: { 'kubernetes.io/service-name': 'zone-pods' } },
      ports: [{ name: 'grpc', port: 9001 }],
      endpoints: endpoints.map(({ ip, ...conditions }) => ({ addresses: [ip], conditions })),
    };
    this.put(services, service);
    this.put(endpointSlices, slice);
  }

  get stores() {
    return {
      gateSvrs: this.#view<GateSvr>(gateSvrs),
      zones: this.#view<Zone>(zones),
      services: this.#view<Service>(services),
      endpointSlices: this.#view<EndpointSlice>(endpointSlices),
    };
  }

  #view<T extends KubeObject>(resource: Resource): ObjectStore<T> {
    return {
      get: (namespace, name) => this.store.get<T>(resource, namespace, name),
      list: (namespace) => this.store.list<T>(resource, namespace === undefined ? {} : { namespace }).items,
      synced: true,
      staleMs: () => 0,
    };
  }

  /** What reconcilers of settings are made with. */
  get options() {
    return {
      client: this.client,
      clock: this.clock,
      stores: this.stores,
      gateSvrs: this.stores.gateSvrs,
      findPeer: (_: string, pod: string) => this.gateways.get(pod),
      tell: ({ metadata }: KubeObject, { reason }: Verdict) => {
        this.told.push(`${metadata.name} ${reason}`);
      },
    };
  }

  gateway(pod: string): SettableGateway {
    const gateway = this.gateways.get(pod);
    if (gateway === undefined) throw new Error(`no gateway ${pod}`);
    return gateway;
  }

  gateSvr(): GateSvr | undefined {
    return this.store.get<GateSvr>(gateSvrs, 'games', 'shop');
  }

  zone(name: string): Zone {
    const zone = this.store.get<Zone>(zones, 'games', name);
    if (zone === undefined) throw new Error(`no Zone ${name}`);
    return zone;
  }

  /** "Accepted True Accepted: message" of each condition. */
  conditions(name: string): string[] {
    const of = ({ type, status, reason, message }: ZoneStatusCondition) => `${type} ${status} ${reason}: ${message}`;
    return (this.zone(name).status?.conditions ?? []).map(of);
  }
}
