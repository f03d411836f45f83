/**
 * Failover: kill -9 of the primary with N resumable sessions under light load, recommended heartbeat. Told are the times from
 * the kill to the first message that an application gets from the other gateway, and to each session's resume there.
 * `--sizes` are sessions, `--rounds` kills of each size.
 */
import { benchFlags } from '../lib/gateways.ts';
import { benchOptions } from '../lib/options.ts';
import { otherMember, PairProcesses, until } from '../lib/pair.ts';
import { cpuSecondsOf } from '../lib/process-usage.ts';
import { formatTable, report } from '../lib/summary.ts';
import { FailoverLoad, type Outage as OutageSeen } from './load.ts';

/** A connection that lives this long starts its client's backoff anew: kills in a quick row are another question. */
const settledMs = 6_000;
const target = { firstMessageMs: 500, lastSessionMs: 2_000 };

interface Outage extends OutageSeen {
  /** When the other gateway said that it leads. */
  readonly promotedMs: number;
  /** Used from the kill until all were back, by the gateway that took over and by the clients, all in this process. */
  readonly gatewayCpuSeconds: number;
  readonly clientsCpuSeconds: number;
}

interface SizeResult {
  readonly sessions: number;
  readonly outages: readonly Outage[];
  readonly resets: number;
  readonly failures: number;
}

async function measure(sessions: number, rounds: number): Promise<SizeResult> {
  const pair = await PairProcesses.start({ flags: [...benchFlags, '--log-level=info'] });
  let load: FailoverLoad | undefined;
  try {
    const running = await FailoverLoad.start(pair.zoneEndpoints, pair.clientEndpoints, sessions);
    load = running;
    const outages: Outage[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const primary = await pair.untilInSync();
      const states = () => `${running.states}\n${pair.report()}`;
      await until('all clients are connected', () => running.connected === sessions, states);
      await new Promise((resolve) => setTimeout(resolve, settledMs));
      running.watch(pair.addresses[otherMember(primary)].quic);
      const backup = otherMember(primary);
      const gatewayPid = pair.process(backup).pid;
      const before = { gateway: cpuSecondsOf(gatewayPid), clients: cpuSecondsOf(process.pid) };
      const killedAt = Date.now();
      await pair.signal(primary, 'SIGKILL');
      await until('all sessions are resumed', () => running.allResumed, states);
      outages.push({
        ...running.outage(),
        promotedMs: promotedAt(pair.output(backup)) - killedAt,
        gatewayCpuSeconds: cpuSecondsOf(gatewayPid) - before.gateway,
        clientsCpuSeconds: cpuSecondsOf(process.pid) - before.clients,
      });
      await pair.startMember(primary);
    }
    const { resets, failures } = running;
    return { sessions, outages, resets, failures };
  } finally {
    await load?.stop();
    await pair.stop();
  }
}

/** By the wall clock, from the log. */
function promotedAt(output: string): number {
  const line = output.split('\n').findLast((text) => text.includes('"role":"primary"'));
  return Date.parse(/"time":"([^"]+)"/.exec(line ?? '')?.[1] ?? '');
}

function quantile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(0);
}

function mean(values: readonly number[]): string {
  return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(2);
}

function rowOf({ sessions, outages, resets, failures }: SizeResult): string[] {
  const first = outages.map(({ firstMessageMs }) => firstMessageMs);
  const all = outages.flatMap(({ resumedMs }) => resumedMs);
  const last = outages.map(({ resumedMs }) => resumedMs.at(-1) ?? Number.NaN);
  return [
    String(sessions),
    String(outages.length),
    quantile(
      outages.map(({ promotedMs }) => promotedMs),
      0.5,
    ),
    ...[quantile(first, 0.5), quantile(first, 0.99)],
    ...[quantile(all, 0.5), quantile(all, 0.99)],
    ...[quantile(last, 0.5), quantile(last, 0.99)],
    mean(outages.map(({ gatewayCpuSeconds }) => gatewayCpuSeconds)),
    mean(outages.map(({ clientsCpuSeconds }) => clientsCpuSeconds)),
    String(resets),
    String(failures),
  ];
}

const header = [
  'sessions',
  'kills',
  'promoted p50 ms',
  `first message p50 (≤ ${target.firstMessageMs})`,
  'p99',
  'resumed p50',
  'p99',
  'last resumed p50',
  `p99 (≤ ${target.lastSessionMs})`,
  'gateway CPU s',
  'clients CPU s',
  'resets',
  'failed',
];

const options = benchOptions(process.argv.slice(2), { sizes: [500, 2000], rounds: 5 });
const results: SizeResult[] = [];
for (const sessions of options.sizes) results.push(await measure(sessions, options.rounds));
report(formatTable(header, results.map(rowOf)), results, options.json);
process.exit(0);
