import { ErrorCode } from '../proto/gen/message.ts';
import type { GateSvr } from './api/gatesvr.ts';
import type { Zone } from './api/zone.ts';
import { type FindPeer, type HeardGateway, membersOfFleet, primariesOf } from './fleet-peers.ts';
import type { KubeClient } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import { errorMessage } from './lib/log.ts';
import type { ObjectStore } from './object-store.ts';
import { planZones, type Verdict, type ZonePlan } from './plan-zones.ts';
import { gateSvrs as gateSvrResource, zones as zoneResource } from './resources.ts';
import type { Requeue } from './work-queue.ts';
import type { EndpointSlice, Service } from './zone-endpoints.ts';
import { type FleetZones, sameStatus, zoneStatus } from './zone-status.ts';

export interface ZoneStores {
  readonly gateSvrs: ObjectStore<GateSvr>;
  readonly zones: ObjectStore<Zone>;
  readonly services: ObjectStore<Service>;
  readonly endpointSlices: ObjectStore<EndpointSlice>;
}

export interface ZoneReconcilerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly stores: ZoneStores;
  readonly findPeer: FindPeer;
  /** Something is wrong with a Zone: for an Event. Called again each time it is looked at. */
  readonly tell: (zone: Zone, problem: Verdict) => void;
}

/** A set of zones, as far as this operator has brought it. */
interface Revision {
  readonly number: number;
  readonly hash: string;
}

/** What a gateway has acknowledged before its next beat says so. */
interface Acknowledged {
  readonly incarnation: string;
  readonly revision: number;
}

const statusManager = 'zones';
const notSyncedMs = 200;
/** A gateway that refuses is asked again after this long. */
const refusedMs = 30_000;
const pausedKey = 'gatesvr.io/reconcile';
const serviceNameKey = 'kubernetes.io/service-name';

/**
 * Brings the zones of a GateSvr to its primaries, as a whole with a revision, and writes into each Zone what came of it. Keys are
 * "NAMESPACE/GATESVR", also of a GateSvr that is not there but that Zones name.
 */
export class ZoneReconciler {
  #options: ZoneReconcilerOptions;
  #revisions = new Map<string, Revision>();
  #acknowledged = new Map<string, Acknowledged>();

  constructor(options: ZoneReconcilerOptions) {
    this.#options = options;
  }

