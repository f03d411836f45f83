import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube-api.ts';
import { anyGateSvr } from '../testing/any-gatesvr.ts';
import { gateSvrOf } from '../testing/defaulted.ts';
import { desiredObjects } from './desired-objects.ts';
import { templateHash } from './pod-template.ts';
import { desiredPairSlices } from './services.ts';

const inputs = { defaultImage: 'gatesvr/gateway:1.2.3' };

/** As the API server would get it, so that nothing is undefined by accident. */
function objectsOf(gateSvr: ReturnType<typeof gateSvrOf>): Record<string, unknown>[] {
  return JSON.parse(JSON.stringify(desiredObjects(gateSvr, inputs)));
}

type Found = Record<string, never> & { metadata: KubeObject['metadata']; spec: Record<string, never> };

function find(gateSvr: ReturnType<typeof gateSvrOf>, kind: string, name: string): Found {
  const found = objectsOf(gateSvr).find((object) => object['kind'] === kind && nameOf(object) === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found as Found;
}

function nameOf(object: Record<string, unknown>): string {
  return (object['metadata'] as { name: string }).name;
}

describe('the objects of a GateSvr', () => {
  it('are these, by kind and name', () => {
    const gateSvr = gateSvrOf({}, { pairs: 2 });
    const named = objectsOf(gateSvr).map((object) => `${object['kind']} ${nameOf(object)}`);
    const config = named.find((name) => name.startsWith('ConfigMap shop-config-'));
    const ofPair = (pair: string) => [
      `ServiceAccount ${pair}`,
      `Role ${pair}`,
      `RoleBinding ${pair}`,
      `PodDisruptionBudget ${pair}`,
      `StatefulSet ${pair}-a`,
      `StatefulSet ${pair}-b`,
    ];
    expect(named).toEqual([
      config,
      'ConfigMap shop-limits',
      'ConfigMap shop-fleet',
      'Service shop-quic',
      'Service shop-upstream',
      'Service shop-peers',
      'NetworkPolicy shop',
      ...ofPair('shop-p0'),
      ...ofPair('shop-p1'),
    ]);
  });

  it('a StatefulSet has one pod that only a deletion replaces, apart from its peer', () => {
    const { spec, metadata } = find(gateSvrOf({}), 'StatefulSet', 'shop-p0-b');
    expect(metadata.annotations?.['gatesvr.io/template-hash']).toBe(templateHash(gateSvrOf({}), inputs));
    expect(spec).toMatchObject({
      replicas: 1,
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      serviceName: 'shop-peers',
      selector: { matchLabels: { 'gatesvr.io/name': 'shop', 'gatesvr.io/pair': 'p0', 'gatesvr.io/member': 'b' } },
      template: {
        spec: {
          terminationGracePeriodSeconds: 45,
          enableServiceLinks: false,
          serviceAccountName: 'shop-p0',
          affinity: {
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  podAffinityTerm: {
                    topologyKey: 'kubernetes.io/hostname',
                    labelSelector: { matchLabels: { 'gatesvr.io/name': 'shop', 'gatesvr.io/pair': 'p0' } },
                  },
                },
              ],
            },
          },
        },
      },
    });
  });

  it('a member finds its peer and its Lease by its flags', () => {
    const { spec } = find(
      gateSvrOf({}, { quic: { advertise: 'p{pair}.shop.example:8453' } }),
      'StatefulSet',
      'shop-p0-a',
    );
    const { args } = (spec as unknown as { template: { spec: { containers: { args: string[] }[] } } }).template.spec
      .containers[0] as { args: string[] };
    expect(args).toContain('--backup-heartbeat-peer-addr=shop-p0-b-0.shop-peers.games.svc:8093');
    expect(args).toContain('--backup-sync-peer-addr=shop-p0-b-0.shop-peers.games.svc:8094');
    expect(args).toContain('--backup-kubernetes-lease-name=shop-p0');
    expect(args).toContain('--advertise-addr=p0.shop.example:8453');
  });

  it('a gateway may touch its own Lease and nothing else', () => {
    expect(find(gateSvrOf({}), 'Role', 'shop-p0')['rules']).toEqual([
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: ['shop-p0'],
        verbs: ['get', 'watch', 'update', 'patch', 'create'],
      },
    ]);
  });

  it('the budget keeps the primary, and lets broken pods go', () => {
    expect(find(gateSvrOf({}), 'PodDisruptionBudget', 'shop-p0').spec).toEqual({
      minAvailable: 1,
      selector: {
        matchLabels: { 'gatesvr.io/name': 'shop', 'gatesvr.io/pair': 'p0', 'gatesvr.io/role': 'primary' },
      },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
  });

  it('Services of clients and zones have no selector', () => {
    const gateSvr = gateSvrOf(
      {},
      { quic: { serviceType: 'LoadBalancer', annotations: { lb: 'udp' }, externalTrafficPolicy: 'Local', port: 443 } },
    );
    const { spec, metadata } = find(gateSvr, 'Service', 'shop-quic');
    expect(metadata.annotations).toEqual({ lb: 'udp' });
    expect(spec).toEqual({
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      ports: [{ name: 'quic', protocol: 'UDP', port: 443, targetPort: 8453 }],
    });
    expect(find(gateSvr, 'Service', 'shop-upstream').spec).not.toHaveProperty('selector');
    expect(find(gateSvr, 'Service', 'shop-peers').spec).toMatchObject({
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { 'gatesvr.io/name': 'shop' },
    });
  });

  it('cert-manager is asked for certificates when the spec names an issuer', () => {
    const gateSvr = gateSvrOf({}, { certificates: { issuerRef: { name: 'corp', kind: 'ClusterIssuer' } } });
    expect(find(gateSvr, 'Certificate', 'shop-zone-tls').spec).toMatchObject({
      secretName: 'shop-zone-tls',
      uris: ['spiffe://cluster.local/gatesvr/zone'],
      duration: '2160h',
      issuerRef: { name: 'corp', kind: 'ClusterIssuer', group: 'cert-manager.io' },
    });
  });
});

