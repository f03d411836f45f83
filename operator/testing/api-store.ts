import type { DeleteOptions, KubeObject, ListOptions, ListPage, Resource, WatchEvent } from '../kube-api.ts';
import { objectKey } from '../object-store.ts';
import {
  type Draft,
  deepFreeze,
  draftOf,
  failure,
  mergePatch,
  nameOf,
  namespaceOf,
  sameDesired,
  sameJson,
} from './draft.ts';
import { FieldOwnership } from './field-ownership.ts';
import { predicateOf, type Selection } from './selectors.ts';
import { WatchLog } from './watch-log.ts';

export interface ApiStoreOptions {
  /** What is owned goes with its last owner, as the garbage collector of a cluster does it; true by default. */
  readonly cascade?: boolean;
  /** For timestamps. */
  readonly wallMs?: () => number;
}

interface Stored {
  object: KubeObject;
  readonly fields: FieldOwnership;
}

export type Part = 'main' | 'status';

/** Whose status can be written only by itself. */
const withStatus = new Set(['GateSvr', 'Zone', 'StatefulSet', 'Service', 'Pod', 'PodDisruptionBudget', 'Node']);
const withGeneration = new Set([
  'GateSvr',
  'Zone',
  'StatefulSet',
  'PodDisruptionBudget',
  'NetworkPolicy',
  'EndpointSlice',
  'Pod',
]);

/** Objects and their rules as the API server keeps them. Everything happens at once; what it hands out is frozen. */
export class ApiStore {
  /** Changes of objects so far; what would change nothing is none. */
  changes = 0;
  #cascade: boolean;
  #wallMs: () => number;
  #objects = new Map<string, Map<string, Stored>>();
  #log = new WatchLog();
  #version = 1000;
  #uids = 0;
  #pages = new Map<string, { readonly items: readonly KubeObject[]; readonly version: string }>();

  constructor({ cascade = true, wallMs = Date.now }: ApiStoreOptions = {}) {
    this.#cascade = cascade;
    this.#wallMs = wallMs;
  }

  get<T extends KubeObject>(resource: Resource, namespace: string, name: string): T | undefined {
    return this.#find(resource, resource.namespaced ? namespace : '', name)?.object as T | undefined;
  }

  /** @throws KubeApiError 410 for a continue token that has expired */
  list<T extends KubeObject>(resource: Resource, options: ListOptions = {}): ListPage<T> {
    const page = options.continueToken === undefined ? this.#firstPage(resource, options) : this.#nextPage(options);
    const limit = options.limit ?? page.items.length;
    let continueToken = '';
    if (page.items.length > limit) {
      continueToken = `page-${this.#pages.size + 1}-${page.version}`;
      this.#pages.set(continueToken, { items: page.items.slice(limit), version: page.version });
    }
    return { items: page.items.slice(0, limit) as unknown as T[], resourceVersion: page.version, continueToken };
  }

  /**
   * @param deliver gets every later change that the selection shows, at once
   * @returns how to end it
   * @throws KubeApiError 410 when the version is older than what is remembered
   */
  subscribe(
    resource: Resource,
    selection: Selection & { readonly resourceVersion: string },
    deliver: (event: WatchEvent<KubeObject>) => void,
  ): () => void {
    return this.#log.subscribe(resource, predicateOf(selection), Number(selection.resourceVersion), deliver);
  }

