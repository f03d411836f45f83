import type { GateSvrStatusPair } from './api/gatesvr.ts';
import { contains } from './apply.ts';
import { labelKeys, namesOf, namespaceOf } from './desired/names.ts';
import { desiredPairSlices } from './desired/services.ts';
import type { EventInput } from './events.ts';
import { KubeApiError, type KubeObject } from './kube-api.ts';
import { type PromotionReason, promotionReasonOf } from './lease-content.ts';
import { type ObservedPair, projectedEpochKey } from './observe-pair.ts';
import type { OperatorContext } from './operator-context.ts';
import { type Promotion, pairStatus } from './pair-status.ts';
import { holderOf, introducedAtMs, memberByPod } from './pair-view.ts';
import { labelsToWrite, type Projection, projectionOf } from './plan-projection.ts';
import { endpointSlices, pods } from './resources.ts';

/** Details of a pair's status are written no more often than this. */
const detailsMs = 1_000;

interface Slice extends KubeObject {
  readonly endpoints?: readonly object[];
}

/** What a person and the rest of the cluster see of a pair follows from its Lease; each write may be repeated. */
export class PairProjection {
  #context: OperatorContext;

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  /** The EndpointSlices that are not as the Lease says. */
  #slicesToWrite({ gateSvr, index, view }: ObservedPair, projection: Projection): Slice[] {
    const { objects } = this.#context;
    const namespace = namespaceOf(gateSvr);
    const family = this.#isIpv6(gateSvr, index) ? 'IPv6' : 'IPv4';
    const { primary } = projection;
    const holder = holderOf(view);
    const pod = primary && {
      name: primary.podName,
      uid: primary.podUid,
      ip: primary.ip,
      nodeName: primary.nodeName,
      ...(holder?.node === undefined || holder.node.zone === '' ? {} : { zone: holder.node.zone }),
    };
    return desiredPairSlices(gateSvr, index, pod, family).flatMap((desired) => {
      const observed = objects.get<Slice>(endpointSlices, namespace, desired.metadata.name);
      const slice = projected(desired as unknown as Slice, projection);
      if (observed === undefined) return [slice];
      const differs =
        !contains(observed, slice) || (observed.endpoints?.length ?? 0) !== (slice.endpoints?.length ?? 0);
      const isBehind = Number(observed.metadata.annotations?.[projectedEpochKey] ?? 0) > projection.epoch;
      const { resourceVersion } = observed.metadata;
      if (!differs || isBehind || resourceVersion === undefined) return [];
      return [{ ...slice, metadata: { ...slice.metadata, resourceVersion } }];
    });
  }

  /** Whether anything is left to write for the Lease as it is. */
  isDone(pair: ObservedPair): boolean {
    const projection = projectionOf(pair.view);
    if (projection === undefined) return true;
    const { status, lease } = pair.view;
    const slices = this.#slicesToWrite(pair, projection);
    return slices.length === 0 && labelsToWrite(pair.view).length === 0 && status.epoch === lease?.epoch;
  }

  /**
   * Slices, then labels. Clients are led by the slices alone, so these are written first and at the same time.
   * @throws KubeApiError; 409 when somebody wrote meanwhile
   */
  async project(pair: ObservedPair): Promise<void> {
    const projection = projectionOf(pair.view);
    if (projection === undefined) return;
    const { client, objects } = this.#context;
    const namespace = namespaceOf(pair.gateSvr);
    const writing = this.#slicesToWrite(pair, projection).map(async (slice) => {
      objects.wrote(endpointSlices, await client.apply(endpointSlices, slice));
    });
    const failed = (await Promise.allSettled(writing)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    for (const { podName, podUid, role } of labelsToWrite(pair.view)) {
      const patch = { metadata: { uid: podUid, labels: { [labelKeys.role]: role } } };
      try {
        objects.wrote(pods, await client.patch(pods, namespace, podName, patch));
      } catch (error) {
        // The pod is gone, or another one: its label is nobody's concern any more.
        if (!(error instanceof KubeApiError && [404, 409, 422].includes(error.status))) throw error;
      }
    }
  }

  /** What happened since status was written last: told once, whoever tells it. */
  async report(pair: ObservedPair, options: { target: string | undefined; failing: boolean }): Promise<void> {
    const { status, events, observer, metrics, clock } = this.#context;
    const { gateSvr, index, view } = pair;
    const promotion = this.#promotionOf(pair);
    if (promotion !== undefined && view.lease !== undefined) {
      events.tell(gateSvr, promotionEvent(pair, promotion.reason));
      const memory = observer.memoryOf(gateSvr, index);
      if (promotion.reason === 'Failover') memory.lastFailoverMs ??= clock.nowMs();
      const { failover } = memory;
      if (failover?.epoch === view.lease.epoch) metrics.failedOver(failover.times, clock.nowMs());
      memory.failover = undefined;
    }
    const before = this.#entryOf(pair);
    const name = `p${index}`;
    const statusOf = (podName: string) =>
      observer.peerOf(namespaceOf(gateSvr), podName)?.observation(view.nowMs).status;
    const entry = pairStatus(view, before, { ...options, name, promotion, statusOf });
    const memory = observer.memoryOf(gateSvr, index);
    const isUrgent = before === undefined || !contains(before, { ...entry, members: undefined, inSync: undefined });
    // What links say changes often, and two operators may hear different things.
    const detailsDueMs = Math.max(introducedAtMs(view), memory.statusWrittenMs + detailsMs);
    memory.statusDueMs = isUrgent || contains(before, entry) ? 0 : detailsDueMs;
    if (!isUrgent && view.nowMs < memory.statusDueMs) return;
    memory.statusDueMs = 0;
    if (await status.writePair(gateSvr, entry)) memory.statusWrittenMs = clock.nowMs();
  }

  /** Why the Lease's epoch is another than the one in status; undefined when it is not, or when nobody was promoted. */
  #promotionOf({ lease, view }: ObservedPair): Promotion | undefined {
    const { status } = view;
    const holder = holderOf(view);
    if (lease === undefined || view.lease === undefined || view.lease.epoch === status.epoch) return undefined;
    const wallMs = Date.parse(lease.spec?.acquireTime ?? '') || view.wallMs;
    const reason = promotionReasonOf(lease, view.lease.epoch);
    if (reason !== undefined) return { reason, wallMs };
    if (holder?.podName === status.currentPrimary) return undefined;
    // A gateway did it: handing over as it was asked to, or because it had lost the primary and nobody else decided.
    const former = memberByPod(view, status.currentPrimary);
    const asked = holder !== undefined && holder.podName === status.targetPrimary;
    const lives = former?.link.state === 'connected' || former?.link.tookLeave === true;
    return { reason: asked || lives ? 'Switchover' : 'Failover', wallMs: view.wallMs };
  }

  #entryOf({ gateSvr, index }: ObservedPair): GateSvrStatusPair | undefined {
    return gateSvr.status?.pairs?.find(({ name }) => name === `p${index}`);
  }

  #isIpv6(gateSvr: ObservedPair['gateSvr'], index: number): boolean {
    const name = `${namesOf(gateSvr).pair(index)}-quic-v6`;
    return this.#context.objects.get(endpointSlices, namespaceOf(gateSvr), name) !== undefined;
  }
}

