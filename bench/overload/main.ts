/**
 * Overload: measures what the machine can take, sets max_qps to a share of it, then offers 1, 2, 5 and 10 times that limit, and
 * half of it before and after. Told are goodput as a share of the limit, latency of what was admitted, memory, and how soon
 * all was well again. `--sizes` are sessions.
 */
import { join } from 'node:path';
import { Child } from '../lib/child.ts';
import { benchFlags, startExampleZones, startGateway } from '../lib/gateways.ts';
import { benchOptions } from '../lib/options.ts';
import { cpuSecondsOf, residentBytesOf } from '../lib/process-usage.ts';
import { formatTable, report } from '../lib/summary.ts';
import type { SlotReport, StepReport } from './load.ts';

const factors = [1, 2, 5, 10];
const slotsPerSecond = 10;
const dataBytes = 100;
/**
 * Of what the machine can take at most: max_qps. A refusal costs a tenth to a fifth of a request, so a gateway whose limit
 * is all it can take has nothing left to refuse with; docs/operations.md says how to choose.
 */
const limitShares = [0.4, 0.95];
/** Recovered: this long a stretch is answered as it is offered, and every one after it. */
const recoveredSlots = 5;
const probeSessions = 20;
const probeRate = 400;
/** A little more than the peak is measured with: what waits for the zone is latency. */
const concurrentPerSession = 2.5;

interface LoadRun {
  readonly slots: readonly SlotReport[];
  /** What a client of its own saw that offers little all the time: the flood's own loop is late by then. */
  readonly probe: readonly StepReport[];
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
    const client = join(import.meta.dirname, 'load.ts');
    const probeSteps = steps.replaceAll(/\d+:/g, `${probeRate}:`);
    const probeArgs = [client, gateway.quicAddress, String(probeSessions), String(dataBytes), probeSteps];
    const probe = await Child.start(process.execPath, probeArgs);
    started.push(probe);
    await probe.event('connected', 60_000);
    const load = await Child.start(process.execPath, [client, ...args]);
    started.push(load);
    await load.event('connected', 60_000);
    const [beganMs, beganCpu] = [performance.now(), cpuSecondsOf(gateway.process.pid)];
    const watch = setInterval(() => residentBytes.push(residentBytesOf(gateway.process.pid)), 250);
    const done = await load.event('done', seconds * 1000 + 60_000).finally(() => clearInterval(watch));
    const probed = await probe.event('done', 10_000);
    const cores = ((cpuSecondsOf(gateway.process.pid) - beganCpu) * 1000) / (performance.now() - beganMs);
    return {
      slots: done['slots'] as SlotReport[],
      probe: probed['steps'] as StepReport[],
      lost: Number(done['lost']),
      residentBytes,
      cores,
    };
  } finally {
    for (const child of started.reverse()) await child.stop();
  }
}

/** What a step was like after its first `skip` slots. */
function summary(slots: readonly SlotReport[], step: number, skip: number) {
  const of = slots.filter((slot) => slot.step === step).slice(skip);
  const perSecond = (value: (slot: SlotReport) => number) =>
    (of.reduce((sum, slot) => sum + value(slot), 0) * slotsPerSecond) / Math.max(1, of.length);
  return {
    offered: perSecond((slot) => slot.offered),
    sent: perSecond((slot) => slot.sent),
    goodput: perSecond((slot) => slot.answered),
    refused: perSecond((slot) => slot.refused),
  };
}

/** Milliseconds until answers come at nine tenths of the rate again and stay so, by stretches of half a second. */
function recoveryMs(slots: readonly SlotReport[], step: number): number {
  const of = slots.filter((slot) => slot.step === step);
  const isBad = (index: number) => {
    const stretch = of.slice(index, index + recoveredSlots);
    const sum = (value: (slot: SlotReport) => number) => stretch.reduce((total, slot) => total + value(slot), 0);
    return sum((slot) => slot.answered) < 0.9 * sum((slot) => slot.offered);
  };
  const lastBad = of.slice(0, 1 - recoveredSlots).findLastIndex((_, index) => isBad(index));
  return ((lastBad + 1) * 1000) / slotsPerSecond;
}

const { warmUpSeconds, measureSeconds } = options;
const skip = warmUpSeconds * slotsPerSecond;
const seconds = warmUpSeconds + measureSeconds;
const rows: string[][] = [];
const results: object[] = [];
const latency = (step: StepReport | undefined) => `${step?.p50.toFixed(1)} / ${step?.p99.toFixed(1)}`;

async function flood(sessions: number, machine: number, share: number, factor: number): Promise<void> {
  const limit = Math.round(machine * share);
  const half = Math.round(limit / 2);
  const flags = [`--overload-protection-max-qps=${limit}`, '--overload-protection-qps-window-seconds=1'];
  const steps = `${half}:${seconds},${limit * factor}:${seconds},${half}:${seconds}`;
  const run = await withGateway(flags, sessions, steps, 3 * seconds);
  const calm = summary(run.slots, 0, skip);
  const flooded = summary(run.slots, 1, skip);
  const result = { sessions, machine, limit, factor, calm, flooded, recoveryMs: recoveryMs(run.slots, 2), ...run };
  results.push(result);
  const third = Math.floor(run.residentBytes.length / 3);
  const megabytes = (bytes: number | undefined) => ((bytes ?? Number.NaN) / 1048576).toFixed(0);
  rows.push([
    String(sessions),
    machine.toFixed(0),
    `${limit} (${share})`,
    `${factor} x`,
    flooded.sent.toFixed(0),
    `${((100 * flooded.goodput) / limit).toFixed(0)} %`,
    flooded.refused.toFixed(0),
    latency(run.probe[0]),
    latency(run.probe[1]),
    `${megabytes(run.residentBytes[third - 1])} / ${megabytes(run.residentBytes[2 * third - 1])}`,
    `${result.recoveryMs}`,
    run.cores.toFixed(2),
    String(run.lost),
  ]);
}

for (const sessions of options.sizes) {
  const machine = summary((await withGateway([], sessions, `0:${seconds}`, seconds)).slots, 0, skip).goodput;
  for (const share of limitShares) for (const factor of factors) await flood(sessions, machine, share, factor);
}
const header = [
  'sessions',
  'machine/s',
  'max_qps (share)',
  'offered',
  'sent/s',
  'goodput',
  'refused/s',
  'calm p50/p99 ms',
  'flood p50/p99 ms',
  'MB before / after',
  'recovery ms',
  'cores',
  'lost',
];
report(formatTable(header, rows), results, options.json);
