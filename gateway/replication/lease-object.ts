import type { Lease, LeaseContent } from './arbiter.ts';

/** As much of a coordination.k8s.io/v1 Lease as is read or written here; what others put into it is kept as it is. */
export interface LeaseObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number };
}

const epochKey = 'gatesvr.io/epoch';
const historyKey = 'gatesvr.io/history';
const inSyncKey = 'gatesvr.io/in-sync';
const membersMax = 16;
const transitionsMax = 2_147_483_647;
const incarnationForm = /^[^\s,/]{1,253}\/[^\s,/]{1,64}$/;
const historyForm = /^\S{1,64}$/;

/** Somebody wrote something into the Lease that is none of ours; the message names the field and the value. */
export class LeaseContentError extends Error {
  override readonly name = 'LeaseContentError';
}

function wrong(field: string, value: unknown, expected: string): LeaseContentError {
  const shown = (JSON.stringify(value) ?? 'not set').slice(0, 100);
  return new LeaseContentError(`${field}: ${shown}: expected ${expected}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What the API server answered, as an object with a version.
 * @throws LeaseContentError when it is no Lease.
 */
export function leaseObjectOf(value: unknown): LeaseObject {
  if (!isRecord(value) || value['kind'] !== 'Lease') {
    throw wrong('kind', isRecord(value) ? value['kind'] : value, '"Lease"');
  }
  const { metadata } = value;
  if (!isRecord(metadata)) throw wrong('metadata', metadata, 'an object');
  const { resourceVersion, uid } = metadata;
  // Compared with versions of this object only, which rise as numbers.
  const isVersion = typeof resourceVersion === 'string' && /^\d{1,15}$/.test(resourceVersion);
  if (!isVersion) throw wrong('metadata.resourceVersion', resourceVersion, 'digits');
  if (typeof uid !== 'string' || uid === '') throw wrong('metadata.uid', uid, 'text');
  return value as unknown as LeaseObject;
}

/** Names this version of this object: one that was deleted and made again is another, whatever its version. */
export function tokenOf({ metadata }: LeaseObject): string {
  return `${metadata.uid}/${metadata.resourceVersion}`;
}

/**
 * The Lease in the object; undefined for one that was prepared (owner, labels) but never held.
 * @throws LeaseContentError that names the field and what was found there.
 */
export function leaseOf(object: LeaseObject): Lease | undefined {
  const { metadata, spec } = object;
  const annotations: unknown = metadata.annotations ?? {};
  if (!isRecord(annotations)) throw wrong('metadata.annotations', annotations, 'an object');
  const { [epochKey]: epoch, [historyKey]: history, [inSyncKey]: inSync } = annotations;
  const holder = spec?.holderIdentity ?? '';
  if (holder === '' && epoch === undefined && history === undefined && inSync === undefined) return undefined;
  const holderField = 'spec.holderIdentity';
  if (!isIncarnation(holder)) throw wrong(holderField, holder, 'POD/ID, the incarnation of a gateway');
  const epochNumber = typeof epoch === 'string' && /^[1-9]\d{0,15}$/.test(epoch) ? Number(epoch) : Number.NaN;
  if (!Number.isSafeInteger(epochNumber)) throw wrong(annotation(epochKey), epoch, 'a whole number from 1 to 2^53 - 1');
  if (typeof history !== 'string' || !historyForm.test(history)) {
    throw wrong(annotation(historyKey), history, 'an id of 1 to 64 characters');
  }
  const members = typeof inSync === 'string' ? inSync.split(',') : [];
  const isSet = members.length > 0 && members.length <= membersMax && new Set(members).size === members.length;
  if (!isSet || !members.every(isIncarnation)) {
    throw wrong(annotation(inSyncKey), inSync, `1 to ${membersMax} different incarnations, with commas between them`);
  }
  if (!members.includes(holder)) throw wrong(annotation(inSyncKey), inSync, `a set with the holder ${holder} in it`);
  const revision = Number(metadata.resourceVersion);
  return { epoch: epochNumber, history, holder, inSync: members, revision, token: tokenOf(object) };
}

function isIncarnation(value: unknown): value is string {
  return typeof value === 'string' && incarnationForm.test(value);
}

function annotation(key: string): string {
  return `metadata.annotations[${key}]`;
}

/**
 * The object to write: a compare-and-swap on the version of `current`, or a creation that fails when there is one.
 * @param current the object as it was last seen; undefined when there is none.
 */
export function leaseObjectFor(
  place: { readonly namespace: string; readonly name: string },
  current: LeaseObject | undefined,
  next: LeaseContent,
): LeaseObject {
  const annotations = {
    ...current?.metadata.annotations,
    [epochKey]: String(next.epoch),
    [historyKey]: next.history,
    [inSyncKey]: next.inSync.join(','),
  };
  const before = current?.spec?.leaseTransitions ?? 0;
  const promoted = current?.metadata.annotations?.[epochKey] !== annotations[epochKey];
  return {
    ...current,
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...current?.metadata, ...place, annotations },
    spec: {
      ...current?.spec,
      holderIdentity: next.holder,
      leaseTransitions: Math.min(before + (promoted ? 1 : 0), transitionsMax),
    },
  };
}
