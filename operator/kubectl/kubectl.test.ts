import { describe, expect, it } from 'vitest';
import type { GateSvr } from '../api/gatesvr.ts';
import type { KubeObject } from '../kube-api.ts';
import { gateSvrs, pods, secrets, zones } from '../resources.ts';
import { MemoryKube } from '../testing/memory-kube.ts';
import { ageOf, fleetText } from './fleet-text.ts';
import { type PluginWorld, runSubcommand } from './kubectl-command.ts';
import type { PodReader } from './pod-reader.ts';
import { redacted } from './redact.ts';

type Pair = NonNullable<NonNullable<GateSvr['status']>['pairs']>[number];

function pair(name: string, nodes: readonly [string, string], backupInSync = true): Pair {
  const [a, b] = [`gate-${name}-a-0`, `gate-${name}-b-0`];
  return {
    name,
    currentPrimary: a,
    targetPrimary: a,
    epoch: 7,
    inSync: backupInSync ? [`${a}/1`, `${b}/1`] : [`${a}/1`],
    lastPromotionTime: '2026-01-01T00:00:00Z',
    lastPromotionReason: 'Failover',
    members: [
      { name: 'a', pod: a, node: nodes[0], role: 'primary', ready: true, incarnation: `${a}/1`, version: '0.1.0' },
      { name: 'b', pod: b, node: nodes[1], role: 'backup', ready: true, incarnation: `${b}/1`, version: '0.1.0' },
    ],
  };
}

function fleet(pairs: readonly Pair[]): KubeObject {
  return {
    apiVersion: 'gatesvr.io/v1alpha1',
    kind: 'GateSvr',
    metadata: { name: 'gate', namespace: 'games' },
    spec: { pairs: pairs.length },
    status: {
      replicas: pairs.length,
      image: 'gatesvr/gateway:1',
      pairs,
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'BackupMissing',
          message: 'p1 has no backup in sync',
          lastTransitionTime: '',
        },
        { type: 'Available', status: 'True', reason: 'Serving', message: 'every pair serves', lastTransitionTime: '' },
      ],
    },
  } as KubeObject;
}

const reader: PodReader = {
  log: async (_namespace, pod, previous) => {
    if (previous) throw new Error('previous terminated container not found');
    return `${pod} says hello\n`;
  },
  http: async () => JSON.stringify({ connections: 3, sessions: 5, overload: { state: 'normal' }, adminToken: 'shh' }),
  close: () => {},
};

interface Harness extends PluginWorld {
  readonly client: MemoryKube;
  readonly lines: string[];
  readonly files: Map<string, string>;
}

/** A cluster with these objects, in which an operator carries out switchovers at once. */
async function harness(objects: readonly KubeObject[], namespace: string | undefined = 'games'): Promise<Harness> {
  const lines: string[] = [];
  const files = new Map<string, string>();
  const client = new MemoryKube({
    afterWrite: async ({ verb, body }) => {
      const wanted = (body as { metadata?: KubeObject['metadata'] })?.metadata?.annotations?.['gatesvr.io/switchover'];
      if (verb !== 'patch' || wanted === undefined) return;
      const gateSvr = (await client.get<GateSvr>(gateSvrs, 'games', 'gate')) as GateSvr;
      const pairs = (gateSvr.status?.pairs ?? []).map((each) =>
        each.members?.some(({ pod }) => pod === wanted) ? { ...each, currentPrimary: wanted } : each,
      );
      await client.applyStatus(gateSvrs, { ...gateSvr, status: { ...gateSvr.status, pairs } } as GateSvr);
    },
  });
  for (const object of objects) {
    const resource = [gateSvrs, zones, pods, secrets].find(({ kind }) => kind === object.kind) ?? pods;
    const made = await client.create(resource, object);
    if ('status' in object) await client.applyStatus(resource, { ...object, metadata: made.metadata });
  }
  const common = { client, reader, namespace, timeoutMs: 200, output: undefined, lines, files };
  return { ...common, print: (text) => void lines.push(text), writeFile: (path, text) => void files.set(path, text) };
}

const pod = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'games', labels: { 'gatesvr.io/name': 'gate' } },
});

describe('status', () => {
  it('says what is wrong, and shows the pairs', () => {
    const text = fleetText(
      fleet([pair('p0', ['n1', 'n2']), pair('p1', ['n1', 'n2'], false)]) as GateSvr,
      Date.parse('2026-01-01T00:01:30Z'),
    );
    expect(text.split('\n')).toEqual([
      'games/gate: 2 of 2 pairs serve, image gatesvr/gateway:1',
      '  Ready=False BackupMissing: p1 has no backup in sync',
      'PAIR  POD          NODE  ROLE     READY  IN SYNC  EPOCH  VERSION  LAST PROMOTION',
      'p0    gate-p0-a-0  n1    primary  yes    yes      7      0.1.0    Failover 1m ago',
      '      gate-p0-b-0  n2    backup   yes    yes             0.1.0',
      'p1    gate-p1-a-0  n1    primary  yes    yes      7      0.1.0    Failover 1m ago',
      '      gate-p1-b-0  n2    backup   yes    no              0.1.0',
      '',
    ]);
  });

  it.each([
    [undefined, '-'],
    ['2026-01-01T00:00:00Z', '0s'],
    ['2025-12-31T23:59:01Z', '59s'],
    ['2025-12-31T22:00:00Z', '2h'],
    ['2025-12-29T00:00:00Z', '3d'],
  ])('%s was %s ago', (since, expected) => {
    expect(ageOf(since, Date.parse('2026-01-01T00:00:00Z'))).toBe(expected);
  });

  it('shows every fleet, or says that there is none', async () => {
    const none = await harness([]);
    await runSubcommand(none, ['status']);
    expect(none.lines).toEqual(['no GateSvr\n']);
    const world = await harness([fleet([pair('p0', ['n1', 'n2'])])]);
    await runSubcommand(world, ['status', 'gate']);
    expect(world.lines.join('')).toContain('games/gate: 1 of 1 pairs serve');
  });
});