describe('the template hash', () => {
  const base = templateHash(gateSvrOf({}), inputs);
  it.each([
    ['limits', gateSvrOf({}, { overload: { maxQps: 5000 } })],
    ['the number of pairs', gateSvrOf({}, { pairs: 5 })],
    ['the Service', gateSvrOf({}, { quic: { serviceType: 'NodePort' } })],
    ['generation', gateSvrOf({ generation: 9, labels: { a: 'b' } })],
  ])('stays with other %s', (_, gateSvr) => {
    expect(templateHash(gateSvr, inputs)).toBe(base);
  });

  it.each([
    ['image', gateSvrOf({}, { image: 'gatesvr/gateway:2' })],
    ['configuration', gateSvrOf({}, { session: { resumeWindow: '45s' } })],
    ['environment', gateSvrOf({}, { podTemplate: { env: [{ name: 'GATESVR_LOG_LEVEL', value: 'debug' }] } })],
    ['resources', gateSvrOf({}, { resources: { limits: { memory: '1Gi' } } })],
  ])('changes with the %s', (_, gateSvr) => {
    expect(templateHash(gateSvr, inputs)).not.toBe(base);
  });
});

describe('the pod template of the spec', () => {
  it('is laid over the operator’s by name', () => {
    const sidecar = { name: 'sidecar', image: 'side/car:1' };
    const gateSvr = gateSvrOf(
      {},
      {
        podTemplate: {
          labels: { team: 'games' },
          spec: {
            hostNetwork: true,
            automountServiceAccountToken: null,
            containers: [{ name: 'gateway', env: [{ name: 'UV_THREADPOOL_SIZE', value: '8' }] }, sidecar],
          },
        },
      },
    );
    const { template } = find(gateSvr, 'StatefulSet', 'shop-p0-a').spec as unknown as {
      template: { metadata: { labels: object }; spec: { containers: { env: object[] }[] } };
    };
    expect(template.metadata.labels).toMatchObject({ team: 'games', 'gatesvr.io/name': 'shop' });
    expect(template.spec).toMatchObject({ hostNetwork: true, serviceAccountName: 'shop-p0' });
    expect(template.spec).not.toHaveProperty('automountServiceAccountToken');
    expect(template.spec.containers).toHaveLength(2);
    expect(template.spec.containers[1]).toEqual(sidecar);
    expect(template.spec.containers[0]?.env).toContainEqual({ name: 'UV_THREADPOOL_SIZE', value: '8' });
    expect(template.spec.containers[0]?.env).toContainEqual({
      name: 'POD_UID',
      valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } },
    });
  });
});

