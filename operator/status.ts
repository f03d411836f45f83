import type { GateSvr, GateSvrStatus, GateSvrStatusCondition, GateSvrStatusPair } from './api/gatesvr.ts';
import { contains } from './apply.ts';
import type { KubeClient } from './kube-api.ts';
import { gateSvrs } from './resources.ts';
import type { WrittenObjects } from './written-objects.ts';

/** One condition as it is found; when it changed last is kept beside it. */
export interface ConditionReport {
  readonly type: 'Ready' | 'Available' | 'Progressing' | 'Degraded';
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

const messageMax = 1024;

/** Conditions to write: one whose status stays keeps its time. */
export function conditionsOf(
  reports: readonly ConditionReport[],
  before: readonly GateSvrStatusCondition[],
  generation: number,
  wallMs: number,
): GateSvrStatusCondition[] {
  return reports.map(({ type, status, reason, message }) => {
    const former = before.find((condition) => condition.type === type);
    const lastTransitionTime =
      former?.status === status ? former.lastTransitionTime : new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
    const shown = message.length > messageMax ? `${message.slice(0, messageMax - 1)}…` : message;
    return { type, status, observedGeneration: generation, lastTransitionTime, reason, message: shown };
  });
}

/** Writes parts of the status of GateSvrs, each under its own field manager, and only what differs from what is there. */
export class StatusWriter {
  #client: KubeClient;
  #objects: WrittenObjects;

  constructor(client: KubeClient, objects: WrittenObjects) {
    this.#client = client;
    this.#objects = objects;
  }

  /** The entry of one pair. @returns whether it was written */
  async writePair(gateSvr: GateSvr, entry: GateSvrStatusPair): Promise<boolean> {
    const before = gateSvr.status?.pairs?.find(({ name }) => name === entry.name);
    if (before !== undefined && contains(before, entry) && contains(entry, before)) return false;
    await this.#apply(gateSvr, { pairs: [entry] }, entry.name);
    return true;
  }

  /** A pair that is no more. */
  async removePair(gateSvr: GateSvr, name: string): Promise<void> {
    if (gateSvr.status?.pairs?.some((pair) => pair.name === name) === true) await this.#apply(gateSvr, {}, name);
  }

  /** What is said of the whole. @returns whether it was written */
  async writeWhole(gateSvr: GateSvr, status: GateSvrStatus): Promise<boolean> {
    const before = gateSvr.status ?? {};
    const { conditions = [], ...rest } = status;
    const same = conditions.every((condition) => {
      const former = before.conditions?.find(({ type }) => type === condition.type);
      return former !== undefined && contains(former, condition);
    });
    if (same && contains(before, rest)) return false;
    await this.#apply(gateSvr, status, undefined);
    return true;
  }

  async #apply(
    { apiVersion, kind, metadata }: GateSvr,
    status: GateSvrStatus,
    manager: string | undefined,
  ): Promise<void> {
    const { name, namespace, uid } = metadata;
    // With the uid: the status of a GateSvr is never written into a later one of the same name.
    const identity = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
    const object = { apiVersion, kind, metadata: identity, status };
    const result = await this.#client.applyStatus(gateSvrs, object, manager);
    this.#objects.wrote(gateSvrs, result);
  }
}
