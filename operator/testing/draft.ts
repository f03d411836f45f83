import { isDeepStrictEqual } from 'node:util';
import { KubeApiError, type KubeObject, type Resource } from '../kube-api.ts';
import { apiVersionOf } from '../resources.ts';

export interface DraftMeta extends Record<string, unknown> {
  name: string;
  finalizers?: readonly string[];
  deletionTimestamp?: string;
}

/** An object while it is being written. */
export type Draft = Record<string, unknown> & { apiVersion: string; kind: string; metadata: DraftMeta };

export function draftOf(object: KubeObject): Draft {
  return JSON.parse(JSON.stringify(object));
}

export function failure(status: number, reason: string, message: string): KubeApiError {
  return new KubeApiError(message, { status, reason });
}

export function nameOf({ plural, group }: Resource, name: string): string {
  return `${group === '' ? plural : `${plural}.${group}`} "${name}"`;
}

/** @returns its namespace, '' for none. @throws KubeApiError 400 or 422 for what no API server takes */
export function namespaceOf(resource: Resource, draft: Draft): string {
  const { name, namespace } = draft.metadata;
  if (draft.kind !== resource.kind || draft.apiVersion !== apiVersionOf(resource)) {
    const expected = `${apiVersionOf(resource)} ${resource.kind}`;
    throw failure(400, 'BadRequest', `${draft.apiVersion} ${draft.kind}: expected ${expected}`);
  }
  if (typeof name !== 'string' || !/^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$/.test(name) || name.length > 253) {
    throw failure(422, 'Invalid', `${resource.kind}: metadata.name: Invalid value: ${JSON.stringify(name)}`);
  }
  if (!resource.namespaced) return '';
  if (typeof namespace !== 'string') throw failure(400, 'BadRequest', `${nameOf(resource, name)}: no namespace`);
  return namespace;
}

/** What a change of raises the generation: everything but metadata and status. */
export function sameDesired(a: object, b: object): boolean {
  const desired = ({ metadata: _, status: __, ...rest }: Record<string, unknown>) => rest;
  return isDeepStrictEqual(desired({ ...a }), desired({ ...b }));
}

export function sameJson(a: object, b: object): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}
