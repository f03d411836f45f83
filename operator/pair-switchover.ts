import { namespaceOf } from './desired/names.ts';
import { errorMessage } from './lib/log.ts';
import type { ObservedPair } from './observe-pair.ts';
import type { OperatorContext } from './operator-context.ts';
import { switchoverKey } from './pair-settings.ts';
import { holderOf, memberNames } from './pair-view.ts';
import type { SwitchoverDecision } from './plan-switchover.ts';
import { gateSvrs } from './resources.ts';

type Switchover = SwitchoverDecision & { readonly kind: 'switchover' };

const retryFirstMs = 2_000;
const retryMaxMs = 60_000;
/** The answer comes at the deadline; only a link that hangs takes longer. */
const answerGraceMs = 2_000;

/** Asks primaries to hand over. The gateway does it (rule 16); nothing waits here, so that a failover is never behind one. */
export class PairSwitchover {
  #context: OperatorContext;

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  /** Asks; `key` is looked at again when the answer is there. */
  begin(pair: ObservedPair, decision: Switchover, key: string): void {
    const { observer, events, clock } = this.#context;
    const { holder, successor, reason } = decision;
    const { gateSvr, index, view } = pair;
    const { lease } = view;
    const peer = observer.peerOf(namespaceOf(gateSvr), holder.podName);
    if (lease === undefined || peer === undefined) return;
    const memory = observer.memoryOf(gateSvr, index);
    const { incarnation } = successor.link;
    const under = { successor: incarnation, sinceMs: clock.nowMs() };
    memory.switchover = under;
    const note = `${view.shard}: ${holder.podName} is to hand over to ${successor.podName}: ${reason}`;
    events.tell(gateSvr, {
      type: 'Normal',
      reason: 'Switchover',
      action: 'Demote',
      note,
      occurrence: `${view.shard} ${lease.epoch} ${reason}`,
    });
    const deadlineMs = view.settings.switchoverDeadlineMs;
    const order = { shardId: view.shard, epoch: lease.epoch, successor: incarnation, deadlineMs };
    let open = true;
    const ended = (failure: string): void => {
      if (!open) return;
      open = false;
      cancel();
      if (memory.switchover === under) this.#ended(pair, failure);
      this.#context.enqueuePair(key);
    };
    const cancel = clock.after(deadlineMs + answerGraceMs, () => ended('no answer'));
    peer.demote(order).then(
      ({ success, error }) => ended(success ? '' : (error?.message ?? 'refused')),
      (error: unknown) => ended(errorMessage(error)),
    );
  }

  #ended({ gateSvr, index, view }: ObservedPair, failure: string): void {
    const { observer, clock, events, metrics, log } = this.#context;
    const memory = observer.memoryOf(gateSvr, index);
    memory.switchover = undefined;
    if (failure === '') {
      memory.switchoverFailures = 0;
      // The Lease tells the rest; until it is seen nobody is asked again.
      memory.switchoverNotBeforeMs = clock.nowMs() + retryFirstMs;
      return;
    }
    const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(memory.switchoverFailures, 10));
    memory.switchoverFailures += 1;
    memory.switchoverNotBeforeMs = clock.nowMs() + delayMs;
    metrics.switchoverFailed();
    log.warn({ shard: view.shard, failure, delayMs }, 'a switchover did not happen');
    const note = `${view.shard}: the primary did not hand over: ${failure}; it serves on and is asked again`;
    const occurrence = `${view.shard} ${view.lease?.epoch} ${failure}`;
    events.tell(gateSvr, { type: 'Warning', reason: 'SwitchoverFailed', action: 'Demote', note, occurrence });
  }

  /** A switchover by hand is over when the pod that was asked for leads: the annotation goes, or it would come back later. */
  async settleRequest({ gateSvr, view }: ObservedPair): Promise<boolean> {
    const { client, objects, events } = this.#context;
    const wanted = gateSvr.metadata.annotations?.[switchoverKey];
    const podNames = memberNames.map((name) => view.members[name].podName);
    if (wanted === undefined) return false;
    const isPair = podNames.includes(wanted);
    if (isPair && holderOf(view)?.podName !== wanted) return false;
    const known = isPair || new RegExp(`^${gateSvr.metadata.name}-p\\d+-[ab]-0$`).test(wanted);
    if (!known) {
      const note = `metadata.annotations[${switchoverKey}]: "${wanted}": expected the name of a pod, for example "${podNames[0]}"`;
      events.tell(gateSvr, { type: 'Warning', reason: 'NotReconciled', action: 'Switchover', note });
    }
    if (known && !isPair) return false;
    const { resourceVersion, name } = gateSvr.metadata;
    const patch = { metadata: { resourceVersion, annotations: { [switchoverKey]: null } } };
    objects.wrote(gateSvrs, await client.patch(gateSvrs, namespaceOf(gateSvr), name, patch));
    return true;
  }
}