  get resourceVersion(): string {
    return String(this.#version);
  }

  /** Forgets the past, as compaction does: continue tokens and versions handed out so far are expired. */
  compact(): void {
    this.#pages.clear();
    this.#version += 1;
    this.#log.compact(this.#version);
  }

  create<T extends KubeObject>(resource: Resource, given: T, manager = 'update'): T {
    const draft = draftOf(given);
    const namespace = namespaceOf(resource, draft);
    if (this.#find(resource, namespace, draft.metadata.name) !== undefined) {
      throw failure(409, 'AlreadyExists', `${nameOf(resource, draft.metadata.name)} already exists`);
    }
    if (withStatus.has(resource.kind)) delete draft['status'];
    const fields = new FieldOwnership();
    fields.update(manager, {}, draft);
    return this.#insert(resource, draft, fields) as T;
  }

  replace<T extends KubeObject>(resource: Resource, given: T, part: Part = 'main', manager = 'update'): T {
    const draft = draftOf(given);
    const stored = this.#existing(resource, namespaceOf(resource, draft), draft.metadata.name);
    const before = draftOf(stored.object);
    const after = part === 'status' ? { ...before, status: draft['status'] } : { ...draft };
    if (part === 'main' && withStatus.has(resource.kind)) after['status'] = before['status'];
    this.#check(resource, stored.object, draft.metadata);
    stored.fields.update(manager, before, after);
    return this.#store(resource, stored, after as Draft) as T;
  }

  /** Server-side apply, forced. On a status only to what exists. */
  apply<T extends KubeObject>(resource: Resource, given: T, manager: string, part: Part = 'main'): T {
    const draft = draftOf(given);
    const namespace = namespaceOf(resource, draft);
    const stored = this.#find(resource, namespace, draft.metadata.name);
    const { status, ...main } = draft;
    if (stored === undefined) {
      const { uid, resourceVersion } = draft.metadata;
      if (part === 'status' || uid !== undefined || resourceVersion !== undefined) {
        throw failure(404, 'NotFound', `${nameOf(resource, draft.metadata.name)} not found`);
      }
      const fields = new FieldOwnership();
      const applied = withStatus.has(resource.kind) ? main : draft;
      const { apiVersion, kind, metadata } = draft;
      const fresh: Draft = { apiVersion, kind, metadata: { ...metadata } };
      fields.apply(manager, part, fresh, applied);
      return this.#insert(resource, fresh, fields) as T;
    }
    this.#check(resource, stored.object, draft.metadata);
    const after = draftOf(stored.object);
    const applied = part === 'status' ? { status } : withStatus.has(resource.kind) ? main : draft;
    stored.fields.apply(manager, part, after, applied);
    return this.#store(resource, stored, after) as T;
  }

  /** Merge patch (RFC 7386). */
  patch<T extends KubeObject>(
    resource: Resource,
    namespace: string,
    name: string,
    patch: object,
    part: Part = 'main',
    manager = 'update',
  ): T {
    const stored = this.#existing(resource, resource.namespaced ? namespace : '', name);
    const before = draftOf(stored.object);
    const { status, ...rest } = patch as Record<string, unknown>;
    const allowed = part === 'status' ? { status } : withStatus.has(resource.kind) ? rest : patch;
    this.#check(resource, stored.object, ((patch as Partial<Draft>).metadata ?? {}) as Record<string, unknown>);
    const after = mergePatch(before, JSON.parse(JSON.stringify(allowed))) as Draft;
    stored.fields.update(manager, before, after);
    return this.#store(resource, stored, after) as T;
  }

  /** With a finalizer on it, it is only marked. @throws KubeApiError 404, or 409 when a precondition does not hold */
  delete(resource: Resource, namespace: string, name: string, options: DeleteOptions = {}): void {
    const stored = this.#existing(resource, resource.namespaced ? namespace : '', name);
    this.#check(resource, stored.object, options as Record<string, unknown>);
    const draft = draftOf(stored.object);
    if ((draft.metadata.finalizers ?? []).length === 0) return this.#remove(resource, stored);
    draft.metadata.deletionTimestamp ??= this.#timestamp();
    this.#store(resource, stored, draft);
  }

  /** Writes a status as its controller or a kubelet would. */
  setStatus(resource: Resource, namespace: string, name: string, status: object): void {
    this.patch(resource, namespace, name, { status: null }, 'status', 'kubelet');
    this.patch(resource, namespace, name, { status }, 'status', 'kubelet');
  }

  #insert(resource: Resource, draft: Draft, fields: FieldOwnership): KubeObject {
    this.#uids += 1;
    const generation = withGeneration.has(resource.kind) ? { generation: 1 } : {};
    const uid = `00000000-0000-4000-8000-${String(this.#uids).padStart(12, '0')}`;
    Object.assign(draft.metadata, { uid, creationTimestamp: this.#timestamp(), ...generation });
    delete draft.metadata.deletionTimestamp;
    const stored: Stored = { object: draft as unknown as KubeObject, fields };
    const key = objectKey(stored.object);
    this.#all(resource).set(key, stored);
    return this.#commit(resource, stored, draft, undefined);
  }

  /** Writes what changed, and nothing when nothing did. */
  #store(resource: Resource, stored: Stored, draft: Draft): KubeObject {
    const old = stored.object;
    for (const name of ['uid', 'creationTimestamp', 'generation', 'resourceVersion', 'namespace'] as const) {
      draft.metadata[name] = old.metadata[name];
    }
    if (old.metadata.deletionTimestamp !== undefined) draft.metadata.deletionTimestamp = old.metadata.deletionTimestamp;
    if (sameJson(old, draft)) return old;
    const isGoing = draft.metadata.deletionTimestamp !== undefined;
    if (withGeneration.has(resource.kind)) {
      const beginsToGo = isGoing && old.metadata.deletionTimestamp === undefined;
      const changed = beginsToGo || !sameDesired(old, draft);
      draft.metadata['generation'] = (old.metadata.generation ?? 0) + (changed ? 1 : 0);
    }
    const written = this.#commit(resource, stored, draft, old);
    if (isGoing && (draft.metadata.finalizers ?? []).length === 0) this.#remove(resource, stored);
    return written;
  }

  #commit(resource: Resource, stored: Stored, draft: Draft, old: KubeObject | undefined): KubeObject {
    this.#version += 1;
    this.changes += 1;
    draft.metadata['resourceVersion'] = String(this.#version);
    stored.object = deepFreeze(JSON.parse(JSON.stringify(draft)));
    this.#log.add({ resource, version: this.#version, object: stored.object, previous: old });
    return stored.object;
  }

  #remove(resource: Resource, stored: Stored): void {
    this.#version += 1;
    this.changes += 1;
    const draft = draftOf(stored.object);
    draft.metadata['resourceVersion'] = String(this.#version);
    this.#all(resource).delete(objectKey(stored.object));
    const previous = stored.object;
    const last = deepFreeze(draft) as unknown as KubeObject;
    this.#log.add({ resource, version: this.#version, object: undefined, previous, last });
    if (this.#cascade) this.#collect(stored.object.metadata.uid ?? '');
  }

  /** Removes what this owner owned, if nobody else owns it. */
  #collect(uid: string): void {
    for (const [id, objects] of this.#objects) {
      for (const { object } of [...objects.values()]) {
        const owners = object.metadata.ownerReferences ?? [];
        if (!owners.some((owner) => owner.uid === uid)) continue;
        if (owners.some((owner) => owner.uid !== uid && this.#hasUid(owner.uid))) continue;
        const resource = JSON.parse(id) as Resource;
        this.delete(resource, object.metadata.namespace ?? '', object.metadata.name);
      }
    }
  }

  #hasUid(uid: string): boolean {
    for (const objects of this.#objects.values()) {
      for (const { object } of objects.values()) if (object.metadata.uid === uid) return true;
    }
    return false;
  }

  #firstPage(resource: Resource, options: ListOptions) {
    const matches = predicateOf(options);
    const objects = [...this.#all(resource).values()].map(({ object }) => object).filter(matches);
    objects.sort((a, b) => (objectKey(a) < objectKey(b) ? -1 : 1));
    return { items: objects, version: String(this.#version) };
  }

  #nextPage({ continueToken = '' }: ListOptions) {
    const page = this.#pages.get(continueToken);
    if (page === undefined) throw failure(410, 'Expired', 'The provided continue parameter is too old');
    return page;
  }

  #check(resource: Resource, object: KubeObject, wanted: Readonly<Record<string, unknown>>): void {
    for (const name of ['uid', 'resourceVersion'] as const) {
      const value = wanted[name];
      if (value === undefined || value === '' || value === object.metadata[name]) continue;
      const which = nameOf(resource, object.metadata.name);
      throw failure(409, 'Conflict', `${which}: the object has been modified: ${name} is ${object.metadata[name]}`);
    }
  }

  #all(resource: Resource): Map<string, Stored> {
    const { group, version, kind, plural, namespaced } = resource;
    const id = JSON.stringify({ group, version, kind, plural, namespaced });
    const objects = this.#objects.get(id) ?? new Map<string, Stored>();
    this.#objects.set(id, objects);
    return objects;
  }

  #find(resource: Resource, namespace: string, name: string): Stored | undefined {
    return this.#all(resource).get(namespace === '' ? name : `${namespace}/${name}`);
  }

  #existing(resource: Resource, namespace: string, name: string): Stored {
    const stored = this.#find(resource, namespace, name);
    if (stored === undefined) throw failure(404, 'NotFound', `${nameOf(resource, name)} not found`);
    return stored;
  }

  #timestamp(): string {
    return `${new Date(this.#wallMs()).toISOString().slice(0, 19)}Z`;
  }
}
