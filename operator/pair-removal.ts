import type { GateSvr } from './api/gatesvr.ts';
import { labelKeys, namespaceOf } from './desired/names.ts';
import type { KubeObject, Resource } from './kube-api.ts';
import { isOwnedBy } from './kube-objects.ts';
import { durationMs } from './lib/duration.ts';
import { errorMessage } from './lib/log.ts';
import type { ObservedPair } from './observe-pair.ts';
import type { OperatorContext, Step } from './operator-context.ts';
import { membersOf, servingPrimary } from './pair-view.ts';
import {
  endpointSlices,
  leases,
  podDisruptionBudgets,
  roleBindings,
  roles,
  serviceAccounts,
  statefulSets,
} from './resources.ts';

/** In the order in which they go, once the pods are gone; the Lease last, for it tells that the pair is not gone yet. */
const pairResources: readonly Resource[] = [
  endpointSlices,
  podDisruptionBudgets,
  roleBindings,
  roles,
  serviceAccounts,
  leases,
];

const answerGraceMs = 2_000;
const podsRecheckMs = 1_000;

interface Drain {
  over: boolean;
}

/** Takes a pair away that is one too many: its clients are sent to the others first. */
export class PairRemoval {
  #context: OperatorContext;
  /** By pair, of this process; after a crash a pair is drained once more, from where it stands. */
  #drains = new Map<string, Drain>();

  constructor(context: OperatorContext) {
    this.#context = context;
  }

  /** The next step; `key` is looked at again when the drain is over. */
  async step(pair: ObservedPair, key: string): Promise<Step> {
    const { gateSvr, index, view } = pair;
    const members = membersOf(view);
    const sets = this.#ofPair(gateSvr, index, statefulSets);
    const untouched =
      sets.length === members.length && sets.every(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (untouched && !this.#drained(pair, key)) return 'done';
    for (const set of sets) {
      if (set.metadata.deletionTimestamp === undefined) await this.#delete(statefulSets, set);
    }
    if (sets.length > 0 || members.some(({ pod }) => pod !== undefined)) return { requeueAfterMs: podsRecheckMs };
    for (const resource of pairResources) {
      for (const object of this.#ofPair(gateSvr, index, resource)) await this.#delete(resource, object);
    }
    await this.#context.status.removePair(gateSvr, `p${index}`);
    this.forget(key);
    const note = `pair p${index} was removed`;
    const occurrence = `p${index} ${gateSvr.metadata.generation}`;
    this.#context.events.tell(gateSvr, { type: 'Normal', reason: 'PairRemoved', action: 'Remove', note, occurrence });
    return 'done';
  }

  forget(key: string): void {
    this.#drains.delete(key);
  }

  /** Starts the drain when it has not begun. @returns whether it is over */
  #drained(pair: ObservedPair, key: string): boolean {
    const { observer, clock, events, log, enqueuePair } = this.#context;
    const { gateSvr, index, view } = pair;
    const existing = this.#drains.get(key);
    if (existing !== undefined) return existing.over;
    const primary = servingPrimary(view);
    const peer = primary && observer.peerOf(namespaceOf(gateSvr), primary.podName);
    if (peer === undefined) return true;
    const { drainTimeout, drainSessionsPerSecond } = gateSvr.spec.update;
    const deadlineMs = durationMs(drainTimeout);
    const drain: Drain = { over: false };
    this.#drains.set(key, drain);
    const note = `pair p${index} sends its clients to the other pairs within ${drainTimeout}`;
    const occurrence = `p${index} ${gateSvr.metadata.generation}`;
    events.tell(gateSvr, { type: 'Normal', reason: 'PairDraining', action: 'Drain', note, occurrence });
    const ended = (): void => {
      if (drain.over) return;
      drain.over = true;
      cancel();
      enqueuePair(key);
    };
    const cancel = clock.after(deadlineMs + answerGraceMs, ended);
    peer.drain(deadlineMs, drainSessionsPerSecond).then(ended, (error: unknown) => {
      log.warn({ shard: view.shard, error: errorMessage(error) }, 'the pair was not drained');
      ended();
    });
    return false;
  }

  #ofPair(gateSvr: GateSvr, index: number, resource: Resource): readonly KubeObject[] {
    return this.#context.objects.list(resource, namespaceOf(gateSvr)).filter((object) => {
      const { [labelKeys.name]: name, [labelKeys.pair]: pair } = object.metadata.labels ?? {};
      const isOurs = isOwnedBy(object, gateSvr.metadata.uid ?? '');
      return isOurs && name === gateSvr.metadata.name && pair === `p${index}`;
    });
  }

  async #delete(resource: Resource, { metadata }: KubeObject): Promise<void> {
    const { namespace = '', name, uid } = metadata;
    await this.#context.client.delete(resource, namespace, name, uid === undefined ? {} : { uid });
    if (resource !== statefulSets) this.#context.objects.deleted(resource, namespace, name);
  }
}
