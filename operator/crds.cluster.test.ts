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
import { gateSvrs, resourceOf, zones } from './resources.ts';
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
  await client.apply(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'games' } });
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

const badGateSvrs: [string, object, string][] = [
  ['no pair', { pairs: 0 }, 'spec.pairs in body should be greater than or equal to 1'],
  ['too many pairs', { pairs: 101 }, 'spec.pairs in body should be less than or equal to 100'],
  ['a pair that is no number', { pairs: 'two' }, 'spec.pairs in body must be of type integer: "string"'],
  [
    'an unknown mode',
    { auth: { mode: 'magic' } },
    'Unsupported value: "magic": supported values: "none", "hmac", "jwt", "grpc"',
  ],
  ['hmac without a secret', { auth: { mode: 'hmac' } }, 'auth.mode hmac needs auth.hmac'],
  ['jwt without keys', { auth: { mode: 'jwt', jwt: {} } }, 'expected exactly one of jwksUrl and jwksConfigMap'],
  [
    'warning at its limit',
    { overload: { maxQps: 100, qpsWarningThreshold: 100 } },
    'qpsWarningThreshold must be less than maxQps',
  ],
  [
    'warning above its limit',
    { overload: { connectionWarningThreshold: 5000 } },
    'connectionWarningThreshold must be less than maxConnections',
  ],
  [
    'a hasty timeout',
    { failover: { heartbeatInterval: '500ms', heartbeatTimeout: '1s' } },
    'heartbeatTimeout must be at least 3 × heartbeatInterval',
  ],
  ['a hasty reset', { failover: { resetAfter: '1s' } }, 'resetAfter must be at least 2 × heartbeatTimeout'],
  ['a duration without unit', { failover: { delay: '5' } }, 'spec.failover.delay in body should match'],
  ['a duration out of range', { failover: { heartbeatInterval: '2m', heartbeatTimeout: '9m' } }, 'expected 10ms to 1m'],
  [
    'an address of all pairs',
    { pairs: 2, quic: { advertise: 'gate.example:8453' } },
    'quic.advertise must contain {pair} when there is more than one pair',
  ],
  ['a node port inside', { quic: { nodePort: 30000 } }, 'nodePort needs serviceType NodePort or LoadBalancer'],
  [
    'a class without balancer',
    { quic: { loadBalancerClass: 'x' } },
    'loadBalancerClass needs serviceType LoadBalancer',
  ],
  ['a port out of range', { quic: { port: 70000 } }, 'spec.quic.port in body should be less than or equal to 65535'],
  ['frames that fit no queue', { session: { maxFrameBytes: 1048576 } }, 'queueMaxBytes must be at least maxFrameBytes'],
  [
    'a heart that beats once',
    { session: { idleTimeout: '15s' } },
    'idleTimeout must be at least 2 × heartbeatInterval',
  ],
  [
    'certificates that end at once',
    { certificates: { validity: '24h', renewBefore: '24h' } },
    'validity must be at least 2 × renewBefore',
  ],
  [
    'two servers of one Redis',
    { directory: { redis: { addresses: ['a:1', 'b:1'] } } },
    'mode standalone has exactly one address',
  ],
  [
    'a cluster with a database',
    { directory: { redis: { mode: 'cluster', addresses: ['a:1'], database: 3 } } },
    'a cluster has only database 0',
  ],
  [
    'labels of the operator',
    { podTemplate: { labels: { 'gatesvr.io/role': 'primary' } } },
    'labels of gatesvr.io belong to the operator',
  ],
  [
    'memory of no size',
    { resources: { limits: { memory: 'much' } } },
    'spec.resources.limits.memory in body should match',
  ],
  ['an image with a blank', { image: 'a b' }, 'spec.image in body should match'],
  [
    'too many tolerations',
    { scheduling: { tolerations: Array.from({ length: 33 }, () => ({ operator: 'Exists' })) } },
    'spec.scheduling.tolerations: Too many: 33: must have at most 32 items',
  ],
];

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
  it.each<[string, object, string]>([
    ['number of one digit', { zoneId: '1' }, 'spec.zoneId in body should match'],
    ['number 000', { zoneId: '000' }, 'expected 001 to 999'],
    ['no endpoints', { endpoints: {} }, 'expected exactly one of addresses and service'],
    [
      'both kinds of endpoints',
      { endpoints: { addresses: [{ address: 'z:1' }], service: { name: 's', port: 1 } } },
      'expected exactly one of addresses and service',
    ],
    [
      'an address without port',
      { endpoints: { addresses: [{ address: 'zone' }] } },
      'spec.endpoints.addresses[0].address in body should match',
    ],
    ['port 0', { endpoints: { addresses: [{ address: 'zone:0' }] } }, 'expected a port from 1 to 65535'],
    ['port 65536', { endpoints: { addresses: [{ address: 'zone:65536' }] } }, 'expected a port from 1 to 65535'],
    ['an address twice', { endpoints: { addresses: [{ address: 'z:1' }, { address: 'z:1' }] } }, 'Duplicate value'],
    [
      'a Service’s port 0',
      { endpoints: { service: { name: 's', port: 0 } } },
      'expected a port from 1 to 65535, or the name of a port',
    ],
    ['a weight of nothing', { weight: 0 }, 'spec.weight in body should be greater than or equal to 1'],
  ])('%s', async (_, spec, message) => {
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
});
