/** What many GateSvrs and Zones cost their operator: memory, requests until all is written, and requests when nothing changes. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../../operator/kube-api.ts';
import { gateSvrs, pods, statefulSets, zones } from '../../operator/resources.ts';
import { gateSvrOf, zoneOf } from '../../operator/testing/defaulted.ts';
import { FakeApiServer } from '../../operator/testing/fake-api-server.ts';
import { Child } from '../lib/child.ts';
import { freeTcpPort } from '../lib/free-port.ts';
import { benchOptions } from '../lib/options.ts';
import { cpuSecondsOf, residentBytesOf } from '../lib/process-usage.ts';
import { formatTable, report } from '../lib/summary.ts';

const residentMegabytesMax = 220;
const zonesEach = 3;
const quietSeconds = 10;
const convergeSecondsMax = 600;

/** Compiled when `make build` was run, as images have it: reading TypeScript takes 30 MB. */
const compiled = 'dist/gateway/cli/gatesvr.js';
const program = existsSync(compiled) ? compiled : 'gateway/cli/gatesvr.ts';

interface Result {
  readonly gateSvrs: number;
  readonly objects: number;
  readonly convergeSeconds: number;
  readonly convergeCpuSeconds: number;
  readonly requests: Readonly<Record<string, number>>;
  readonly residentMegabytes: number;
  readonly steady: {
    readonly seconds: number;
    readonly reads: number;
    readonly writes: number;
    readonly cpuPercent: number;
  };
}

/** The objects as users make them; there is no controller here, so pods are made as well, and nothing listens in them. */
function populate(server: FakeApiServer, count: number): void {
  const { store } = server;
  const bare = ({ metadata, ...object }: KubeObject): KubeObject => {
    const { name, namespace = 'games' } = metadata;
    return { ...object, metadata: { name, namespace } };
  };
  for (let index = 0; index < count; index += 1) {
    const name = `fleet-${index}`;
    store.create(gateSvrs, bare(gateSvrOf({ name })));
    for (let zone = 1; zone <= zonesEach; zone += 1) {
      const zoneId = `00${zone}`;
      const endpoints = { addresses: [{ address: `10.0.0.${zone}:9000` }] };
      store.create(zones, bare(zoneOf({ name: `${name}-${zoneId}` }, { gateSvrRef: { name }, zoneId, endpoints })));
    }
  }
}

/** As the StatefulSet controller and a kubelet do it. */
function makePods({ store }: FakeApiServer): void {
  for (const set of store.list<KubeObject & { spec: { template: { metadata: object; spec: object } } }>(statefulSets)
    .items) {
    const { name, namespace = '' } = set.metadata;
    if (store.get(pods, namespace, `${name}-0`) !== undefined) continue;
    const { metadata, spec } = set.spec.template;
    const owner = { apiVersion: set.apiVersion, kind: set.kind, name, uid: set.metadata.uid ?? '', controller: true };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: `${name}-0`, namespace }, spec };
    store.create(pods, { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } } as KubeObject);
    store.setStatus(pods, namespace, `${name}-0`, { phase: 'Running', podIP: '127.0.0.1' });
  }
}

/** Waits until nothing was written for some seconds. @returns seconds until the last write */
async function converged(server: FakeApiServer): Promise<number> {
  const startedMs = performance.now();
  const made = server.store.changes;
  let [changes, changedMs] = [-1, startedMs];
  while (server.store.changes === made || performance.now() - changedMs < quietSeconds * 1000) {
    makePods(server);
    const now = server.store.changes;
    if (now !== changes || now === made) [changes, changedMs] = [now, performance.now()];
    if (performance.now() - startedMs > convergeSecondsMax * 1000) throw new Error('it does not come to rest');
    await sleep(200);
  }
  return (changedMs - startedMs) / 1000;
}

const isRead = (verb: string): boolean => ['get', 'list', 'watch'].includes(verb);

function startOperator(server: FakeApiServer, folder: string, ports: readonly [number, number]): Promise<Child> {
  const kubeconfig = join(folder, 'config');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace: 'ops' } }],
      clusters: [{ name: 'c', cluster: { server: server.url.href } }],
      users: [{ name: 'u', user: {} }],
    }),
  );
  const addresses = ['--health-addr', `127.0.0.1:${ports[0]}`, '--metrics-addr', `127.0.0.1:${ports[1]}`];
  return Child.start(process.execPath, [
    program,
    'operator',
    ...['--kubeconfig', kubeconfig, '--log-level', 'error', '--leader-elect=false', ...addresses],
  ]);
}

async function run(count: number, seconds: number): Promise<Result> {
  const server = new FakeApiServer();
  await server.listen();
  populate(server, count);
  const folder = mkdtempSync(join(tmpdir(), 'gatesvr-bench-'));
  const operator = await startOperator(server, folder, [await freeTcpPort(), await freeTcpPort()]);
  try {
    const convergeSeconds = await converged(server);
    if (operator.exited) throw new Error(`the operator ended:\n${operator.output}`);
    const convergeCpuSeconds = cpuSecondsOf(operator.pid);
    const requests: Record<string, number> = {};
    for (const { verb } of server.requests) requests[verb] = (requests[verb] ?? 0) + 1;
    const [before, cpu] = [server.requests.length, cpuSecondsOf(operator.pid)];
    await sleep(seconds * 1000);
    const later = server.requests.slice(before);
    const reads = later.filter(({ verb }) => isRead(verb)).length;
    return {
      gateSvrs: count,
      objects: server.store.changes,
      convergeSeconds,
      convergeCpuSeconds,
      requests,
      residentMegabytes: residentBytesOf(operator.pid) / 1_048_576,
      steady: {
        seconds,
        reads,
        writes: later.length - reads,
        cpuPercent: ((cpuSecondsOf(operator.pid) - cpu) / seconds) * 100,
      },
    };
  } finally {
    await operator.stop();
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

const options = benchOptions(process.argv.slice(2), { sizes: [200], rounds: 1, measureSeconds: 60 });
const results: Result[] = [];
for (const count of options.sizes) results.push(await run(count, options.measureSeconds));
const rows = results.map(
  ({ gateSvrs: fleets, convergeSeconds, convergeCpuSeconds, requests, residentMegabytes, steady }) => [
    `${fleets} + ${fleets * zonesEach}`,
    convergeSeconds.toFixed(0),
    convergeCpuSeconds.toFixed(1),
    Object.entries(requests)
      .map(([verb, times]) => `${verb} ${times}`)
      .join(', '),
    residentMegabytes.toFixed(0),
    `${steady.reads} / ${steady.writes}`,
    steady.cpuPercent.toFixed(1),
  ],
);
const header = [
  'GateSvrs + Zones',
  'written after s',
  'CPU s',
  'requests',
  'RSS MB',
  'steady reads / writes',
  'steady CPU %',
];
const met = results.every(
  ({ residentMegabytes, steady }) => residentMegabytes <= residentMegabytesMax && steady.writes === 0,
);
const target = `${program}: at most ${residentMegabytesMax} MB and no write when nothing changes: ${met ? 'met' : 'NOT met'}\n`;
report(formatTable(header, rows) + target, results, options.json);
process.exitCode = met ? 0 : 1;
