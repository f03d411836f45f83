import type { GateSvr } from './api/gatesvr.ts';
import { statefulSet } from './desired/desired-objects.ts';
import { namesOf, namespaceOf } from './desired/names.ts';
import { KubeApiError } from './kube-api.ts';
import type { StatefulSet } from './kube-objects.ts';
import type { ObservedPair } from './observe-pair.ts';
import type { OperatorContext } from './operator-context.ts';
import type { MemberName, MemberView } from './pair-view.ts';
import type { RolloutDecision } from './plan-rollout.ts';
import { pods, statefulSets } from './resources.ts';
import { type SetChange, statefulSetToApply } from './stateful-set.ts';

/** Carries out the steps of a rollout: templates of StatefulSets, and pods that are replaced. */
export class PairRollout {
  #context: OperatorContext;

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  /** @returns whether something was written */
  async carryOut(pair: ObservedPair, decision: RolloutDecision): Promise<boolean> {
    const { events } = this.#context;
    const { gateSvr, index, view } = pair;
    switch (decision.kind) {
      case 'none':
      case 'wait':
      case 'stopped':
        return false;
      case 'template': {
        const change = decision.which === 'desired' ? 'desired-template' : 'last-good-template';
        return this.applySet(gateSvr, index, decision.member.name, change);
      }
      case 'mark-good':
        return this.applySet(gateSvr, index, decision.member.name, 'mark-good');
      case 'reject': {
        const note = `${view.shard}: the update stops and ${decision.member.podName} goes back: ${decision.reason}`;
        const occurrence = `${view.shard} ${view.desiredHash}`;
        events.tell(gateSvr, { type: 'Warning', reason: 'RolloutStopped', action: 'Rollback', note, occurrence });
        return this.applySet(gateSvr, index, decision.member.name, 'reject');
      }
      case 'delete-pod':
        await this.#deletePod(pair, decision.member, undefined);
        return true;
    }
  }

  /** Makes or repairs a StatefulSet; its template changes only as `change` says. @returns whether it was written */
  applySet(gateSvr: GateSvr, index: number, member: MemberName, change: SetChange): Promise<boolean> {
    const { objects, applier, templates } = this.#context;
    const name = namesOf(gateSvr).statefulSet(index, member);
    const observed = objects.get<StatefulSet>(statefulSets, namespaceOf(gateSvr), name);
    const desired = statefulSet(gateSvr, templates.of(gateSvr), index, member);
    return applier.apply(statefulSets, statefulSetToApply(desired, observed, change), observed);
  }

  /** For a pod whose node does not answer, and that the Lease excludes. */
  async forceDelete(pair: ObservedPair, member: MemberView): Promise<void> {
    await this.#deletePod(pair, member, 0);
    const { podName, pod } = member;
    const note = `${podName} on node ${pod?.nodeName}, which does not answer, was deleted by force: the Lease excludes it`;
    const event = { type: 'Warning', reason: 'PodForceDeleted', action: 'Delete', occurrence: pod?.uid ?? '' } as const;
    this.#context.events.tell(pair.gateSvr, { ...event, note });
  }

  async #deletePod({ gateSvr }: ObservedPair, member: MemberView, graceSeconds: number | undefined): Promise<void> {
    const { client } = this.#context;
    const { pod, podName } = member;
    if (pod === undefined) return;
    const grace = graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds };
    try {
      await client.delete(pods, namespaceOf(gateSvr), podName, { uid: pod.uid, ...grace });
    } catch (error) {
      // Another pod of this name is there already.
      if (!(error instanceof KubeApiError && error.status === 409)) throw error;
    }
  }
}
