import type { OverloadLimits } from '../proto/gen/admin.ts';
import type { GateSvr, GateSvrStatusCondition } from './api/gatesvr.ts';
import { type FindPeer, type HeardGateway, type Member, membersOfFleet } from './fleet-peers.ts';
import type { KubeClient } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import { durationMs } from './lib/duration.ts';
import { errorMessage } from './lib/log.ts';
import type { ObjectStore } from './object-store.ts';
import type { Verdict } from './plan-zones.ts';
import { gateSvrs as gateSvrResource } from './resources.ts';
import type { Requeue } from './work-queue.ts';

export interface LimitsReconcilerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly gateSvrs: ObjectStore<GateSvr>;
  readonly findPeer: FindPeer;
  /** A gateway refuses its limits: for an Event. Called again each time it is looked at. */
  readonly tell: (gateSvr: GateSvr, problem: Verdict) => void;
}

/** What became of the limits at one gateway. */
interface Result {
  readonly pod: string;
  readonly kind: 'applied' | 'pending' | 'refused' | 'unreached';
  readonly reason: string;
}

const conditionType = 'LimitsApplied';
const statusManager = 'limits';
const notSyncedMs = 200;
const refusedMs = 60_000;
const pausedKey = 'gatesvr.io/reconcile';

/** Limits as gateways get them. A warning threshold that is not given is 80 % of its limit, at least 1. */
function limitsOf({ spec: { overload } }: GateSvr): OverloadLimits {
  const warningOf = (given: number | undefined, limit: number) => given ?? Math.max(1, Math.floor(limit * 0.8));
  return {
    enabled: overload.enabled,
    maxConnections: overload.maxConnections,
    connectionWarningThreshold: warningOf(overload.connectionWarningThreshold, overload.maxConnections),
    maxQps: overload.maxQps,
    qpsWarningThreshold: warningOf(overload.qpsWarningThreshold, overload.maxQps),
    qpsWindowSeconds: overload.qpsWindowSeconds,
    maxUpstreamConcurrent: overload.maxUpstreamConcurrent,
    upstreamTimeoutMs: durationMs(overload.upstreamTimeout),
    upstreamWarningThreshold: warningOf(overload.upstreamWarningThreshold, overload.maxUpstreamConcurrent),
  };
}

/** Brings the limits of a GateSvr to every gateway that is heard, and says in its status whether they hold. Keys: "NAMESPACE/NAME". */
export class LimitsReconciler {
  #options: LimitsReconcilerOptions;
  /** What a gateway refused, so that it is not asked at every beat: pod → when and what. */
  #refused = new Map<string, { readonly what: string; readonly atMs: number; readonly reason: string }>();

  constructor(options: LimitsReconcilerOptions) {
    this.#options = options;
  }

