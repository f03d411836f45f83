/**
 * Overload: measures the peak, then offers 1, 2, 5 and 10 times as much to a gateway whose max_qps is that peak, then half of
 * it. Told are goodput as a share of the peak, latency of what was admitted, memory, and how soon all was well again.
 * `--sizes` are sessions.
 */
import { join } from 'node:path';
import { Child } from '../lib/child.ts';
import { benchFlags, startExampleZones, startGateway } from '../lib/gateways.ts';
import { benchOptions } from '../lib/options.ts';
import { cpuSecondsOf, residentBytesOf } from '../lib/process-usage.ts';
import { formatTable, report } from '../lib/summary.ts';
import type { SlotReport } from './load.ts';

const factors = [1, 2, 5, 10];
const slotsPerSecond = 10;
const dataBytes = 100;
/** Of the peak: what an operator would configure, with some room for what is not requests. */
const limitShare = 0.95;
/** A little more than the peak is measured with: what waits for the zone is latency. */
const concurrentPerSession = 2.5;

interface LoadRun {
  readonly slots: readonly SlotReport[];
  readonly lost: number;
  readonly residentBytes: readonly number[];
  readonly cores: number;
}

const options = benchOptions(process.argv.slice(2), { sizes: [200], warmUpSeconds: 2, measureSeconds: 6 });

/** Runs load steps ("rate:seconds") on a fresh gateway. */
async function withGateway(
  flags: readonly string[],
  sessions: number,
  steps: string,
  seconds: number,
): Promise<LoadRun> {
  const concurrent = `--overload-protection-max-upstream-concurrent=${Math.ceil(sessions * concurrentPerSession)}`;
  const gateway = await startGateway([...benchFlags, '--upstream-zone-count=1', concurrent, ...flags]);
  const started = [gateway.process];
  const residentBytes: number[] = [];
  try {
    started.push(...(await startExampleZones(gateway, ['001'])));
    const args = [gateway.quicAddress, String(sessions), String(dataBytes), steps];
    const load = await Child.start(process.execPath, [join(import.meta.dirname, 'load.ts'), ...args]);
    started.push(load);
    await load.event('connected', 60_000);
    const [beganMs, beganCpu] = [performance.now(), cpuSecondsOf(gateway.process.pid)];
    const watch = setInterval(() => residentBytes.push(residentBytesOf(gateway.process.pid)), 250);
    const done = await load.event('done', seconds * 1000 + 60_000).finally(() => clearInterval(watch));
    const cores = ((cpuSecondsOf(gateway.process.pid) - beganCpu) * 1000) / (performance.now() - beganMs);
    return { slots: done['slots'] as SlotReport[], lost: Number(done['lost']), residentBytes, cores };
  } finally {
    for (const child of started.reverse()) await child.stop();
  }
}

/** What a step was like after its first `skip` slots; latencies are medians of the slots' own quantiles. */
function summary(slots: readonly SlotReport[], step: number, skip: number) {
  const of = slots.filter((slot) => slot.step === step).slice(skip);
  const perSecond = (value: (slot: SlotReport) => number) =>
    (of.reduce((sum, slot) => sum + value(slot), 0) * slotsPerSecond) / Math.max(1, of.length);
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  return {
    offered: perSecond((slot) => slot.offered),
    sent: perSecond((slot) => slot.sent),
    goodput: perSecond((slot) => slot.answered),
    refused: perSecond((slot) => slot.refused),
    p50Ms: median(of.filter((slot) => slot.answered > 0).map((slot) => slot.p50)),
    p99Ms: median(of.filter((slot) => slot.answered > 0).map((slot) => slot.p99)),
  };
}

/** Milliseconds until answers come at nine tenths of the rate again and stay so. */
function recoveryMs(slots: readonly SlotReport[], step: number): number {
  const of = slots.filter((slot) => slot.step === step);
  const lastBad = of.findLastIndex((slot) => slot.answered < slot.offered * 0.9);
  return ((lastBad + 1) * 1000) / slotsPerSecond;
}

const { warmUpSeconds, measureSeconds } = options;
const skip = warmUpSeconds * slotsPerSecond;
const seconds = warmUpSeconds + measureSeconds;
const rows: string[][] = [];
const results: object[] = [];
for (const sessions of options.sizes) {
  const peakRun = await withGateway([], sessions, `0:${seconds}`, seconds);
  const peak = summary(peakRun.slots, 0, skip).goodput;
  const half = Math.round(peak / 2);
  for (const factor of factors) {
    const limit = Math.round(peak * limitShare);
    const flags = [`--overload-protection-max-qps=${limit}`, '--overload-protection-qps-window-seconds=1'];
    const steps = `${half}:${seconds},${Math.round(peak * factor)}:${seconds},${half}:${seconds}`;
    const run = await withGateway(flags, sessions, steps, 3 * seconds);
    const calm = summary(run.slots, 0, skip);
    const flood = summary(run.slots, 1, skip);
    const result = { sessions, peak, factor, calm, flood, recoveryMs: recoveryMs(run.slots, 2), ...run };
    results.push(result);
    const third = Math.floor(run.residentBytes.length / 3);
    const megabytes = (bytes: number | undefined) => ((bytes ?? Number.NaN) / 1048576).toFixed(0);
    rows.push([
      String(sessions),
      `${factor} x ${peak.toFixed(0)}`,
      flood.sent.toFixed(0),
      `${((100 * flood.goodput) / peak).toFixed(0)} %`,
      flood.refused.toFixed(0),
      calm.p99Ms.toFixed(1),
      flood.p99Ms.toFixed(1),
      `${megabytes(run.residentBytes[third - 1])} / ${megabytes(run.residentBytes[2 * third - 1])}`,
      `${result.recoveryMs}`,
      run.cores.toFixed(2),
      String(run.lost),
    ]);
  }
}
const header = [
  'sessions',
  'offered/s',
  'sent/s',
  'goodput',
  'refused/s',
  'calm p99 ms',
  'p99 ms',
  'MB before / after',
  'recovery ms',
  'cores',
  'lost',
];
report(formatTable(header, rows), results, options.json);
