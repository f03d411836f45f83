/** Server-side apply, near enough to the real one: who set which field, and what happens to those that nobody sets any more. */

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
type Mutable = Record<string, unknown>;

/** An item of a keyed list, or the name of a field. */
type Segment = string | { readonly [key: string]: Json };

/** Lists whose items are told apart by a key; all others are replaced as a whole. */
const listKeys: Readonly<Record<string, readonly string[]>> = {
  conditions: ['type'],
  containers: ['name'],
  initContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  imagePullSecrets: ['name'],
  volumeMounts: ['mountPath'],
  ownerReferences: ['uid'],
  pairs: ['name'],
  members: ['name'],
  gateways: ['pod'],
  addresses: ['address'],
  endpoints: ['address'],
};

/** Fields that nobody owns. */
const identity = new Set(['apiVersion', 'kind']);
const metadataIdentity = new Set([
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'generateName',
]);

function isObject(value: unknown): value is Mutable {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmptyObject(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}

function keysOf(field: Segment | undefined, items: readonly unknown[]): readonly string[] | undefined {
  const keys = typeof field === 'string' ? listKeys[field] : undefined;
  return keys !== undefined && items.every((item) => isObject(item) && keys.every((key) => key in item))
    ? keys
    : undefined;
}

function segmentOf(item: Mutable, keys: readonly string[]): Segment {
  return Object.fromEntries(keys.map((key) => [key, item[key] as Json]));
}

/** Every leaf of an object with its value, by its path as JSON. */
function leavesOf(object: object): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  const visit = (value: unknown, path: readonly Segment[]): void => {
    if (path.length === 1 && identity.has(String(path[0]))) return;
    if (path.length === 2 && path[0] === 'metadata' && metadataIdentity.has(String(path[1]))) return;
    const keys = Array.isArray(value) && value.length > 0 ? keysOf(path.at(-1), value) : undefined;
    if (keys !== undefined) {
      for (const item of value as Mutable[]) visit(item, [...path, segmentOf(item, keys)]);
    } else if (isObject(value) && (Object.keys(value).length > 0 || path.length === 0)) {
      for (const [name, child] of Object.entries(value)) visit(child, [...path, name]);
    } else if (path.length > 0) {
      leaves.set(JSON.stringify(path), value);
    }
  };
  visit(object, []);
  leaves.delete('["metadata"]');
  return leaves;
}

function matches(item: unknown, segment: Segment): boolean {
  return isObject(item) && Object.entries(segment).every(([key, value]) => item[key] === value);
}

function childOf(parent: unknown, segment: Segment): unknown {
  if (typeof segment === 'string') return isObject(parent) ? parent[segment] : undefined;
  return Array.isArray(parent) ? parent.find((item) => matches(item, segment)) : undefined;
}

function setAt(root: Mutable, path: readonly Segment[], value: unknown): void {
  let parent: unknown = root;
  for (const [index, segment] of path.entries()) {
    const next = path[index + 1];
    const stored = childOf(parent, segment);
    // An empty object asks for no field; those that others set stay.
    const keeps = next !== undefined || (isEmptyObject(value) && isObject(stored));
    let child = keeps ? stored : value;
    if (next !== undefined && typeof next !== 'string' && !Array.isArray(child)) child = [];
    else if (typeof next === 'string' && !isObject(child)) child = typeof segment === 'string' ? {} : { ...segment };
    if (typeof segment === 'string') (parent as Mutable)[segment] = child;
    else if (stored === undefined) (parent as unknown[]).push(child);
    parent = child;
  }
}

/** Takes a leaf out, and what became empty with it. */
function removeAt(parent: unknown, path: readonly Segment[]): void {
  const [segment, ...rest] = path;
  const child = segment === undefined ? undefined : childOf(parent, segment);
  if (segment === undefined || child === undefined) return;
  if (rest.length > 0) {
    removeAt(child, rest);
    const left = Array.isArray(child) ? child.length : isObject(child) ? Object.keys(child).length : 0;
    if (left > 0) return;
  }
  if (typeof segment === 'string') delete (parent as Mutable)[segment];
  else (parent as unknown[]).splice((parent as unknown[]).indexOf(child), 1);
}

/** The key by which an item is found must be the last of it to go. */
function keysLast(paths: readonly Segment[][]): Segment[][] {
  const isKey = (path: readonly Segment[]): boolean => {
    const item = path.at(-2);
    return typeof item === 'object' && String(path.at(-1)) in item;
  };
  return paths.toSorted((a, b) => Number(isKey(a)) - Number(isKey(b)) || b.length - a.length);
}

/** Who owns which leaves of one object. */
export class FieldOwnership {
  #owned = new Map<string, Set<string>>();

  /**
   * Forced server-side apply: what `manager` applied before and no longer names goes, unless another one owns it too.
   *
   * @param part 'status' or 'main': a manager's fields of each are apart
   * @param stored is changed
   */
  apply(manager: string, part: string, stored: Mutable, applied: object): void {
    const id = `${manager}/${part}`;
    const leaves = leavesOf(applied);
    const before = leavesOf(stored);
    const dropped = [...(this.#owned.get(id) ?? [])].filter(
      (path) => !leaves.has(path) && !this.#ownedByOther(id, path),
    );
    for (const path of keysLast(dropped.map((text) => JSON.parse(text)))) removeAt(stored, path);
    for (const [path, value] of leaves) {
      const changed = JSON.stringify(before.get(path)) !== JSON.stringify(value);
      if (changed) for (const [other, paths] of this.#owned) if (other !== id) paths.delete(path);
      setAt(stored, JSON.parse(path), structuredClone(value));
    }
    this.#owned.set(id, new Set(leaves.keys()));
  }

  /** A create, replace or patch: what it changed is its own now. */
  update(manager: string, before: object, after: object): void {
    const id = `${manager}/update`;
    const own = this.#owned.get(id) ?? new Set<string>();
    this.#owned.set(id, own);
    const old = leavesOf(before);
    const now = leavesOf(after);
    for (const [path, value] of now) {
      if (JSON.stringify(old.get(path)) === JSON.stringify(value)) continue;
      for (const paths of this.#owned.values()) paths.delete(path);
      own.add(path);
    }
    for (const path of old.keys()) if (!now.has(path)) for (const paths of this.#owned.values()) paths.delete(path);
  }

  #ownedByOther(id: string, path: string): boolean {
    return [...this.#owned].some(([other, paths]) => other !== id && paths.has(path));
  }
}
