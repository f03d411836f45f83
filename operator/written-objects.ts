import type { KubeObject, Resource } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import type { ObjectStore } from './object-store.ts';

/** The reflected objects of a resource; undefined when it is not watched. */
export type StoreOf = <T extends KubeObject>(resource: Resource) => ObjectStore<T> | undefined;

/** A write that no watch has brought back after this long was overtaken by something. */
const keptMs = 5_000;

interface Written {
  /** Undefined: deleted. */
  readonly object: KubeObject | undefined;
  readonly version: bigint;
  readonly untilMs: number;
}

/**
 * The reflected objects, with what this process has written itself but not been told of yet: the next decision sees the last
 * write. Decisions stay safe without it, because every write that matters is a compare-and-swap; it saves the conflicts.
 */
export class WrittenObjects {
  #storeOf: StoreOf;
  #clock: Clock;
  #written = new Map<string, Written>();

  constructor(storeOf: StoreOf, clock: Clock) {
    this.#storeOf = storeOf;
    this.#clock = clock;
  }

  /** The newest version that is known. */
  get<T extends KubeObject>(resource: Resource, namespace: string, name: string): T | undefined {
    const stored = this.#storeOf<T>(resource)?.get(namespace, name);
    const key = keyOf(resource, namespace, name);
    const written = this.#written.get(key);
    if (written === undefined) return stored;
    const seen = written.object === undefined ? stored === undefined : versionOf(stored) >= written.version;
    if (!seen && this.#clock.nowMs() < written.untilMs) return written.object as T | undefined;
    this.#written.delete(key);
    return stored;
  }

  /** All of a namespace, as reflected, without those that were deleted here. */
  list<T extends KubeObject>(resource: Resource, namespace: string): readonly T[] {
    const stored = this.#storeOf<T>(resource)?.list(namespace) ?? [];
    return stored.filter(({ metadata }) => this.get(resource, namespace, metadata.name) !== undefined);
  }

  /** Whether everything of these resources was listed once. */
  synced(resources: readonly Resource[]): boolean {
    return resources.every((resource) => this.#storeOf(resource)?.synced === true);
  }

  watched(resource: Resource): boolean {
    return this.#storeOf(resource) !== undefined;
  }

  wrote(resource: Resource, object: KubeObject): void {
    const { namespace = '', name } = object.metadata;
    this.#note(keyOf(resource, namespace, name), { object, version: versionOf(object) });
  }

  deleted(resource: Resource, namespace: string, name: string): void {
    this.#note(keyOf(resource, namespace, name), { object: undefined, version: 0n });
  }

  #note(key: string, written: Omit<Written, 'untilMs'>): void {
    const nowMs = this.#clock.nowMs();
    for (const [each, { untilMs }] of this.#written) if (untilMs <= nowMs) this.#written.delete(each);
    this.#written.set(key, { ...written, untilMs: nowMs + keptMs });
  }
}

function keyOf({ group, plural }: Resource, namespace: string, name: string): string {
  return `${group}/${plural}/${namespace}/${name}`;
}

/** Versions of one object are compared, never those of two resources; etcd's are numbers. */
function versionOf(object: KubeObject | undefined): bigint {
  const version = object?.metadata.resourceVersion ?? '';
  return /^\d+$/.test(version) ? BigInt(version) : -1n;
}