describe('orders', () => {
  it('promote waits until the pod is primary', async () => {
    const world = await harness([fleet([pair('p0', ['n1', 'n2'])])]);
    await runSubcommand(world, ['promote', 'gate', 'gate-p0-b-0']);
    expect(world.lines).toEqual(['gate-p0-b-0 is the primary of p0\n']);
  });

  it('promote refuses a pod that would lose sessions, without a write', async () => {
    const world = await harness([fleet([pair('p0', ['n1', 'n2'], false)])]);
    const before = world.client.writes.length;
    await expect(runSubcommand(world, ['promote', 'gate', 'gate-p0-b-0'])).rejects.toThrow('gate-p0-b-0: not in sync');
    expect(world.client.writes.length).toBe(before);
  });

  it('drain hands over what is on the node, and nothing else', async () => {
    const world = await harness([fleet([pair('p0', ['n1', 'n2']), pair('p1', ['n2', 'n1'])])]);
    await runSubcommand(world, ['drain', 'n1']);
    expect(world.lines).toEqual(['gate-p0-b-0 is the primary of p0\n', '1 primaries left n1; now: kubectl drain n1\n']);
  });

  it('drain says when there is nobody to hand over to', async () => {
    const world = await harness([fleet([pair('p0', ['n1', 'n1'])])]);
    await expect(runSubcommand(world, ['drain', 'n1'])).rejects.toThrow('gate p0: no other pod away from n1');
  });

  it('fence marks a pod, unfence takes it back', async () => {
    const world = await harness([pod('gate-p0-a-0')]);
    const fenced = async () =>
      (await world.client.get(pods, 'games', 'gate-p0-a-0'))?.metadata.annotations?.['gatesvr.io/fenced'];
    await runSubcommand(world, ['fence', 'gate-p0-a-0']);
    expect(await fenced()).toBe('true');
    await runSubcommand(world, ['unfence', 'gate-p0-a-0']);
    expect(await fenced()).toBeUndefined();
  });
});

describe('sessions', () => {
  it('asks every gateway', async () => {
    const world = await harness([fleet([pair('p0', ['n1', 'n2'])])]);
    await runSubcommand(world, ['sessions', 'gate']);
    expect(world.lines.join('').split('\n')[1]).toBe('p0    gate-p0-a-0  primary  3            5         normal');
  });
});

describe('report', () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'gate-pair', namespace: 'games', labels: { 'gatesvr.io/name': 'gate' } },
    data: { 'pair.key': 'aHVudGVyMg==' },
  };

  it('holds objects, logs and answers, and no secret', async () => {
    const world = await harness([fleet([pair('p0', ['n1', 'n2'])]), pod('gate-p0-a-0'), secret]);
    await runSubcommand(world, ['report', 'gate']);
    const text = world.files.get('gatesvr-report-gate.json') ?? '';
    const { objects, gateways } = JSON.parse(text);
    expect(objects.secrets[0].data).toEqual({ 'pair.key': '(removed)' });
    expect(gateways['gate-p0-a-0'].log).toBe('gate-p0-a-0 says hello\n');
    expect(gateways['gate-p0-a-0'].previousLog).toEqual({ unreadable: 'previous terminated container not found' });
    expect(text).not.toMatch(/aHVudGVyMg|shh/);
  });

  it('redacts by name: variables, annotations and fields', () => {
    const object = {
      kind: 'Pod',
      metadata: {
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', a: 'b' },
        managedFields: [1],
      },
      spec: {
        containers: [
          {
            env: [
              { name: 'REDIS_PASSWORD', value: 'x' },
              { name: 'LEVEL', value: 'info' },
            ],
          },
        ],
      },
    };
    expect(redacted(object)).toEqual({
      kind: 'Pod',
      metadata: { annotations: { a: 'b' } },
      spec: {
        containers: [
          {
            env: [
              { name: 'REDIS_PASSWORD', value: '(removed)' },
              { name: 'LEVEL', value: 'info' },
            ],
          },
        ],
      },
    });
  });
});

describe('bad input', () => {
  it.each([
    [['statuss'], 'statuss: expected status, zones, sessions'],
    [['promote', 'gate'], 'promote: 1 arguments: expected NAME POD'],
    [['promote', 'gate', 'nobody'], 'nobody: no pod of gate: expected gate-p0-a-0, gate-p0-b-0'],
    [['sessions', 'other'], 'gatesvr/other: not found in namespace games'],
    [['fence', 'nobody'], 'pod/nobody: not found in namespace games'],
  ])('%s: %s', async (args, message) => {
    const world = await harness([fleet([pair('p0', ['n1', 'n2'])])]);
    await expect(runSubcommand(world, args)).rejects.toThrow(message);
  });
});
