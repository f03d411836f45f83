/**
 * BUSINESS through a zone and back, 2 in flight a session, 100 bytes of data: requests per CPU second of the gateway's
 * process, ours against a Go gateway of the same wire format, each freshly started, in turns.
 */
import { type Contestant, contestants, withLoad } from '../lib/contest.ts';
import { type BenchOptions, benchOptions } from '../lib/options.ts';
import { cpuSecondsOf, residentBytesOf } from '../lib/process-usage.ts';
import { formatSpread, formatTable, report, spreadOf } from '../lib/summary.ts';
import { buildGo } from '../lib/toolchain.ts';

const inFlight = 2;
const dataBytes = 100;
const target = 2;

interface Run {
  readonly contestant: Contestant;
  readonly connections: number;
  readonly requestsPerCpuSecond: number;
  readonly requestsPerSecond: number;
  /** Share of one core. */
  readonly gatewayCores: number;
  readonly zoneCores: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentBytes: number;
}

async function run(contestant: Contestant, programs: string, connections: number, options: BenchOptions): Promise<Run> {
  const flags = [
    ['--connections', connections],
    ['--in-flight', inFlight],
    ['--data-bytes', dataBytes],
    ['--warm-up', `${options.warmUpSeconds}s`],
    ['--measure', `${options.measureSeconds}s`],
  ].flatMap(([flag, value]) => [String(flag), String(value)]);
  return withLoad(contestant, programs, flags, async (gateway, load, zones) => {
    await load.event('measuring', 60_000 + options.warmUpSeconds * 1000);
    const before = { gateway: cpuSecondsOf(gateway.process.pid), zones: cpuSecondsOf(zones.pid) };
    await load.event('measured', 60_000 + options.measureSeconds * 1000);
    const gatewayCpu = cpuSecondsOf(gateway.process.pid) - before.gateway;
    const zoneCpu = cpuSecondsOf(zones.pid) - before.zones;
    const residentBytes = residentBytesOf(gateway.process.pid);
    const done = await load.event('done', 60_000);
    const [requests, seconds] = [Number(done['requests']), Number(done['seconds'])];
    return {
      contestant,
      connections,
      requestsPerCpuSecond: requests / gatewayCpu,
      requestsPerSecond: requests / seconds,
      gatewayCores: gatewayCpu / seconds,
      zoneCores: zoneCpu / seconds,
      p50Ms: Number(done['p50_us']) / 1000,
      p99Ms: Number(done['p99_us']) / 1000,
      residentBytes,
    };
  });
}

const thousands = (value: number) => `${(value / 1000).toFixed(1)}k`;
const tenths = (value: number) => value.toFixed(1);
const hundredths = (value: number) => value.toFixed(2);

function rowsOf(runs: readonly Run[], connections: number): string[][] {
  const of = (contestant: Contestant) =>
    runs.filter((one) => one.connections === connections && one.contestant === contestant);
  const ratios = of('ours').flatMap((ours, round) => {
    const peer = of('peer')[round];
    return peer === undefined ? [] : [ours.requestsPerCpuSecond / peer.requestsPerCpuSecond];
  });
  return (['ours', 'peer'] as const).flatMap((contestant) => {
    const mine = of(contestant);
    if (mine.length === 0) return [];
    const cell = (value: (one: Run) => number, format: (value: number) => string) =>
      formatSpread(spreadOf(mine.map(value)), format);
    return [
      [
        String(connections),
        contestant,
        cell((one) => one.requestsPerCpuSecond, thousands),
        cell((one) => one.requestsPerSecond, thousands),
        cell((one) => one.gatewayCores, hundredths),
        cell((one) => one.p50Ms, tenths),
        cell((one) => one.p99Ms, tenths),
        contestant === 'ours' && ratios.length > 0 ? formatSpread(spreadOf(ratios), hundredths) : '',
      ],
    ];
  });
}

const header = [
  'sessions',
  'gateway',
  'requests/CPU s',
  'requests/s',
  'cores',
  'p50 ms',
  'p99 ms',
  `ratio (≥ ${target})`,
];

const options = benchOptions(process.argv.slice(2), { sizes: [100, 500, 2000] });
const programs = await buildGo('bench/peers', ['gateway', 'zone', 'load'], process.env);
const runs: Run[] = [];
for (const connections of options.sizes) {
  for (let round = 0; round < options.rounds; round++) {
    for (const contestant of contestants(round, options.only)) {
      runs.push(await run(contestant, programs, connections, options));
    }
  }
}
const table = formatTable(
  header,
  options.sizes.flatMap((connections) => rowsOf(runs, connections)),
);
report(table, runs, options.json);
