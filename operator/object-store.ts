import type { KubeObject } from './kube-api.ts';

/** "NAMESPACE/NAME", or "NAME" of what is in no namespace: what work queues are keyed by. */
export function objectKey({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** What a reflector knows of the objects of one resource. The objects are shared: nobody changes them. */
export interface ObjectStore<T extends KubeObject> {
  /** `namespace` is '' for what is in none. */
  get(namespace: string, name: string): T | undefined;
  /** Of all namespaces when none is given. */
  list(namespace?: string): readonly T[];
  /** Everything was listed at least once. Until then what is missing here may well exist. */
  readonly synced: boolean;
  /** Milliseconds since the API server last confirmed that this is current; Infinity before it was listed. */
  staleMs(nowMs: number): number;
}

/** The store a reflector writes. */
export class ReflectedStore<T extends KubeObject> implements ObjectStore<T> {
  #objects = new Map<string, T>();
  #byNamespace = new Map<string, Map<string, T>>();
  #confirmedMs: number | undefined;

  get synced(): boolean {
    return this.#confirmedMs !== undefined;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(namespace === '' ? name : `${namespace}/${name}`);
  }

  list(namespace?: string): readonly T[] {
    if (namespace === undefined) return [...this.#objects.values()];
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])];
  }

  staleMs(nowMs: number): number {
    return this.#confirmedMs === undefined ? Number.POSITIVE_INFINITY : nowMs - this.#confirmedMs;
  }

  /** The API server was heard; what is here was true at `nowMs`. */
  confirm(nowMs: number): void {
    this.#confirmedMs = nowMs;
  }

  keys(): string[] {
    return [...this.#objects.keys()];
  }

  byKey(key: string): T | undefined {
    return this.#objects.get(key);
  }

  set(key: string, object: T): void {
    this.#objects.set(key, object);
    const namespace = object.metadata.namespace ?? '';
    const siblings = this.#byNamespace.get(namespace) ?? new Map<string, T>();
    this.#byNamespace.set(namespace, siblings.set(key, object));
  }

  delete(key: string): void {
    const namespace = this.#objects.get(key)?.metadata.namespace ?? '';
    this.#objects.delete(key);
    const siblings = this.#byNamespace.get(namespace);
    siblings?.delete(key);
    if (siblings?.size === 0) this.#byNamespace.delete(namespace);
  }
}
