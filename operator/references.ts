import type { GateSvr } from './api/gatesvr.ts';
import { namespaceOf } from './desired/names.ts';
import type { KubeClient, KubeObject, Resource } from './kube-api.ts';
import type { Problem } from './plan-conditions.ts';
import { configMaps, secrets } from './resources.ts';

interface Reference {
  /** Path of the field that names the object. */
  readonly path: string;
  readonly resource: Resource;
  readonly name: string;
  readonly keys: readonly string[];
}

interface WithData extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** Objects of the user that a GateSvr names. */
function referencesOf({ spec }: GateSvr): Reference[] {
  const references: Reference[] = [];
  const add = (path: string, resource: Resource, name: string | undefined, ...keys: string[]): void => {
    if (name !== undefined) references.push({ path, resource, name, keys });
  };
  const { quic, auth, directory } = spec;
  add('spec.quic.tlsSecret.name', secrets, quic.tlsSecret?.name, 'tls.crt', 'tls.key');
  if (auth.mode === 'hmac' && auth.hmac !== undefined) {
    add('spec.auth.hmac.secret', secrets, auth.hmac.secret.name, auth.hmac.secret.key);
  }
  const keySet = auth.mode === 'jwt' ? auth.jwt?.jwksConfigMap : undefined;
  if (keySet !== undefined) add('spec.auth.jwt.jwksConfigMap', configMaps, keySet.name, keySet.key);
  const password = directory.redis?.passwordSecret;
  if (password !== undefined) add('spec.directory.redis.passwordSecret', secrets, password.name, password.key);
  return references;
}

/** What a GateSvr names and is not there, or lacks a key: pods would wait for it without a word. */
export async function missingReferences(gateSvr: GateSvr, client: KubeClient): Promise<Problem[]> {
  const namespace = namespaceOf(gateSvr);
  const looks = referencesOf(gateSvr).map(async ({ path, resource, name, keys }): Promise<Problem[]> => {
    const found = await client.get<WithData>(resource, namespace, name);
    const object = `${resource.kind} "${name}" in namespace ${namespace}`;
    if (found === undefined) {
      return [{ reason: 'ReferenceMissing', message: `${path}: ${object} was not found: create it, or name another` }];
    }
    const missing = keys.filter((key) => found.data?.[key] === undefined);
    if (missing.length === 0) return [];
    const message = `${path}: ${object} has no key ${missing.join(' and no key ')}: add it, or name another`;
    return [{ reason: 'ReferenceMissing', message }];
  });
  return (await Promise.all(looks)).flat();
}
