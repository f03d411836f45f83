// Generated from crds/gatesvr.io_zones.yaml: npm run generate. Do not edit.
import type { KubeObject } from '../kube-api.ts';

/** Where the requests of one zone of users go. */
export interface Zone extends KubeObject {
  readonly apiVersion: 'gatesvr.io/v1alpha1';
  readonly kind: 'Zone';
  readonly spec: ZoneSpec;
  readonly status?: ZoneStatus;
}

export interface ZoneSpec {
  /** The fleet, in the same namespace. */
  readonly gateSvrRef: ZoneSpecGateSvrRef;
  /** Number of the zone: 001 to the GateSvr's zoneCount. */
  readonly zoneId: string;
  /** Servers of the zone: static addresses, or a Service whose endpoints are followed. */
  readonly endpoints: ZoneSpecEndpoints;
  /** Share of the requests of each endpoint that has no weight of its own. */
  readonly weight: number;
}

export interface ZoneSpecGateSvrRef {
  /** Name of the GateSvr. */
  readonly name: string;
}

export interface ZoneSpecEndpoints {
  /** Addresses that do not change by themselves. */
  readonly addresses?: readonly ZoneSpecEndpointsAddresse[];
  /** A Service in the same namespace. Its ready endpoints are followed, so a headless one will do. */
  readonly service?: ZoneSpecEndpointsService;
}

export interface ZoneSpecEndpointsAddresse {
  /** HOST:PORT of a zone's gRPC server. */
  readonly address: string;
  /** Its share of the requests; the Zone's when it is not given. */
  readonly weight?: number;
}

export interface ZoneSpecEndpointsService {
  /** Name of the Service. */
  readonly name: string;
  /** Number or name of the Service's port. */
  readonly port: string | number;
}

export interface ZoneStatus {
  /** Generation of the spec that this status is about. */
  readonly observedGeneration?: number;
  /** Healthy endpoints of all, as 2/3. */
  readonly healthy?: string;
  /** Revision of the fleet's set of zones that has this Zone as it is. */
  readonly revision?: number;
  /** Endpoints that the gateways were given. */
  readonly endpoints?: readonly ZoneStatusEndpoint[];
  /** What each primary has acknowledged. */
  readonly gateways?: readonly ZoneStatusGateway[];
  /** Accepted: the Zone is valid and its number is its own. ResolvedRefs: the GateSvr and the Service are there and have endpoints. Programmed: every primary has it. */
  readonly conditions?: readonly ZoneStatusCondition[];
}

export interface ZoneStatusEndpoint {
  /** HOST:PORT. */
  readonly address: string;
  /** Whether every primary that has it finds it healthy. */
  readonly healthy: boolean;
  /** Pods that do not find it healthy. */
  readonly unhealthyAt?: readonly string[];
}

export interface ZoneStatusGateway {
  /** Name of the primary. */
  readonly pod: string;
  /** Revision of the set of zones that it has. */
  readonly revision: number;
}

export interface ZoneStatusCondition {
  /** What it is about. */
  readonly type: string;
  /** Whether it holds. */
  readonly status: 'True' | 'False' | 'Unknown';
  /** Generation of the spec that it is about. */
  readonly observedGeneration?: number;
  /** When the status changed last. */
  readonly lastTransitionTime: string;
  /** Why, as one word. */
  readonly reason: string;
  /** Why, and what to do. */
  readonly message: string;
}
