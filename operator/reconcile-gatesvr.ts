import type { GateSvr } from './api/gatesvr.ts';
import { desiredObjects } from './desired/desired-objects.ts';
import { labelKeys, type MemberName, namespaceOf } from './desired/names.ts';
import { desiredSecrets, type Secret } from './desired/secrets.ts';
import { KubeApiError, type KubeObject, type Resource } from './kube-api.ts';
import { isOwnedBy, type StatefulSet } from './kube-objects.ts';
import type { OperatorContext } from './operator-context.ts';
import { pairKeyText } from './pair-key.ts';
import { PairRollout } from './pair-rollout.ts';
import { isPaused } from './pair-settings.ts';
import { introducedAtMs } from './pair-view.ts';
import { type FleetSummary, type Problem, summaryOf } from './plan-conditions.ts';
import { progressOf } from './plan-rollout.ts';
import { missingReferences } from './references.ts';
import {
  allResources,
  configMaps,
  gateSvrs,
  leases,
  networkPolicies,
  podDisruptionBudgets,
  pods,
  roleBindings,
  roles,
  secrets,
  serviceAccounts,
  services,
  statefulSets,
} from './resources.ts';
import { conditionsOf } from './status.ts';
import type { Requeue } from './work-queue.ts';

/** What may be left over from an earlier spec; what belongs to a pair goes with the pair. */
const ownedResources: readonly Resource[] = [
  configMaps,
  services,
  networkPolicies,
  podDisruptionBudgets,
  roleBindings,
  roles,
  serviceAccounts,
];
const needed: readonly Resource[] = [...ownedResources, gateSvrs, statefulSets, pods, leases, secrets];
const unsyncedDelayMs = 100;
/** Something a person must mend is looked at again this often; nothing may tell when it is mended. */
const problemRecheckMs = 15_000;
const recheckMs = 600_000;
/** The whole is summed up no more often than this, whatever its pairs do. */
const statusEveryMs = 1_000;
const randomBytesOf = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));

/** A GateSvr as a whole: its objects, and what its status says. The pairs are reconciled by themselves. */
export class GateSvrReconciler {
  #context: OperatorContext;
  #rollout: PairRollout;
  #isLeader: () => boolean;
  /** Generation and annotations that the pairs were last told of. */
  #told = new Map<string, string>();
  /** When the status was written last. */
  #written = new Map<string, number>();
  #secretsChecked = new Map<string, { readonly seen: string; readonly dueMs: number }>();

  constructor(context: OperatorContext, isLeader: () => boolean) {
    this.#context = context;
    this.#rollout = new PairRollout(context);
    this.#isLeader = isLeader;
  }

  /** Brings the objects and the status of "NAMESPACE/NAME" where they should be. */
  async reconcile(key: string, signal: AbortSignal): Promise<Requeue | undefined> {
    const { objects, events } = this.#context;
    const [namespace = '', name = ''] = key.split('/');
    if (!objects.synced(needed)) return { requeueAfterMs: unsyncedDelayMs };
    const gateSvr = objects.get<GateSvr>(gateSvrs, namespace, name);
    if (gateSvr === undefined || gateSvr.metadata.deletionTimestamp !== undefined) {
      this.#told.delete(key);
      this.#secretsChecked.delete(key);
      this.#written.delete(key);
      return undefined;
    }
    if (!this.#isLeader()) {
      this.#wakePairs(gateSvr, key, []);
      return undefined;
    }
    const paused = isPaused(gateSvr);
    const { problems, recheckAfterMs } = paused
      ? { problems: [], recheckAfterMs: recheckMs }
      : await this.#apply(gateSvr, signal);
    signal.throwIfAborted();
    for (const { message } of problems) {
      events.tell(gateSvr, { type: 'Warning', reason: 'NotReconciled', action: 'Reconcile', note: message });
    }
    const reportDelayMs = await this.#report(gateSvr, key, problems, paused);
    if (reportDelayMs > 0) return { requeueAfterMs: reportDelayMs };
    return { requeueAfterMs: problems.length > 0 ? problemRecheckMs : Math.min(recheckMs, recheckAfterMs) };
  }

