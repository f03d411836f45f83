import type { GateSvr } from './api/gatesvr.ts';
import { namespaceOf } from './desired/names.ts';
import { KubeApiError, type Resource } from './kube-api.ts';
import type { ObservedPair } from './observe-pair.ts';
import type { OperatorContext, Step } from './operator-context.ts';
import { parsePairKey } from './pair-key.ts';
import { PairLease } from './pair-lease.ts';
import { PairProjection } from './pair-projection.ts';
import { PairRemoval } from './pair-removal.ts';
import { PairRollout } from './pair-rollout.ts';
import { PairSwitchover } from './pair-switchover.ts';
import { holderOf, membersOf, podOf } from './pair-view.ts';
import { type FailoverDecision, planFailover } from './plan-failover.ts';
import { pairsToUpdate, planRollout, progressOf } from './plan-rollout.ts';
import { planSwitchover, podToForceDelete } from './plan-switchover.ts';
import { endpointSlices, gateSvrs, leases, pods, statefulSets } from './resources.ts';
import type { Requeue } from './work-queue.ts';

/** More in a row than any way from one end to the other; then the queue comes round again. */
const stepsMax = 24;
/** A standby operator gives the leader this long to write what follows from a Lease that it did not swap itself. */
const standbyDelayMs = 1_000;
const conflictDelayMs = 20;
/** One end notices a loss before the other: only what lasts longer is a broken link, and worth a write. */
const settleMs = 1_000;
const unsyncedDelayMs = 100;
const leftoverDelayMs = 1_000;
const needed: readonly Resource[] = [gateSvrs, statefulSets, pods, leases, endpointSlices];

/**
 * One pair: observe, plan, apply, until nothing is left to do. Safe on every replica of the operator: what decides is one
 * compare-and-swap, and what follows from it is the same whoever writes it.
 */
export class PairReconciler {
  #context: OperatorContext;
  #lease: PairLease;
  #projection: PairProjection;
  #switchover: PairSwitchover;
  #rollout: PairRollout;
  #removal: PairRemoval;
  #known = new Map<string, GateSvr>();
  /** What was last said of a pair to whoever sums it up. */
  #digests = new Map<string, string>();
  #troubles = new Map<string, { readonly message: string; readonly sinceMs: number }>();

  constructor(context: OperatorContext) {
    this.#context = context;
    this.#lease = new PairLease(context);
    this.#projection = new PairProjection(context);
    this.#switchover = new PairSwitchover(context);
    this.#rollout = new PairRollout(context);
    this.#removal = new PairRemoval(context);
  }

  /** Brings the pair of this key where it should be. @throws KubeApiError when the API server does not answer */
  async reconcile(key: string, signal: AbortSignal): Promise<Requeue | undefined> {
    const { objects } = this.#context;
    const { namespace, name, index } = parsePairKey(key);
    if (!objects.synced(needed)) return { requeueAfterMs: unsyncedDelayMs };
    for (let steps = 0; steps < stepsMax; steps += 1) {
      signal.throwIfAborted();
      const gateSvr = objects.get<GateSvr>(gateSvrs, namespace, name);
      const known = this.#known.get(key);
      if (known !== undefined && known.metadata.uid !== gateSvr?.metadata.uid) this.#forget(key, known, index);
      if (gateSvr === undefined || gateSvr.metadata.deletionTimestamp !== undefined) return undefined;
      this.#known.set(key, gateSvr);
      const step = await this.#tryStep(gateSvr, index, key);
      if (step === 'done') return undefined;
      if (step !== 'again') return step;
    }
    return { requeueAfterMs: conflictDelayMs };
  }

  /** Keys of the pairs of a GateSvr ("NAMESPACE/NAME") that were reconciled before. */
  keysOf(gateSvrKey: string): string[] {
    return [...this.#known.keys()].filter((key) => key.startsWith(`${gateSvrKey}/`));
  }

  #forget(key: string, gateSvr: GateSvr, index: number): void {
    this.#context.observer.disconnect(gateSvr, index);
    this.#context.observer.forget(gateSvr.metadata.uid ?? '', index);
    this.#removal.forget(key);
    this.#known.delete(key);
    this.#digests.delete(key);
    this.#troubles.delete(key);
  }