  async handle(key: string, signal: AbortSignal): Promise<Requeue | undefined> {
    const { gateSvrs, clock, findPeer } = this.#options;
    if (!gateSvrs.synced) return { requeueAfterMs: notSyncedMs };
    const [namespace = '', name = ''] = key.split('/');
    const gateSvr = gateSvrs.get(namespace, name);
    if (gateSvr === undefined || gateSvr.metadata.deletionTimestamp !== undefined) return this.#forget(key);
    if (gateSvr.metadata.annotations?.[pausedKey] === 'paused') return undefined;
    const limits = limitsOf(gateSvr);
    const members = membersOfFleet(gateSvr, findPeer, clock.nowMs());
    const results = await Promise.all(members.map((member) => this.#bring(namespace, member, limits)));
    if (signal.aborted) return undefined;
    const verdict = verdictOf(results);
    if (verdict.reason === 'Refused') this.#options.tell(gateSvr, verdict);
    await this.#report(gateSvr, verdict);
    const failed = results.find(({ kind, reason }) => kind === 'pending' && reason !== '');
    if (failed !== undefined) throw new Error(`${failed.pod}: ${failed.reason}`);
    return verdict.reason === 'Refused' ? { requeueAfterMs: refusedMs } : undefined;
  }

  #forget(key: string): undefined {
    for (const pod of this.#refused.keys()) if (pod.startsWith(`${key}-p`)) this.#refused.delete(pod);
  }

  async #bring(namespace: string, { pod, heard }: Member, limits: OverloadLimits): Promise<Result> {
    if (heard === undefined) return { pod, kind: 'unreached', reason: '' };
    if (heard.status.limits !== undefined && sameLimits(heard.status.limits, limits)) {
      return { pod, kind: 'applied', reason: '' };
    }
    const key = `${namespace}/${pod}`;
    const what = `${heard.status.incarnation} ${JSON.stringify(limits)}`;
    const nowMs = this.#options.clock.nowMs();
    const refused = this.#refused.get(key);
    if (refused?.what === what && nowMs - refused.atMs < refusedMs) {
      return { pod, kind: 'refused', reason: refused.reason };
    }
    const result = await push(heard, limits);
    if (result.kind === 'refused') this.#refused.set(key, { what, atMs: nowMs, reason: result.reason });
    else this.#refused.delete(key);
    return result;
  }

  async #report(gateSvr: GateSvr, { status, reason, message }: Verdict): Promise<void> {
    const { name, namespace, uid, generation = 0 } = gateSvr.metadata;
    const former = gateSvr.status?.conditions?.find(({ type }) => type === conditionType);
    const now = new Date(this.#options.clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    const condition: GateSvrStatusCondition = {
      type: conditionType,
      status,
      observedGeneration: generation,
      lastTransitionTime: former?.status === status ? former.lastTransitionTime : now,
      reason,
      message,
    };
    const isSame =
      former !== undefined &&
      Object.entries(condition).every(([field, value]) => former[field as keyof GateSvrStatusCondition] === value);
    if (isSame) return;
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
    const { apiVersion, kind } = gateSvr;
    const object = { apiVersion, kind, metadata, status: { conditions: [condition] } };
    await this.#options.client.applyStatus(gateSvrResource, object, statusManager);
  }
}

/** What the gateway has is read back from its answer. */
async function push({ pod, peer }: HeardGateway, limits: OverloadLimits): Promise<Result> {
  try {
    const { success, error, limits: inForce } = await peer.setLimits(limits);
    if (!success) return { pod, kind: 'refused', reason: error?.message ?? 'refused' };
    if (inForce !== undefined && sameLimits(inForce, limits)) return { pod, kind: 'applied', reason: '' };
    return { pod, kind: 'refused', reason: `it has other limits after they were set: ${JSON.stringify(inForce)}` };
  } catch (error) {
    return { pod, kind: 'pending', reason: errorMessage(error) };
  }
}

function verdictOf(results: readonly Result[]): Verdict {
  const podsOf = (kind: Result['kind']) => results.filter((result) => result.kind === kind).map(({ pod }) => pod);
  const refused = results.filter(({ kind }) => kind === 'refused');
  const applied = `${podsOf('applied').length} of ${results.length} gateways have the limits`;
  if (refused.length > 0) {
    const reasons = refused.map(({ pod, reason }) => `${pod}: ${reason}`).join('; ');
    const message = `refused by ${reasons}. The limits they had stay in force: correct spec.overload`;
    return { status: 'False', reason: 'Refused', message };
  }
  const pending = podsOf('pending');
  if (pending.length > 0)
    return { status: 'False', reason: 'Pending', message: `${applied}; not yet: ${pending.join(', ')}` };
  const unreached = podsOf('unreached');
  if (unreached.length > 0) {
    const message = `${applied}; not reached: ${unreached.join(', ')}`;
    return { status: 'Unknown', reason: 'GatewayNotReached', message };
  }
  return { status: 'True', reason: 'LimitsApplied', message: applied };
}

function sameLimits(a: OverloadLimits, b: OverloadLimits): boolean {
  return Object.entries(b).every(([name, value]) => a[name as keyof OverloadLimits] === value);
}
