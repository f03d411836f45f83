import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { type ControlPlane, startControlPlane } from '../e2e/cluster/control-plane.ts';
import type { GateSvr } from './api/gatesvr.ts';
import { desiredObjects } from './desired/desired-objects.ts';
import { desiredSecrets } from './desired/secrets.ts';
import { desiredPairSlices } from './desired/services.ts';
import { KubeApiError, type KubeObject, type Resource } from './kube-api.ts';
import { findCluster } from './kube-client/find-cluster.ts';
import { HttpKubeClient } from './kube-client/http-kube-client.ts';
import { systemClock } from './lib/clock.ts';
import { gateSvrs, pods, resourceOf, zones } from './resources.ts';
import { badGateSvrs, badZones } from './testing/bad-objects.ts';
import { gateSvrOf } from './testing/defaulted.ts';

const definitions: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const namespaces: Resource = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };

interface Definition extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
  };
}

let plane: ControlPlane;
let client: HttpKubeClient;

beforeAll(async () => {
  plane = await startControlPlane();
  const readFile = (path: string) => readFileSync(path);
  const access = findCluster({ kubeconfig: plane.kubeconfigPath }, { env: {}, readFile, nowMs: Date.now });
  client = new HttpKubeClient({
    access,
    clock: systemClock,
    metrics: { requested: () => {} },
    fieldManager: 'crd-test',
    userAgent: 'crd-test',
    callTimeoutMs: 30_000,
  });
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await client.apply(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'games', labels } });
  for (const name of ['gatesvrs', 'zones'])
    await client.apply(definitions, readYaml(`../crds/gatesvr.io_${name}.yaml`));
  await vi.waitUntil(establishedAll, { timeout: 30_000, interval: 100 });
});
afterAll(() => plane?.stop());

function readYaml(path: string): KubeObject {
  return parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
}

async function conditionsOf(name: string): Promise<NonNullable<NonNullable<Definition['status']>['conditions']>> {
  const found = await client.get<Definition>(definitions, '', `${name}.gatesvr.io`);
  return found?.status?.conditions ?? [];
}

async function establishedAll(): Promise<boolean> {
  const all = await Promise.all(['gatesvrs', 'zones'].map(conditionsOf));
  return all.every((conditions) => conditions.some(({ type, status }) => type === 'Established' && status === 'True'));
}

/** What the API server says of an object; 'accepted' when it takes it. */
async function answerTo(resource: Resource, object: object): Promise<string> {
  try {
    await client.create(resource, object as KubeObject);
    return 'accepted';
  } catch (error) {
    if (error instanceof KubeApiError) return error.message;
    throw error;
  }
}

function gateSvr(name: string, spec: object): object {
  return { apiVersion: 'gatesvr.io/v1alpha1', kind: 'GateSvr', metadata: { name, namespace: 'games' }, spec };
}

function zone(name: string, spec: object): object {
  const given = { gateSvrRef: { name: 'shop' }, zoneId: '001', endpoints: { addresses: [{ address: 'z:1' }] } };
  const metadata = { name, namespace: 'games' };
  return { apiVersion: 'gatesvr.io/v1alpha1', kind: 'Zone', metadata, spec: { ...given, ...spec } };
}

/** The scale subresource, as what lies below the object. */
function scaleOf(name: string): Resource {
  return { ...gateSvrs, plural: `gatesvrs/${name}` };
}

it('the schemas are structural, and their names are taken', async () => {
  for (const name of ['gatesvrs', 'zones']) {
    const bad = (await conditionsOf(name)).filter(({ type, status }) =>
      type === 'NonStructuralSchema' ? status === 'True' : status === 'False',
    );
    expect(bad).toEqual([]);
  }
});

describe('a bad GateSvr is refused with a message that says what is wrong', () => {
  it.each(badGateSvrs)('%s', async (_, spec, message) => {
    expect(await answerTo(gateSvrs, gateSvr('bad', spec))).toContain(message);
  });

  it.each([
    ['a'.repeat(41), 'the name may have at most 40 characters'],
    ['1st', 'the name must be a DNS label that begins with a letter'],
    ['two.parts', 'the name must be a DNS label that begins with a letter'],
  ])('named %s', async (name, message) => {
    expect(await answerTo(gateSvrs, gateSvr(name, {}))).toContain(message);
  });

  it('whose load balancer class is changed', async () => {
    const named = { serviceType: 'LoadBalancer', loadBalancerClass: 'one' };
    await client.apply(gateSvrs, gateSvr('class', { quic: named }) as KubeObject);
    const change = client.apply(
      gateSvrs,
      gateSvr('class', { quic: { ...named, loadBalancerClass: 'two' } }) as KubeObject,
    );
    await expect(change).rejects.toThrow('loadBalancerClass cannot be changed; make the GateSvr again');
  });
});