  async #apply(gateSvr: GateSvr, signal: AbortSignal): Promise<{ problems: Problem[]; recheckAfterMs: number }> {
    const { inputs, client } = this.#context;
    const secretsDone = await this.#applySecrets(gateSvr);
    const problems = [...secretsDone.problems, ...(await missingReferences(gateSvr, client))];
    const drainingPairs = this.#pairIndexes(gateSvr).filter((index) => index >= gateSvr.spec.pairs);
    const desired = desiredObjects(gateSvr, { ...inputs, drainingPairs });
    for (const object of desired) {
      signal.throwIfAborted();
      const problem = await this.#applyOne(gateSvr, object);
      if (problem !== undefined) problems.push(problem);
    }
    await this.#deleteLeftovers(gateSvr, desired);
    return { problems, recheckAfterMs: secretsDone.recheckAfterMs };
  }

  async #applySecrets(gateSvr: GateSvr): Promise<{ problems: Problem[]; recheckAfterMs: number }> {
    const { objects, clock, client } = this.#context;
    const namespace = namespaceOf(gateSvr);
    const key = `${namespace}/${gateSvr.metadata.name}`;
    const seen = this.#secretsSeen(gateSvr);
    const nowMs = clock.nowMs();
    const checked = this.#secretsChecked.get(key);
    if (checked?.seen === seen && nowMs < checked.dueMs) return { problems: [], recheckAfterMs: checked.dueMs - nowMs };
    const existing = (name: string): Secret | undefined => objects.get<Secret>(secrets, namespace, name);
    const { created, replaced, problems, recheckAfterMs } = await desiredSecrets(gateSvr, {
      existing,
      wallMs: clock.wallMs(),
      randomBytes: randomBytesOf,
    });
    for (const secret of created) objects.wrote(secrets, await client.create(secrets, secret));
    for (const secret of replaced) objects.wrote(secrets, await client.replace(secrets, secret));
    if (created.length + replaced.length + problems.length === 0) {
      this.#secretsChecked.set(key, { seen, dueMs: nowMs + recheckAfterMs });
    }
    return { problems: problems.map((message) => ({ reason: 'Secrets', message })), recheckAfterMs };
  }

  /** Versions of all that certificates depend on: to check signatures takes longer than all the rest of a reconcile. */
  #secretsSeen({ metadata }: GateSvr): string {
    const versions = this.#context.objects.list(secrets, metadata.namespace ?? '').flatMap((secret) => {
      const { labels, name, resourceVersion } = secret.metadata;
      return labels?.[labelKeys.name] === metadata.name ? [`${name}=${resourceVersion}`] : [];
    });
    return [metadata.uid, metadata.generation, ...versions.sort()].join(' ');
  }

  /** @returns what keeps the object from being as desired; the others are written all the same */
  async #applyOne(gateSvr: GateSvr, desired: KubeObject): Promise<Problem | undefined> {
    const { client, objects, applier } = this.#context;
    const resource = resourceFor(desired);
    const namespace = namespaceOf(gateSvr);
    const { name } = desired.metadata;
    const observed = objects.watched(resource)
      ? objects.get(resource, namespace, name)
      : await client.get(resource, namespace, name);
    if (observed !== undefined && !isOwnedBy(observed, gateSvr.metadata.uid ?? '')) {
      const message = `${resource.kind} "${name}" in namespace ${namespace} belongs to something else: delete it, or give the GateSvr another name`;
      return { reason: 'NameTaken', message };
    }
    try {
      if (resource === statefulSets) await this.#applySet(gateSvr, desired);
      else await applier.apply(resource, desired, observed);
      return undefined;
    } catch (error) {
      const refused = error instanceof KubeApiError && [400, 403, 422].includes(error.status);
      if (!refused) throw error;
      return {
        reason: 'ObjectRefused',
        message: `${resource.kind} "${name}": the API server refuses it: ${error.message}`,
      };
    }
  }

  async #applySet(gateSvr: GateSvr, { metadata }: KubeObject): Promise<void> {
    const index = Number((metadata.labels?.[labelKeys.pair] ?? '').slice(1));
    const member = metadata.labels?.[labelKeys.member] as MemberName;
    await this.#rollout.applySet(gateSvr, index, member, 'none');
  }

  async #deleteLeftovers(gateSvr: GateSvr, desired: readonly KubeObject[]): Promise<void> {
    const { objects, client } = this.#context;
    const namespace = namespaceOf(gateSvr);
    const { uid = '', name: owner } = gateSvr.metadata;
    const wanted = new Set(desired.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
    // A pod may be made again from an older template at any moment, so what that names stays.
    const sets = objects.list<StatefulSet>(statefulSets, namespace).filter((set) => isOwnedBy(set, uid));
    const templates = sets.map((set) => JSON.stringify([set.spec?.template, set.metadata.annotations])).join('\n');
    for (const resource of ownedResources) {
      for (const { metadata } of objects.list(resource, namespace)) {
        const owned = metadata.ownerReferences?.some((each) => each.uid === uid) === true;
        const mayGo =
          owned && metadata.labels?.[labelKeys.name] === owner && metadata.labels[labelKeys.pair] === undefined;
        if (!mayGo || wanted.has(`${resource.kind}/${metadata.name}`)) continue;
        if (resource === configMaps && templates.includes(metadata.name)) continue;
        const { name, uid: own } = metadata;
        await client.delete(resource, namespace, name, own === undefined ? {} : { uid: own });
        objects.deleted(resource, namespace, name);
      }
    }
  }

  /** @returns how long it is too early to say anything, 0 when it was said */
  async #report(gateSvr: GateSvr, key: string, problems: readonly Problem[], paused: boolean): Promise<number> {
    const { observer, status, clock, inputs, enqueuePair } = this.#context;
    const pairs = this.#pairIndexes(gateSvr).map((index) => {
      const pairKey = pairKeyText({ namespace: namespaceOf(gateSvr), name: gateSvr.metadata.name, index });
      return { name: `p${index}`, view: observer.observe(gateSvr, index, () => enqueuePair(pairKey), false).view };
    });
    const unfinished = pairs.filter(({ name, view }) => view.surplus || progressOf(name, view).outdated);
    this.#wakePairs(
      gateSvr,
      key,
      unfinished.map(({ name }) => name),
    );
    const nowMs = clock.nowMs();
    const writtenMs = this.#written.get(key) ?? Number.NEGATIVE_INFINITY;
    const dueMs = Math.max(writtenMs + statusEveryMs, ...pairs.map(({ view }) => introducedAtMs(view)));
    if (nowMs < dueMs) return Math.ceil(dueMs - nowMs);
    const summary = summaryOf({ pairs, problems, paused });
    const { metadata, spec } = gateSvr;
    const generation = metadata.generation ?? 0;
    const written = await status.writeWhole(gateSvr, {
      observedGeneration: generation,
      replicas: summary.serving,
      updatedPairs: summary.updated,
      selector: `${labelKeys.name}=${metadata.name},${labelKeys.role}=primary`,
      image: spec.image ?? inputs.defaultImage,
      conditions: this.#conditions(gateSvr, summary, clock.wallMs()),
    });
    if (written) this.#written.set(key, nowMs);
    return 0;
  }

  #conditions({ status, metadata }: GateSvr, { conditions }: FleetSummary, wallMs: number) {
    return conditionsOf(conditions, status?.conditions ?? [], metadata.generation ?? 0, wallMs);
  }

  /** Pairs that are wanted, and those that are still there. */
  #pairIndexes(gateSvr: GateSvr): number[] {
    const { objects } = this.#context;
    const { uid = '', name } = gateSvr.metadata;
    const wanted = Array.from({ length: gateSvr.spec.pairs }, (_, index) => index);
    const labelled = [statefulSets, leases].flatMap((resource) => objects.list(resource, namespaceOf(gateSvr)));
    const there = labelled.flatMap((object) => {
      const { [labelKeys.name]: owner, [labelKeys.pair]: pair = '' } = object.metadata.labels ?? {};
      return owner === name && isOwnedBy(object, uid) && /^p\d+$/.test(pair) ? [Number(pair.slice(1))] : [];
    });
    const said = gateSvr.status?.pairs?.map((pair) => Number(pair.name.slice(1))) ?? [];
    return [...new Set([...wanted, ...there, ...said])].sort((one, other) => one - other);
  }

  /** All pairs after a change of the spec, and those that wait for their turn whenever something has changed. */
  #wakePairs(gateSvr: GateSvr, key: string, unfinished: readonly string[]): void {
    const { metadata } = gateSvr;
    const told = JSON.stringify([metadata.uid, metadata.generation, metadata.annotations, this.#isLeader()]);
    const isNews = this.#told.get(key) !== told;
    this.#told.set(key, told);
    for (const index of this.#pairIndexes(gateSvr)) {
      if (isNews || unfinished.includes(`p${index}`)) this.#context.enqueuePair(`${key}/p${index}`);
    }
  }
}

/** Kinds of others (cert-manager) are not watched: their plural is guessed the way it is formed nearly always. */
function resourceFor({ apiVersion, kind }: KubeObject): Resource {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const known = allResources.find((each) => each.kind === kind && each.group === group && each.version === version);
  return known ?? { group, version, kind, plural: `${kind.toLowerCase()}s`, namespaced: true };
}
