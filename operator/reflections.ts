import type { KubeClient, KubeObject, Resource } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { ObjectStore } from './object-store.ts';
import { Reflector } from './reflector.ts';

/** One resource that is kept in memory. */
export interface Reflected {
  readonly resource: Resource;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ReflectionsOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Empty: all of the cluster. Else what is in no namespace is not watched at all. */
  readonly namespaces: readonly string[];
  readonly reflected: readonly Reflected[];
  readonly onChange: (resource: Resource, object: KubeObject | undefined, previous: KubeObject | undefined) => void;
}

/** Everything the operator knows of the cluster: a reflector for each resource, and for each namespace if there are some. */
export class Reflections {
  #reflectors = new Map<Resource, Reflector<KubeObject>[]>();
  #stores = new Map<Resource, ObjectStore<KubeObject>>();

  constructor(options: ReflectionsOptions) {
    const { namespaces, reflected } = options;
    for (const each of reflected) {
      if (namespaces.length === 0) this.#add(each, [makeReflector(options, each, undefined)]);
      else if (each.resource.namespaced) {
        const apart = namespaces.map((namespace) => makeReflector(options, each, namespace));
        this.#add(each, apart, namespaces);
      }
    }
  }

  /** undefined for what is not watched. */
  storeOf<T extends KubeObject>(resource: Resource): ObjectStore<T> | undefined {
    return this.#stores.get(resource) as ObjectStore<T> | undefined;
  }

  start(): void {
    for (const reflector of this.#all()) reflector.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((reflector) => reflector.stop()));
  }

  /** The plurals of what was never listed yet. */
  unsynced(): string[] {
    return [...this.#stores].filter(([, store]) => !store.synced).map(([{ plural }]) => plural);
  }

  /** The plurals of what is not followed any more, for good. */
  wedged(nowMs: number): string[] {
    const wedged = this.#all().filter((reflector) => reflector.wedged(nowMs));
    return [...new Set(wedged.map(({ resource }) => resource.plural))];
  }

  *figures(nowMs: number): Iterable<readonly [string, { readonly staleMs: number; readonly objects: number }]> {
    for (const [{ plural }, store] of this.#stores) {
      yield [plural, { staleMs: store.staleMs(nowMs), objects: store.list().length }];
    }
  }

  #add({ resource }: Reflected, reflectors: Reflector<KubeObject>[], namespaces?: readonly string[]): void {
    this.#reflectors.set(resource, reflectors);
    const stores = reflectors.map(({ store }) => store);
    const [only] = stores;
    if (namespaces !== undefined) this.#stores.set(resource, new StoreByNamespace(namespaces, stores));
    else if (only !== undefined) this.#stores.set(resource, only);
  }

  #all(): Reflector<KubeObject>[] {
    return [...this.#reflectors.values()].flat();
  }
}

function makeReflector(
  { client, clock, random, log, onChange }: ReflectionsOptions,
  { resource, ...selectors }: Reflected,
  namespace: string | undefined,
): Reflector<KubeObject> {
  return new Reflector({
    client,
    clock,
    random,
    log,
    resource,
    ...selectors,
    ...(namespace === undefined ? {} : { namespace }),
    onChange: (_, object, previous) => onChange(resource, object, previous),
  });
}

/** The stores of several namespaces as one. */
class StoreByNamespace implements ObjectStore<KubeObject> {
  #stores: ReadonlyMap<string, ObjectStore<KubeObject>>;

  constructor(namespaces: readonly string[], stores: readonly ObjectStore<KubeObject>[]) {
    this.#stores = new Map(
      namespaces.flatMap((namespace, index) => {
        const store = stores[index];
        return store === undefined ? [] : [[namespace, store] as const];
      }),
    );
  }

  get synced(): boolean {
    return [...this.#stores.values()].every(({ synced }) => synced);
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.#stores.get(namespace)?.get(namespace, name);
  }

  list(namespace?: string): readonly KubeObject[] {
    if (namespace !== undefined) return this.#stores.get(namespace)?.list(namespace) ?? [];
    return [...this.#stores.values()].flatMap((store) => store.list());
  }

  staleMs(nowMs: number): number {
    return Math.max(...[...this.#stores.values()].map((store) => store.staleMs(nowMs)));
  }
}