  async #tryStep(gateSvr: GateSvr, index: number, key: string): Promise<Step> {
    try {
      return await this.#step(this.#observe(gateSvr, index, key), key);
    } catch (error) {
      // Somebody wrote meanwhile, so this rests on what is no more: observe again when the watch has brought it.
      if (error instanceof KubeApiError && error.status === 409) return { requeueAfterMs: conflictDelayMs };
      throw error;
    }
  }

  #observe(gateSvr: GateSvr, index: number, key: string): ObservedPair {
    const { observer, enqueuePair } = this.#context;
    const base = key.slice(0, key.lastIndexOf('/'));
    const observed = (each: number, mayUpdate: boolean): ObservedPair =>
      observer.observe(gateSvr, each, () => enqueuePair(`${base}/p${each}`), mayUpdate);
    const pair = observed(index, true);
    const { view } = pair;
    if (!view.leader || !progressOf(`p${index}`, view).outdated) return pair;
    const all = Array.from({ length: gateSvr.spec.pairs }, (_, each) =>
      progressOf(`p${each}`, observed(each, false).view),
    );
    const mayUpdate = pairsToUpdate(all, gateSvr.spec.update.maxParallelPairs).has(`p${index}`);
    return { ...pair, view: { ...view, mayUpdate } };
  }

  async #step(pair: ObservedPair, key: string): Promise<Step> {
    const { view } = pair;
    if (pair.leftover !== '') return { requeueAfterMs: leftoverDelayMs };
    const goes =
      view.surplus && membersOf(view).some(({ statefulSet }) => statefulSet === undefined || statefulSet.deleting);
    const failover: FailoverDecision = goes ? { kind: 'none', trouble: undefined } : planFailover(view);
    if (failover.kind === 'promote') return this.#promote(pair, failover);
    if (failover.kind === 'begin') {
      const may = view.leader && !view.settings.paused;
      if (!may) return 'done';
      return (await this.#lease.begin(pair, failover)) ? 'again' : { requeueAfterMs: conflictDelayMs };
    }
    const unsettledMs = this.#unsettledMs(failover, key);
    if (unsettledMs > 0 && this.#projection.isDone(pair)) return { requeueAfterMs: unsettledMs };
    if (!goes) {
      const waitMs = await this.#project(pair, failover);
      if (waitMs > 0) return { requeueAfterMs: waitMs };
    }
    if (!view.leader) return this.#later(pair, failover, []);
    this.#tellTrouble(pair, failover);
    if (view.surplus && !view.settings.paused) return this.#removal.step(pair, key);
    return this.#lead(pair, failover, key);
  }

  /** What only the leading operator does, and only one thing at a time. */
  async #lead(pair: ObservedPair, failover: FailoverDecision, key: string): Promise<Step> {
    const { view } = pair;
    if (await this.#lease.adopt(pair)) return 'again';
    if (await this.#switchover.settleRequest(pair)) return 'again';
    const stranded = podToForceDelete(view);
    if (stranded !== undefined) {
      await this.#rollout.forceDelete(pair, stranded);
      return this.#later(pair, failover, []);
    }
    const switchover = planSwitchover(view);
    if (switchover.kind === 'switchover') {
      await this.#projection.report(pair, { target: switchover.successor.podName, failing: false });
      this.#switchover.begin(pair, switchover, key);
      return 'done';
    }
    const rollout = planRollout(view);
    if (await this.#rollout.carryOut(pair, rollout)) return rollout.kind === 'delete-pod' ? 'done' : 'again';
    this.#tellDelay(pair, switchover, rollout);
    this.#sumUp(key, pair, { failover, switchover, rollout });
    const untilMs = rollout.kind === 'wait' ? rollout.untilMs : undefined;
    return this.#later(pair, failover, [untilMs, switchover.kind === 'wait' ? switchover.untilMs : undefined]);
  }

  /** Two steps: whom it will be, for people to see, then the swap that decides. */
  async #promote(pair: ObservedPair, decision: FailoverDecision & { kind: 'promote' }): Promise<Step> {
    const { events } = this.#context;
    const { view, gateSvr } = pair;
    const note = `${view.shard}: promoting ${decision.next.holder}: ${decision.reason}`;
    const occurrence = `${view.shard} ${decision.next.epoch}`;
    events.tell(gateSvr, { type: 'Warning', reason: 'FailingOver', action: 'Promote', note, occurrence });
    await this.#projection.report(pair, { target: decision.member.podName, failing: true });
    return (await this.#lease.promote(pair, decision)) ? 'again' : { requeueAfterMs: conflictDelayMs };
  }

  /** @returns how long the leader is given to do it first, 0 when it is done */
  async #project(pair: ObservedPair, failover: FailoverDecision): Promise<number> {
    const { view, gateSvr, index } = pair;
    const memory = this.#context.observer.memoryOf(gateSvr, index);
    if (!view.leader) {
      if (this.#projection.isDone(pair)) return 0;
      const ownSwap = view.lease !== undefined && memory.swappedEpoch === view.lease.epoch;
      const waitMs = (view.lease?.seenMs ?? view.nowMs) + standbyDelayMs - view.nowMs;
      if (!ownSwap && waitMs > 0) return waitMs;
    }
    await this.#projection.project(pair);
    const target = view.switchover === undefined ? undefined : podOf(view.switchover.successor);
    const holder = holderOf(view);
    const failing = failover.kind === 'wait' && holder !== undefined && holder.link.state !== 'connecting';
    await this.#projection.report(pair, { target, failing });
    return 0;
  }

  /** How long to wait before a loss that only one side has noticed is believed; 0 when nothing is to be waited for. */
  #unsettledMs(failover: FailoverDecision, key: string): number {
    const message = failover.kind === 'none' ? failover.trouble?.message : undefined;
    const nowMs = this.#context.clock.nowMs();
    const before = this.#troubles.get(key);
    if (message === undefined) {
      this.#troubles.delete(key);
      return 0;
    }
    const sinceMs = before?.message === message ? before.sinceMs : nowMs;
    this.#troubles.set(key, { message, sinceMs });
    return Math.max(0, sinceMs + settleMs - nowMs);
  }

  #later(
    { gateSvr, index, view }: ObservedPair,
    failover: FailoverDecision,
    more: readonly (number | undefined)[],
  ): Step {
    const { statusDueMs } = this.#context.observer.memoryOf(gateSvr, index);
    const due = statusDueMs > view.nowMs ? statusDueMs : undefined;
    const times = [failover.kind === 'wait' ? failover.untilMs : undefined, due, ...more];
    const untilMs = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
    if (untilMs === Number.POSITIVE_INFINITY) return 'done';
    return { requeueAfterMs: Math.max(1, Math.ceil(untilMs - view.nowMs)) };
  }

  #tellTrouble({ gateSvr, view }: ObservedPair, failover: FailoverDecision): void {
    if (failover.kind !== 'none' || failover.trouble === undefined) return;
    const { reason, message } = failover.trouble;
    const occurrence = `${view.shard} ${view.lease?.epoch} ${message}`;
    const note = `${view.shard}: ${message}`;
    this.#context.events.tell(gateSvr, { type: 'Warning', reason, action: 'Observe', note, occurrence });
  }

  #tellDelay(
    { gateSvr, view }: ObservedPair,
    switchover: ReturnType<typeof planSwitchover>,
    rollout: ReturnType<typeof planRollout>,
  ): void {
    const { events } = this.#context;
    if (switchover.kind === 'delayed') {
      const note = `${view.shard}: ${switchover.reason}`;
      events.tell(gateSvr, { type: 'Warning', reason: 'SwitchoverDelayed', action: 'Wait', note });
    }
    const backup = membersOf(view).find(({ pod }) => pod !== undefined && pod.trouble !== '');
    if (rollout.kind === 'wait' && backup !== undefined) {
      const note = `${view.shard}: ${rollout.reason}`;
      events.tell(gateSvr, { type: 'Warning', reason: 'RolloutDelayed', action: 'Wait', note });
    }
  }

  /** Whoever sums pairs up is told when something that matters to it has changed. */
  #sumUp(key: string, { gateSvr, view }: ObservedPair, plans: object): void {
    const members = membersOf(view).map(({ pod, link, statefulSet }) => [
      pod?.trouble,
      pod?.note,
      pod?.templateHash,
      link.state,
      link.incarnation,
      link.ready,
      statefulSet,
    ]);
    const said = JSON.stringify([view.lease, members, plans], (name, value) =>
      ['member', 'holder', 'successor', 'lastBeatMs', 'untilMs', 'seenMs'].includes(name) ? undefined : value,
    );
    if (this.#digests.get(key) === said) return;
    this.#digests.set(key, said);
    this.#context.enqueueGateSvr(`${namespaceOf(gateSvr)}/${gateSvr.metadata.name}`);
  }
}
