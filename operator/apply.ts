import type { KubeClient, KubeObject, Resource } from './kube-api.ts';
import type { WrittenObjects } from './written-objects.ts';

/** What was applied last, and how the API server showed it: it writes some values in another way than they were given. */
interface Applied {
  readonly desired: string;
  readonly shown: string;
}

/** Brings objects to their desired state by server-side apply, and leaves those alone that are in it. */
export class Applier {
  #client: KubeClient;
  #objects: WrittenObjects;
  #applied = new Map<string, Applied>();

  constructor(client: KubeClient, objects: WrittenObjects) {
    this.#client = client;
    this.#objects = objects;
  }

  /**
   * @param observed undefined when there is none
   * @returns whether it was written
   * @throws KubeApiError as the API server answers
   */
  async apply(resource: Resource, desired: KubeObject, observed: KubeObject | undefined): Promise<boolean> {
    const key = [resource.group, resource.plural, desired.metadata.namespace, desired.metadata.name].join('/');
    if (observed !== undefined && this.#isApplied(key, desired, observed)) return false;
    const result = await this.#client.apply(resource, desired);
    this.#objects.wrote(resource, result);
    this.#applied.set(key, { desired: JSON.stringify(desired), shown: JSON.stringify(partOf(result, desired)) });
    return true;
  }

  forget(resource: Resource, namespace: string, name: string): void {
    this.#applied.delete([resource.group, resource.plural, namespace, name].join('/'));
  }

  #isApplied(key: string, desired: KubeObject, observed: KubeObject): boolean {
    if (contains(observed, desired)) return true;
    const applied = this.#applied.get(key);
    if (applied === undefined || applied.desired !== JSON.stringify(desired)) return false;
    return applied.shown === JSON.stringify(partOf(observed, desired));
  }
}

/** Everything that `part` says is in `whole`, which may say more; lists must be as long. */
export function contains(whole: unknown, part: unknown): boolean {
  if (part === undefined) return true;
  if (Array.isArray(part)) {
    return Array.isArray(whole) && whole.length === part.length && part.every((item, at) => contains(whole[at], item));
  }
  if (isRecord(part)) {
    const isEmpty = Object.values(part).every((value) => value === undefined);
    // The API server leaves out what is empty.
    if (isEmpty && whole === undefined) return true;
    return isRecord(whole) && Object.entries(part).every(([key, value]) => contains(whole[key], value));
  }
  // false and 0 are left out where they mean the default.
  return whole === part || (whole === undefined && (part === false || part === ''));
}

/** As much of `whole` as `part` speaks of. */
function partOf(whole: unknown, part: unknown): unknown {
  if (Array.isArray(part) && Array.isArray(whole)) return whole.map((item, at) => partOf(item, part[at]));
  if (!isRecord(part) || !isRecord(whole)) return whole;
  return Object.fromEntries(Object.keys(part).map((key) => [key, partOf(whole[key], part[key])]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
