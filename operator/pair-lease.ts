import { metadataOf, namespaceOf, selectorLabels } from './desired/names.ts';
import { KubeApiError } from './kube-api.ts';
import type { Lease } from './kube-objects.ts';
import { nextLeaseObject, type PromotionReason } from './lease-content.ts';
import { errorMessage } from './lib/log.ts';
import type { ObservedPair } from './observe-pair.ts';
import type { OperatorContext } from './operator-context.ts';
import type { FailoverDecision, NextLease } from './plan-failover.ts';
import { leases } from './resources.ts';

type Promote = FailoverDecision & { readonly kind: 'promote' };
type Begin = FailoverDecision & { readonly kind: 'begin' };

/** Writes the Lease of a pair: the one write that decides. */
export class PairLease {
  #context: OperatorContext;

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  /** The compare-and-swap of a promotion, then the hint to the new primary. @returns whether it won */
  async promote(pair: ObservedPair, decision: Promote): Promise<boolean> {
    const { clock, metrics, observer } = this.#context;
    const { member, next, lostMs } = decision;
    const decidedMs = pair.view.nowMs;
    if (!(await this.#swap(pair, next, decision.expected, 'Failover'))) return false;
    const memory = observer.memoryOf(pair.gateSvr, pair.index);
    memory.lastFailoverMs = clock.nowMs();
    memory.failover = { epoch: next.epoch, times: { lostMs, decidedMs, promotedMs: clock.nowMs() } };
    memory.swappedEpoch = next.epoch;
    metrics.promoted('Failover');
    this.#hint(pair, member.podName, next);
    return true;
  }

  /** The first Lease, a new history, or a lost Lease made again. @returns whether it was written */
  async begin(pair: ObservedPair, decision: Begin): Promise<boolean> {
    const { metrics, observer, events } = this.#context;
    const { why, next, reason, member } = decision;
    const promotion = why === 'LeaseLost' ? undefined : why;
    if (!(await this.#swap(pair, next, decision.expected, promotion))) return false;
    observer.memoryOf(pair.gateSvr, pair.index).swappedEpoch = next.epoch;
    metrics.promoted(why);
    if (why === 'LeaseLost') {
      const note = `Lease ${pair.view.shard} was made again in epoch ${next.epoch}: ${reason}`;
      events.tell(pair.gateSvr, { type: 'Warning', reason: 'LeaseRestored', action: 'Restore', note });
    }
    this.#hint(pair, member.podName, next);
    return true;
  }

  /** A Lease that a gateway has made belongs to nobody yet. @returns whether it was written */
  async adopt({ gateSvr, index, lease }: ObservedPair): Promise<boolean> {
    if (lease === undefined || (lease.metadata.ownerReferences ?? []).length > 0) return false;
    const { client, objects } = this.#context;
    const { name, resourceVersion } = lease.metadata;
    const { labels, ownerReferences } = metadataOf(gateSvr, name, { labels: selectorLabels(gateSvr, index) });
    const patch = { metadata: { resourceVersion, labels, ownerReferences } };
    objects.wrote(leases, await client.patch(leases, namespaceOf(gateSvr), name, patch));
    return true;
  }

  async #swap(
    pair: ObservedPair,
    next: NextLease,
    expected: string | undefined,
    reason: PromotionReason | undefined,
  ): Promise<boolean> {
    const { client, objects, clock, newId } = this.#context;
    const made = { reason, history: next.history === '' ? newId() : next.history, wallMs: clock.wallMs() };
    const current = expected === undefined ? undefined : pair.lease;
    const object = nextLeaseObject(pair.gateSvr, pair.index, current, next, made);
    try {
      const written =
        current === undefined ? await client.create(leases, object) : await client.replace(leases, object);
      objects.wrote(leases, written);
      return true;
    } catch (error) {
      if (!(error instanceof KubeApiError && (error.status === 409 || error.status === 404))) throw error;
      // Somebody was faster: what is there now decides, and the watch may be behind.
      await this.#readAgain(pair);
      return false;
    }
  }

  async #readAgain({ gateSvr, view }: ObservedPair): Promise<void> {
    const { client, objects } = this.#context;
    const namespace = namespaceOf(gateSvr);
    const found = await client.get<Lease>(leases, namespace, view.shard);
    if (found === undefined) objects.deleted(leases, namespace, view.shard);
    else objects.wrote(leases, found);
  }

  /** Only a hint (rule 3): it is not waited for, and the gateway watches the Lease itself. */
  #hint({ gateSvr, view }: ObservedPair, podName: string, { epoch, holder }: NextLease): void {
    const { observer, log } = this.#context;
    const peer = observer.peerOf(namespaceOf(gateSvr), podName);
    peer?.promote(view.shard, epoch, holder).catch((error: unknown) => {
      log.debug({ shard: view.shard, epoch, error: errorMessage(error) }, 'Promote was not answered');
    });
  }
}