  async handle(key: string, signal: AbortSignal): Promise<Requeue | undefined> {
    const { stores, clock, findPeer } = this.#options;
    if (!Object.values(stores).every((store) => store.synced)) return { requeueAfterMs: notSyncedMs };
    const [namespace = '', name = ''] = key.split('/');
    const found = stores.gateSvrs.get(namespace, name);
    const gateSvr = found?.metadata.deletionTimestamp === undefined ? found : undefined;
    if (gateSvr?.metadata.annotations?.[pausedKey] === 'paused') return undefined;
    const zones = stores.zones.list(namespace).filter(({ spec }) => spec.gateSvrRef.name === name);
    const plan = planZones(gateSvr, zones, this.#references(namespace));
    const members = gateSvr === undefined ? [] : membersOfFleet(gateSvr, findPeer, clock.nowMs());
    const primaries = primariesOf(members);
    if (gateSvr === undefined) this.#forget(key);
    const revision = gateSvr === undefined ? 0 : await this.#revisionOf(key, gateSvr, plan, [...primaries.values()]);
    const { refusal, failure } = await this.#push(namespace, revision, plan, [...primaries.values()]);
    if (signal.aborted) return undefined;
    await this.#report(plan, {
      revision,
      primaries: [...primaries.values()].map(({ pod, status }) => ({ pod, zones: status.zones })),
      pairsWithout: [...new Set(members.map(({ pair }) => pair))].filter((pair) => !primaries.has(pair)),
      refusal,
      wallMs: clock.wallMs(),
    });
    if (failure !== undefined) throw failure;
    return refusal === '' ? undefined : { requeueAfterMs: refusedMs };
  }

  #references(namespace: string): Parameters<typeof planZones>[2] {
    const { services, endpointSlices } = this.#options.stores;
    const slicesOf = Map.groupBy(endpointSlices.list(namespace), ({ metadata }) => metadata.labels?.[serviceNameKey]);
    return {
      service: (name) => services.get(namespace, name),
      slices: (name) => slicesOf.get(name) ?? [],
    };
  }

  #forget(key: string): void {
    this.#revisions.delete(key);
    for (const pod of this.#acknowledged.keys()) {
      if (pod.startsWith(`${key}-p`)) this.#acknowledged.delete(pod);
    }
  }

  /**
   * The number of the wanted set. It is written into the status before any gateway gets it, so that it names one set only,
   * whatever becomes of this process; and it is above all that a gateway has, whoever gave it that.
   */
  async #revisionOf(
    key: string,
    gateSvr: GateSvr,
    plan: ZonePlan,
    primaries: readonly HeardGateway[],
  ): Promise<number> {
    const { zonesRevision = 0, zonesHash = '' } = gateSvr.status ?? {};
    const remembered = this.#revisions.get(key) ?? { number: 0, hash: '' };
    const current = remembered.number > zonesRevision ? remembered : { number: zonesRevision, hash: zonesHash };
    const highest = Math.max(0, ...primaries.map(({ status }) => Number(status.zonesRevision)));
    const isNothing = plan.set.length === 0 && current.number === 0 && highest === 0;
    if (isNothing || (current.hash === plan.hash && highest <= current.number)) return current.number;
    const number = Math.max(current.number, highest) + 1;
    const { name, namespace, uid } = gateSvr.metadata;
    const status = { zonesRevision: number, zonesHash: plan.hash };
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
    const object = { apiVersion: gateSvr.apiVersion, kind: gateSvr.kind, metadata, status };
    await this.#options.client.applyStatus(gateSvrResource, object, statusManager);
    this.#revisions.set(key, { number, hash: plan.hash });
    return number;
  }

  async #push(
    namespace: string,
    revision: number,
    { set }: ZonePlan,
    primaries: readonly HeardGateway[],
  ): Promise<{ refusal: string; failure: unknown }> {
    const refusals: string[] = [];
    let failure: unknown;
    const push = async ({ pod, peer, status }: HeardGateway): Promise<void> => {
      const acknowledged = this.#acknowledged.get(`${namespace}/${pod}`);
      const known = acknowledged?.incarnation === status.incarnation ? acknowledged.revision : 0;
      if (Math.max(known, Number(status.zonesRevision)) === revision) return;
      try {
        const answer = await peer.setZones({ zones: [...set], revision: BigInt(revision) });
        const acknowledgedNow = { incarnation: status.incarnation, revision: Number(answer.revision) };
        if (answer.success) this.#acknowledged.set(`${namespace}/${pod}`, acknowledgedNow);
        else if (answer.error?.code === ErrorCode.ERROR_BAD_MESSAGE) refusals.push(`${pod}: ${answer.error.message}`);
        else throw new Error(answer.error?.message ?? 'refused without a reason');
      } catch (error) {
        failure ??= new Error(`${pod}: ${errorMessage(error)}`, { cause: error });
      }
    };
    await Promise.all(primaries.map(push));
    return { refusal: refusals.join('; '), failure };
  }

  async #report({ planned }: ZonePlan, fleet: FleetZones): Promise<void> {
    for (const each of planned) {
      const { zone, accepted, resolved } = each;
      const problem = [accepted, resolved].find(({ status }) => status === 'False');
      if (problem !== undefined) this.#options.tell(zone, problem);
      const status = zoneStatus(each, fleet);
      if (sameStatus(zone.status, status)) continue;
      const { name, namespace, uid } = zone.metadata;
      const metadata = {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
      };
      await this.#options.client.applyStatus(
        zoneResource,
        { apiVersion: zone.apiVersion, kind: zone.kind, metadata, status },
        statusManager,
      );
    }
  }
}

/** The key of the GateSvr that a Zone belongs to. */
export function keyOfZone({ metadata, spec }: Zone): string {
  return `${metadata.namespace ?? 'default'}/${spec.gateSvrRef.name}`;
}

/** The keys of GateSvrs whose Zones follow this Service, or the Service of this slice. */
export function keysOfService(object: Service | EndpointSlice, zones: ObjectStore<Zone>): string[] {
  const { namespace = 'default', name, labels } = object.metadata;
  const service = object.kind === 'EndpointSlice' ? labels?.[serviceNameKey] : name;
  const followers = zones.list(namespace).filter(({ spec }) => spec.endpoints.service?.name === service);
  return [...new Set(followers.map(keyOfZone))];
}
