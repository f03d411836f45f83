import type { IncomingMessage } from 'node:http';
import type { Resource } from '../kube-api.ts';
import type { RequestVerb } from './faults.ts';

/** A request of the Kubernetes API, read from its path. */
export interface ApiRequest {
  readonly verb: RequestVerb;
  readonly resource: Resource;
  /** undefined: all of them. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly isStatus: boolean;
  readonly query: URLSearchParams;
}

/** @returns undefined for a path that names no known resource */
export function readRequest(request: IncomingMessage, resources: readonly Resource[]): ApiRequest | undefined {
  const url = new URL(request.url ?? '/', 'http://api');
  const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const [root, ...rest] = parts;
  const group = root === 'apis' ? (rest.shift() ?? '') : '';
  const version = rest.shift() ?? '';
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest[1] : undefined;
  if (namespace !== undefined) rest.splice(0, 2);
  const [plural, name = '', subresource] = rest;
  const resource = resources.find((each) => each.plural === plural && each.group === group && each.version === version);
  const verb = verbOf(request.method ?? '', name, url.searchParams);
  if (resource === undefined || verb === undefined) return undefined;
  return { verb, resource, namespace, name, isStatus: subresource === 'status', query: url.searchParams };
}

function verbOf(method: string, name: string, query: URLSearchParams): RequestVerb | undefined {
  if (method === 'GET' && name !== '') return 'get';
  if (method === 'GET') return query.get('watch') === 'true' ? 'watch' : 'list';
  const verbs: Readonly<Record<string, RequestVerb>> = {
    POST: 'create',
    PUT: 'replace',
    PATCH: 'patch',
    DELETE: 'delete',
  };
  return verbs[method];
}
