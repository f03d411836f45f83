import { createHash } from 'node:crypto';
import { KubeApiError, type KubeClient, type KubeObject } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import { errorMessage, type Logger } from './lib/log.ts';
import { events } from './resources.ts';

export type EventReason =
  | 'FailingOver'
  | 'FailedOver'
  | 'Bootstrapped'
  | 'StateReset'
  | 'LeaseRestored'
  | 'Switchover'
  | 'SwitchedOver'
  | 'SwitchoverFailed'
  | 'SwitchoverDelayed'
  | 'LinkBroken'
  | 'PodForceDeleted'
  | 'RolloutDelayed'
  | 'RolloutStopped'
  | 'PairDraining'
  | 'PairRemoved'
  | 'ZoneNotServed'
  | 'LimitsRefused'
  | 'NotReconciled';

export interface EventInput {
  readonly type: 'Normal' | 'Warning';
  readonly reason: EventReason;
  readonly note: string;
  /** What the operator does about it, as one word. */
  readonly action: string;
  /** Two of the same occurrence are one; by default that is the note. */
  readonly occurrence?: string;
}

interface EventObject extends KubeObject {
  readonly [field: string]: unknown;
}

/** The same is counted up no more often than this. */
const repeatMs = 600_000;
const rememberedMax = 1_000;
const noteMax = 1_024;
const controller = 'gatesvr.io/operator';

interface Told {
  count: number;
  atMs: number;
}

/**
 * Events about objects, each occurrence once: the name follows from what is told, so that another operator, or this one after a
 * crash, finds it written. Nothing waits for an Event, and one that cannot be written is only logged.
 */
export class EventRecorder {
  #client: KubeClient;
  #clock: Clock;
  #log: Logger;
  #instance: string;
  #told = new Map<string, Told>();
  #writing = new Set<Promise<void>>();

  constructor(options: { client: KubeClient; clock: Clock; log: Logger; instance: string }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#instance = options.instance;
  }

  tell(object: KubeObject, event: EventInput): void {
    const name = nameOf(object, event);
    const told = this.#told.get(name);
    const nowMs = this.#clock.nowMs();
    if (told !== undefined && nowMs - told.atMs < repeatMs) return;
    this.#remember(name, { count: (told?.count ?? 0) + 1, atMs: nowMs });
    const writing = this.#write(object, event, name, (told?.count ?? 0) + 1).catch((error: unknown) => {
      this.#log.warn({ reason: event.reason, note: event.note, error: errorMessage(error) }, 'no Event was written');
    });
    this.#writing.add(writing);
    void writing.finally(() => this.#writing.delete(writing));
  }

  /** Resolves when everything told so far is written, or given up. */
  async flush(): Promise<void> {
    await Promise.all(this.#writing);
  }

  async #write(object: KubeObject, event: EventInput, name: string, count: number): Promise<void> {
    const namespace = object.metadata.namespace ?? 'default';
    const time = new Date(this.#clock.wallMs()).toISOString().replace('Z', '000Z');
    if (count > 1) {
      const series = { count, lastObservedTime: time };
      await this.#client.patch(events, namespace, name, { series });
      return;
    }
    try {
      await this.#client.create(
        events,
        eventObject(object, event, { name, namespace, time, instance: this.#instance }),
      );
    } catch (error) {
      // Told before by another operator, or by this one before it was started again.
      if (!(error instanceof KubeApiError && error.status === 409)) throw error;
    }
  }

  #remember(name: string, told: Told): void {
    this.#told.delete(name);
    this.#told.set(name, told);
    const oldest = this.#told.keys().next();
    if (this.#told.size > rememberedMax && !oldest.done) this.#told.delete(oldest.value);
  }
}

function nameOf({ metadata }: KubeObject, { reason, note, occurrence }: EventInput): string {
  const what = [metadata.uid, reason, occurrence ?? note].join('\n');
  return `${metadata.name}.${createHash('sha256').update(what).digest('hex').slice(0, 16)}`;
}

function eventObject(
  { apiVersion, kind, metadata }: KubeObject,
  { type, reason, note, action }: EventInput,
  made: { readonly name: string; readonly namespace: string; readonly time: string; readonly instance: string },
): EventObject {
  const { name, namespace, time, instance } = made;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace },
    eventTime: time,
    reportingController: controller,
    reportingInstance: instance.slice(0, 128),
    action,
    reason,
    note: note.length > noteMax ? `${note.slice(0, noteMax - 1)}…` : note,
    type,
    regarding: { apiVersion, kind, namespace, name: metadata.name, uid: metadata.uid },
  };
}
