import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { GateSvr } from '../api/gatesvr.ts';
import type { Zone } from '../api/zone.ts';
import type { ObjectMeta } from '../kube-api.ts';

interface Schema {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

type Partly<T> = T extends readonly unknown[] | string | number | boolean | Readonly<Record<string, unknown>>
  ? T
  : { readonly [K in keyof T]?: Partly<T[K]> };

function specSchema(plural: string): Schema {
  const yaml = readFileSync(new URL(`../../crds/gatesvr.io_${plural}.yaml`, import.meta.url), 'utf8');
  return parse(yaml).spec.versions[0].schema.openAPIV3Schema.properties.spec;
}

const schemas = { gatesvrs: specSchema('gatesvrs'), zones: specSchema('zones') };

/** Fills in defaults as the API server does. */
function defaulted(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => defaulted(schema.items ?? {}, item));
  if (typeof value !== 'object' || value === null) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const given = filled[name] ?? structuredClone(child.default);
    if (given !== undefined) filled[name] = defaulted(child, given);
  }
  return filled;
}

/** A GateSvr as the API server hands it out when only this much of its spec is given. */
export function gateSvrOf(metadata: Partial<ObjectMeta>, spec: Partly<GateSvr['spec']> = {}): GateSvr {
  return {
    apiVersion: 'gatesvr.io/v1alpha1',
    kind: 'GateSvr',
    metadata: { name: 'shop', namespace: 'games', uid: 'uid-of-shop', generation: 1, ...metadata },
    spec: defaulted(schemas.gatesvrs, spec) as GateSvr['spec'],
  };
}

/** A Zone as the API server hands it out when only this much of its spec is given. */
export function zoneOf(metadata: Partial<ObjectMeta>, spec: Partly<Zone['spec']>): Zone {
  return {
    apiVersion: 'gatesvr.io/v1alpha1',
    kind: 'Zone',
    metadata: { name: 'zone-001', namespace: 'games', uid: 'uid-of-zone-001', generation: 1, ...metadata },
    spec: defaulted(schemas.zones, spec) as Zone['spec'],
  };
}
