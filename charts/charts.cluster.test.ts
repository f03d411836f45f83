import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ChartCluster, monitoringKinds } from '../e2e/charts/chart-cluster.ts';
import { type ControlPlane, startControlPlane } from '../e2e/cluster/control-plane.ts';
import type { GateSvr } from '../operator/api/gatesvr.ts';
import { desiredObjects } from '../operator/desired/desired-objects.ts';

const namespace = 'gatesvr-system';
let controlPlane: ControlPlane;
let cluster: ChartCluster;

beforeAll(async () => {
  controlPlane = await startControlPlane();
  cluster = new ChartCluster(controlPlane.kubeconfigPath);
  cluster.must(['create', 'namespace', namespace]);
  // No controller does it here.
  cluster.must(['create', 'serviceaccount', 'default', '-n', namespace]);
  const restricted = 'pod-security.kubernetes.io/enforce=restricted';
  cluster.must(['label', 'namespace', namespace, restricted]);
}, 1_800_000);

afterAll(() => controlPlane?.stop());

function install(name: string, chart: string, ...more: string[]) {
  return cluster.helm('upgrade', '--install', name, `charts/${chart}`, '--namespace', namespace, ...more);
}

function objectsOf(yaml: string): { kind: string; metadata: { name: string }; spec?: unknown }[] {
  return parseAllDocuments(yaml)
    .map((document) => document.toJS())
    .filter((object) => object !== null);
}

describe('without the kinds', () => {
  it('the operator is not installed, and nothing of it is', () => {
    const { status, stderr } = install('gatesvr', 'gatesvr');
    expect(status).not.toBe(0);
    expect(stderr).toContain('gatesvrs.gatesvr.io is not in the cluster: install the chart gatesvr-crds first');
    expect(
      cluster.must(['get', 'deployments,clusterroles', '-A', '-l', 'app.kubernetes.io/part-of=gatesvr', '-o', 'name']),
    ).toBe('');
  });
});

