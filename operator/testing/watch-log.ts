import type { KubeObject, Resource, WatchEvent } from '../kube-api.ts';
import { failure } from './draft.ts';

export interface Change {
  readonly resource: Resource;
  readonly version: number;
  /** undefined when it was deleted. */
  readonly object: KubeObject | undefined;
  readonly previous: KubeObject | undefined;
  /** Of one that was deleted: its last state, with the version of the deletion. */
  readonly last?: KubeObject;
}

interface Subscriber {
  readonly plural: string;
  readonly group: string;
  readonly matches: (object: KubeObject) => boolean;
  readonly deliver: (event: WatchEvent<KubeObject>) => void;
}

const changesMax = 20_000;

/** The changes of the recent past, and who wants to hear of the next. */
export class WatchLog {
  #changes: Change[] = [];
  #subscribers = new Set<Subscriber>();
  #forgottenVersion = 0;

  add(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length > changesMax) {
      this.#forgottenVersion = this.#changes.splice(0, changesMax / 2).at(-1)?.version ?? 0;
    }
    for (const subscriber of [...this.#subscribers]) deliverTo(subscriber, change);
  }

  compact(version: number): void {
    this.#changes.length = 0;
    this.#forgottenVersion = version;
  }

  subscribe(
    resource: Resource,
    matches: (object: KubeObject) => boolean,
    fromVersion: number,
    deliver: (event: WatchEvent<KubeObject>) => void,
  ): () => void {
    if (fromVersion < this.#forgottenVersion) {
      throw failure(410, 'Expired', `too old resource version: ${fromVersion} (${this.#forgottenVersion})`);
    }
    const subscriber: Subscriber = { plural: resource.plural, group: resource.group, matches, deliver };
    for (const change of this.#changes) if (change.version > fromVersion) deliverTo(subscriber, change);
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }
}

/** An object that comes to be selected is ADDED, one that no longer is DELETED. */
function deliverTo({ plural, group, matches, deliver }: Subscriber, change: Change): void {
  if (change.resource.plural !== plural || change.resource.group !== group) return;
  const { object, previous, last } = change;
  const was = previous !== undefined && matches(previous);
  const is = object !== undefined && matches(object);
  if (is) deliver({ type: was ? 'MODIFIED' : 'ADDED', object });
  else if (was) deliver({ type: 'DELETED', object: last ?? object ?? previous });
}
