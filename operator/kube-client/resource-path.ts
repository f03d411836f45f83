import type { Resource } from '../kube-api.ts';

interface Target {
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  /** All objects when absent. */
  readonly name?: string | undefined;
  readonly subresource?: string;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** "/apis/apps/v1/namespaces/NAMESPACE/statefulsets/NAME?…"; what is undefined in the query is left out. */
export function resourcePath(resource: Resource, target: Target, query: Query = {}): string {
  const { group, version, plural, namespaced } = resource;
  const parts = group === '' ? ['api', version] : ['apis', group, version];
  if (namespaced && target.namespace !== undefined) parts.push('namespaces', target.namespace);
  parts.push(plural);
  if (target.name !== undefined) parts.push(target.name);
  if (target.subresource !== undefined) parts.push(target.subresource);
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined || value === '' ? [] : [[name, String(value)]],
  );
  const text = new URLSearchParams(given).toString();
  return `/${parts.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}