describe('with the kinds', () => {
  beforeAll(() => {
    const { status, stderr } = install('gatesvr-crds', 'gatesvr-crds');
    if (status !== 0) throw new Error(stderr);
    cluster.must(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
    cluster.must(['apply', '-f', '-'], monitoringKinds);
  });

  const matrix: readonly (readonly string[])[] = [
    [],
    ['replicas=1', 'podDisruptionBudget.enabled=false', 'networkPolicy.enabled=false'],
    ['rbac.scope="namespaced"'],
    ['rbac.scope="namespaced"', 'rbac.namespaces=["default","kube-system"]'],
    ['rbac.certManager=true', 'rbac.aggregate=false', 'logLevel="debug"'],
    ['serviceAccount.create=false', 'serviceAccount.name="own"', 'rbac.create=false'],
    ['image.tag="sha256:0123456789012345678901234567890123456789012345678901234567890123"'],
    [
      'nodeSelector={"a":"b"}',
      'tolerations=[{"operator":"Exists"}]',
      'priorityClassName="p"',
      'imagePullSecrets=[{"name":"r"}]',
    ],
    [
      'extraEnv=[{"name":"A","value":"b"}]',
      'podLabels={"a":"b"}',
      'podAnnotations={"a":"b"}',
      'affinity={"nodeAffinity":{}}',
    ],
    [
      'monitoring={"serviceMonitor":{"enabled":true},"podMonitor":{"enabled":true},"rules":{"enabled":true},"dashboards":{"enabled":true}}',
    ],
    ['sample={"enabled":true,"pairs":2,"zones":["zone-1:9001","zone-2:9001"],"spec":{"auth":{"mode":"none"}}}'],
    ['nameOverride="gw"', 'fullnameOverride="edge"'],
  ];

  it.each(matrix.map((sets) => [sets.join(' ') || 'the defaults', sets] as const))(
    'the API server takes %s',
    (_, sets) => {
      const { status, stdout, stderr } = cluster.render(sets);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      // The account and the priority class are the user's.
      const dryRun = cluster.kubectl(
        ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
        withoutTest(stdout),
      );
      expect(dryRun.stderr).toBe('');
      expect(dryRun.status).toBe(0);
    },
  );

  /** Without the Pod of helm test, which is admitted where its ServiceAccount is, below. */
  function withoutTest(yaml: string): string {
    const items = objectsOf(yaml).filter(({ kind }) => kind !== 'Pod');
    return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  }

  const refused: readonly (readonly [string, string])[] = [
    ['replicas=9', "'/replicas': maximum: got 9, want 5"],
    ['rbac.scope="everything"', "'/rbac/scope': value must be one of 'cluster', 'namespaced'"],
    ['rbac.namespaces=["a"]', "'/rbac/namespaces'"],
    ['logLevel="loud"', "'/logLevel'"],
    ['sampel.enabled=true', "additional properties 'sampel' not allowed"],
    ['sample.zones=["nowhere"]', "'/sample/zones/0'"],
    ['serviceAccount.create=false', 'serviceAccount.name: expected the name of a ServiceAccount'],
  ];

  it.each(refused)('%s is refused: %s', (set, message) => {
    const { status, stderr } = cluster.render([set]);
    expect(status).not.toBe(0);
    expect(stderr).toContain(message);
  });

  it('both charts pass lint', () => {
    for (const chart of ['gatesvr', 'gatesvr-crds']) {
      expect(cluster.helm('lint', '--strict', `charts/${chart}`).stdout).toContain('0 chart(s) failed');
    }
  });

  describe('installed', () => {
    const account = `system:serviceaccount:${namespace}:gatesvr`;

    beforeAll(() => {
      const { status, stderr } = install('gatesvr', 'gatesvr');
      if (status !== 0) throw new Error(stderr);
    });

    it('its pods are admitted where restricted is enforced', () => {
      const [deployment] = objectsOf(cluster.must(['get', 'deployment', 'gatesvr', '-n', namespace, '-o', 'yaml']));
      const { template } = (deployment as { spec: { template: object } }).spec;
      const pod = { apiVersion: 'v1', kind: 'Pod', ...template, metadata: { name: 'as-deployed', namespace } };
      const test = objectsOf(cluster.render([]).stdout).find(({ kind }) => kind === 'Pod');
      for (const each of [pod, test]) {
        const created = cluster.kubectl(['create', '--dry-run=server', '-f', '-'], JSON.stringify(each));
        expect(created.stderr).toBe('');
      }
    });

    it('the operator may make everything a GateSvr consists of', () => {
      const gateSvr = {
        apiVersion: 'gatesvr.io/v1alpha1',
        kind: 'GateSvr',
        metadata: { name: 'gate', namespace: 'default' },
        spec: {},
      };
      cluster.must(['apply', '-f', '-'], JSON.stringify(gateSvr));
      const made = JSON.parse(cluster.must(['get', 'gatesvr', 'gate', '-o', 'json'])) as GateSvr;
      const objects = desiredObjects(made, { defaultImage: 'gatesvr/gateway:e2e' });
      expect(objects.length).toBeGreaterThan(8);
      for (const object of objects) {
        const applied = cluster.kubectl(['apply', '--server-side', '--as', account, '-f', '-'], JSON.stringify(object));
        expect(applied.stderr).toBe('');
      }
    });

    it.each([
      ['yes', 'update', 'gatesvrs.gatesvr.io/status', 'default'],
      ['yes', 'delete', 'pods', 'default'],
      ['yes', 'watch', 'nodes', 'default'],
      ['yes', 'create', 'events.events.k8s.io', 'default'],
      ['yes', 'create', 'leases.coordination.k8s.io', namespace],
      ['no', 'delete', 'gatesvrs.gatesvr.io', 'default'],
      ['no', 'delete', 'nodes', 'default'],
      ['no', 'create', 'pods', 'default'],
      ['no', 'create', 'clusterroles.rbac.authorization.k8s.io', 'default'],
    ])('%s: it may %s %s in %s', (answer, verb, resource, where) => {
      const [name = '', subresource] = resource.split('/');
      const more = subresource === undefined ? [] : ['--subresource', subresource];
      const { stdout } = cluster.kubectl(['auth', 'can-i', verb, name, ...more, '--as', account, '-n', where]);
      expect(stdout.trim()).toBe(answer);
    });

    it('is not upgraded over kinds of an older chart', () => {
      const crd = ['crd', 'gatesvrs.gatesvr.io'];
      cluster.must(['annotate', ...crd, '--overwrite', 'gatesvr.io/chart-version=0.0.1']);
      const { status, stderr } = install('gatesvr', 'gatesvr', '--set', 'logLevel=debug');
      expect(status).not.toBe(0);
      expect(stderr).toContain('gatesvrs.gatesvr.io is of version 0.0.1');
      cluster.must(['annotate', ...crd, '--overwrite', 'gatesvr.io/chart-version=0.1.0']);
    });

    it('is upgraded, rolled back and removed, and leaves the kinds and what people made of them', () => {
      const level = () =>
        cluster.must([
          'get',
          'deployment',
          'gatesvr',
          '-n',
          namespace,
          '-o',
          'jsonpath={..env[?(@.name=="GATESVR_OPERATOR_LOG_LEVEL")].value}',
        ]);
      expect(install('gatesvr', 'gatesvr', '--set', 'logLevel=debug').stderr).toBe('');
      expect(level()).toBe('debug');
      expect(cluster.helm('rollback', 'gatesvr', '1', '--namespace', namespace).status).toBe(0);
      expect(level()).toBe('info');
      for (const release of ['gatesvr', 'gatesvr-crds']) {
        expect(cluster.helm('uninstall', release, '--namespace', namespace).status).toBe(0);
      }
      expect(cluster.must(['get', 'gatesvr', 'gate', '-o', 'name'])).toBe('gatesvr.gatesvr.io/gate\n');
      const left = [
        'get',
        'deployments,services,serviceaccounts,clusterroles,roles',
        '-A',
        '-l',
        'app.kubernetes.io/part-of=gatesvr',
      ];
      expect(cluster.must([...left, '-o', 'name'])).toBe('');
    });
  });
});