describe('endpoints of a pair', () => {
  const primary = { name: 'shop-p0-a-0', uid: 'u1', ip: '10.0.0.7', nodeName: 'node-1' };

  it('name the pod that serves, for clients first', () => {
    const slices = desiredPairSlices(gateSvrOf({}), 0, primary);
    expect(slices.map(({ metadata }) => metadata.name)).toEqual(['shop-p0-quic', 'shop-p0-upstream']);
    expect(slices[0]).toMatchObject({
      addressType: 'IPv4',
      metadata: {
        labels: {
          'kubernetes.io/service-name': 'shop-quic',
          'endpointslice.kubernetes.io/managed-by': 'gatesvr-operator',
          'gatesvr.io/pair': 'p0',
        },
        ownerReferences: [{ kind: 'GateSvr', name: 'shop', uid: 'uid-of-shop', controller: true }],
      },
      endpoints: [
        {
          addresses: ['10.0.0.7'],
          nodeName: 'node-1',
          conditions: { ready: true, serving: true, terminating: false },
          targetRef: { kind: 'Pod', name: 'shop-p0-a-0', namespace: 'games', uid: 'u1' },
        },
      ],
      ports: [{ name: 'quic', protocol: 'UDP', port: 8453 }],
    });
  });

  it('are none while nobody serves, in the family they had', () => {
    const [slice] = desiredPairSlices(gateSvrOf({}), 0, undefined, 'IPv6');
    expect(slice).toMatchObject({ metadata: { name: 'shop-p0-quic-v6' }, addressType: 'IPv6', endpoints: [] });
    expect(desiredPairSlices(gateSvrOf({}), 0, { ...primary, ip: 'fd00::7' })[0]?.metadata.name).toBe(
      'shop-p0-quic-v6',
    );
  });
});

describe('whatever the spec says', () => {
  it('objects are the same each time, owned, named well, and pods are at the restricted level', () => {
    fc.assert(
      fc.property(anyGateSvr, (gateSvr) => {
        const objects = objectsOf(gateSvr);
        expect(objectsOf(structuredClone(gateSvr))).toEqual(objects);
        const names = objects.map((object) => `${object['kind']} ${nameOf(object)}`);
        expect(new Set(names).size).toBe(names.length);
        for (const object of objects) expectOwnedAndNamed(object, gateSvr);
        for (const object of objects) if (object['kind'] === 'StatefulSet') expectRestricted(object);
      }),
      { numRuns: 30 },
    );
  });
});

function expectOwnedAndNamed(object: Record<string, unknown>, gateSvr: ReturnType<typeof gateSvrOf>): void {
  const { name, namespace, ownerReferences, labels } = (object as unknown as KubeObject).metadata;
  expect(name).toMatch(/^[a-z]([-a-z0-9]*[a-z0-9])?$/);
  // A StatefulSet's pods have "-0" behind its name.
  expect(name.length).toBeLessThanOrEqual(61);
  expect(namespace).toBe('games');
  expect(ownerReferences).toEqual([expect.objectContaining({ uid: 'uid-of-shop', controller: true })]);
  expect(labels?.['gatesvr.io/name']).toBe(gateSvr.metadata.name);
}

interface PodSpecView {
  readonly securityContext: object;
  readonly containers: readonly {
    readonly securityContext: object;
    readonly args: readonly string[];
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes: readonly { readonly name: string }[];
}

function podSpecOf(statefulSet: Record<string, unknown>): PodSpecView {
  return (statefulSet as unknown as { spec: { template: { spec: PodSpecView } } }).spec.template.spec;
}

function expectRestricted(statefulSet: Record<string, unknown>): void {
  const spec = podSpecOf(statefulSet);
  expect(spec.securityContext).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  for (const { securityContext, volumeMounts } of spec.containers) {
    expect(securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(volumeMounts.map(({ name }) => name)).toEqual(spec.volumes.map(({ name }) => name));
  }
}