/** A pair that goes keeps the flows it has and gets no new ones. */
function projected(slice: Slice, { epoch, draining }: Projection): Slice {
  const annotations = { ...slice.metadata.annotations, [projectedEpochKey]: String(epoch) };
  const conditions = { ready: false, serving: true, terminating: true };
  const endpoints = slice.endpoints ?? [];
  return {
    ...slice,
    metadata: { ...slice.metadata, annotations },
    endpoints: draining ? endpoints.map((endpoint) => ({ ...endpoint, conditions })) : endpoints,
  };
}

function promotionEvent({ view }: ObservedPair, reason: PromotionReason): EventInput {
  const { lease, shard, status } = view;
  const [epoch, holder] = [lease?.epoch, lease?.holder];
  const from = status.currentPrimary;
  const occurrence = `${shard} ${epoch}`;
  const told: Readonly<Record<PromotionReason, Omit<EventInput, 'occurrence'>>> = {
    Bootstrap: {
      type: 'Normal',
      reason: 'Bootstrapped',
      action: 'Bootstrap',
      note: `${shard}: ${holder} leads, epoch ${epoch}`,
    },
    Failover: {
      type: 'Warning',
      reason: 'FailedOver',
      action: 'Promote',
      note: `${shard}: ${holder} took over from ${from}, epoch ${epoch}`,
    },
    Switchover: {
      type: 'Normal',
      reason: 'SwitchedOver',
      action: 'Switchover',
      note: `${shard}: ${from} handed over to ${holder}, epoch ${epoch}`,
    },
    Reset: {
      type: 'Warning',
      reason: 'StateReset',
      action: 'Reset',
      note: `${shard}: nobody held the state any more; ${holder} began empty, epoch ${epoch}; clients log in again`,
    },
  };
  // Whoever swapped may not be who writes this: from nobody it was a beginning.
  return { ...told[reason === 'Failover' && from === '' ? 'Bootstrap' : reason], occurrence };
}