describe('a bad Zone is refused with a message that says what is wrong', () => {
  it.each(badZones)('%s', async (_, spec, message) => {
    expect(await answerTo(zones, zone('bad', spec))).toContain(message);
  });

  it.each([
    ['gateSvrRef', { gateSvrRef: { name: 'other' } }],
    ['zoneId', { zoneId: '002' }],
  ])('whose %s is changed', async (field, change) => {
    await client.apply(zones, zone('fixed', {}) as KubeObject);
    await expect(client.apply(zones, zone('fixed', change) as KubeObject)).rejects.toThrow(
      `${field} cannot be changed; make another Zone`,
    );
  });
});

describe('good objects', () => {
  it('an empty spec gets the defaults that the types promise', async () => {
    const made = await client.create(gateSvrs, gateSvr('shop', {}) as KubeObject);
    expect((made as GateSvr).spec).toEqual(gateSvrOf({}).spec);
  });

  it.each(readdirSync(new URL('../docs/examples', import.meta.url)))('docs/examples/%s', async (file) => {
    const text = readFileSync(new URL(`../docs/examples/${file}`, import.meta.url), 'utf8');
    for (const document of parseAllDocuments(text)) {
      const object = document.toJS() as KubeObject;
      const metadata = { ...object.metadata, namespace: 'games' };
      await client.apply(resourceOf(object), { ...object, metadata });
    }
  });

  it('an HPA may scale, by the number of pairs', async () => {
    await client.apply(gateSvrs, gateSvr('scaled', { pairs: 2 }) as KubeObject);
    const status = { replicas: 2, selector: 'gatesvr.io/name=scaled,gatesvr.io/role=primary' };
    await client.applyStatus(gateSvrs, { ...gateSvr('scaled', {}), spec: undefined, status } as unknown as KubeObject);
    const scale = await client.get(scaleOf('scaled'), 'games', 'scale');
    expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 2 }, status });
  });
});

describe('the objects of a GateSvr', () => {
  it.each([
    ['empty', {}],
    [
      'full',
      {
        pairs: 2,
        quic: { serviceType: 'LoadBalancer', nodePort: 30_453, advertise: 'p{pair}.shop.example:8453' },
        scheduling: { antiAffinity: 'Required', tolerations: [{ operator: 'Exists' }], nodeSelector: { a: 'b' } },
        auth: { mode: 'hmac', hmac: { secret: { name: 'tokens', key: 'hmac' } } },
        directory: { redis: { addresses: ['redis:6379'], passwordSecret: { name: 'redis', key: 'password' } } },
        podTemplate: { spec: { containers: [{ name: 'gateway', tty: true }] } },
      },
    ],
  ])('of an %s spec are all accepted, and applying them again changes nothing', async (name, spec) => {
    const owner = (await client.create(gateSvrs, gateSvr(`objects-${name}`, spec) as KubeObject)) as GateSvr;
    const primary = { name: 'pod', uid: 'u', ip: '198.18.0.9', nodeName: 'node' };
    const objects = [
      ...desiredObjects(owner, { defaultImage: 'gatesvr/gateway:1.2.3' }),
      ...desiredPairSlices(owner, 0, primary),
      ...desiredPairSlices(owner, 0, undefined),
    ];
    const inputs = {
      existing: () => undefined,
      wallMs: Date.now(),
      randomBytes: (count: number) => new Uint8Array(count),
    };
    for (const secret of (await desiredSecrets(owner, inputs)).created) await client.create(resourceOf(secret), secret);
    const versions = new Map<string, string | undefined>();
    for (const object of objects) {
      const { metadata } = await client.apply(resourceOf(object), object);
      versions.set(`${object.kind} ${metadata.name}`, metadata.resourceVersion);
    }
    for (const object of desiredObjects(owner, { defaultImage: 'gatesvr/gateway:1.2.3' })) {
      const { metadata } = await client.apply(resourceOf(object), object);
      expect(metadata.resourceVersion).toBe(versions.get(`${object.kind} ${metadata.name}`));
    }
  });

  it('make pods of the restricted Pod Security level, unless the spec lays something else over them', async () => {
    const podOf = async (name: string, spec: object): Promise<string> => {
      const owner = (await client.create(gateSvrs, gateSvr(name, spec) as KubeObject)) as GateSvr;
      const objects = desiredObjects(owner, { defaultImage: 'gatesvr/gateway:1.2.3' });
      for (const object of objects) await client.apply(resourceOf(object), object);
      const set = objects.find(({ kind }) => kind === 'StatefulSet') as unknown as { spec: { template: object } };
      const metadata = { name: `${name}-p0-a-0`, namespace: 'games' };
      return answerTo(pods, { apiVersion: 'v1', kind: 'Pod', ...set.spec.template, metadata });
    };
    expect(await podOf('restricted', {})).toBe('accepted');
    const loose = { podTemplate: { spec: { hostNetwork: true } } };
    expect(await podOf('loose', loose)).toContain('violates PodSecurity "restricted:latest": host namespaces');
  });
});
