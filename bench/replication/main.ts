/**
 * Replication: pushes through PushStream to N sessions, with a backup and without, in turn. Told are committed pushes a second,
 * as many as go, and the latency of commit of one push at a time. `--sizes` are sessions; `--measure` is of each kind.
 */
import { join } from 'node:path';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import { PushError, type PushProducer, ZoneServer } from '../../gateway/zone-server/zone-server.ts';
import { Child } from '../lib/child.ts';
import { allZoneIds, benchFlags, startGateway } from '../lib/gateways.ts';
import { benchOptions } from '../lib/options.ts';
import { PairProcesses } from '../lib/pair.ts';
import { cpuSecondsOf } from '../lib/process-usage.ts';
import { formatSpread, formatTable, report, spreadOf } from '../lib/summary.ts';

const dataBytes = 100;
const data = new Uint8Array(dataBytes).fill(1);
const inFlight = 512;
const targets = { share: 0.7, addedP50Ms: 1 };
const connectDeadlineMs = 60_000;
/** Sessions whose pushes outrun their acknowledgements must not refuse them: what is measured is the commit. */
const flags = ['--queue-max-messages=4096', '--queue-max-bytes=4194304'];

type Kind = 'pair' | 'alone';

interface Run {
  readonly kind: Kind;
  readonly sessions: number;
  readonly pushesPerSecond: number;
  /** Of the primary alone. */
  readonly pushesPerCpuSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly levels: Readonly<Record<string, number>>;
}

interface Place {
  readonly quicAddress: string;
  readonly grpcAddress: string;
  readonly pid: number;
  stop(): Promise<void>;
}

async function startPlace(kind: Kind): Promise<Place> {
  if (kind === 'alone') {
    const { quicAddress, grpcAddress, process: child } = await startGateway([...benchFlags, ...flags]);
    return { quicAddress, grpcAddress, pid: child.pid, stop: () => child.stop() };
  }
  const pair = await PairProcesses.start({ flags: [...benchFlags, ...flags] });
  const primary = await pair.untilInSync();
  const { quic, grpc } = pair.addresses[primary];
  return { quicAddress: quic, grpcAddress: grpc, pid: pair.process(primary).pid, stop: () => pair.stop() };
}

/** Pushes to all sessions in turn, so many under way at a time, for some seconds. */
class Pusher {
  readonly levels: Record<string, number> = {};
  latenciesMs: number[] = [];
  #producers = new Map<string, PushProducer>();
  #openids: readonly string[];
  #turn = 0;

  constructor(zones: readonly ZoneServer[], openids: readonly string[]) {
    for (const zone of zones) this.#producers.set(zone.zoneId, zone.openProducer());
    this.#openids = openids;
  }

  /** @returns accepted pushes a second. */
  async run(seconds: number, underWay: number): Promise<number> {
    this.latenciesMs = [];
    const beganMs = performance.now();
    const untilMs = beganMs + seconds * 1_000;
    let accepted = 0;
    const lane = async () => {
      while (performance.now() < untilMs) {
        // Not in one expression: another lane may have added to it meanwhile.
        const one = await this.#push();
        accepted += one;
      }
    };
    await Promise.all(Array.from({ length: underWay }, lane));
    return (accepted * 1_000) / (performance.now() - beganMs);
  }

  async #push(): Promise<number> {
    this.#turn += 1;
    const openid = this.#openids[this.#turn % this.#openids.length] ?? '';
    const producer = this.#producers.get(zoneOf(openid, allZoneIds.length));
    if (producer === undefined) throw new Error(`no zone of ${openid}`);
    const beganMs = performance.now();
    try {
      const { level } = await producer.push(openid, data);
      this.latenciesMs.push(performance.now() - beganMs);
      this.levels[level] = (this.levels[level] ?? 0) + 1;
      return 1;
    } catch (error) {
      if (!(error instanceof PushError)) throw error;
      this.levels[error.failure] = (this.levels[error.failure] ?? 0) + 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
      return 0;
    }
  }
}

async function measure(kind: Kind, sessions: number): Promise<Run> {
  const place = await startPlace(kind);
  const zones: ZoneServer[] = [];
  let clients: Child | undefined;
  try {
    for (const zoneId of allZoneIds) {
      const gateways = [place.grpcAddress];
      const zone = new ZoneServer({ zoneId, address: '127.0.0.1:0', gateways, handler: () => ({}) });
      zones.push(zone);
      await zone.start();
      await zone.whenRegistered();
    }
    const seconds = options.warmUpSeconds + 2 * options.measureSeconds + 10;
    const program = join(import.meta.dirname, '..', 'overload', 'load.ts');
    const load = [program, place.quicAddress, String(sessions), String(dataBytes), `1:${seconds}`];
    clients = await Child.start(process.execPath, load);
    await clients.event('connected', connectDeadlineMs);
    const pid = clients.pid;
    const openids = Array.from({ length: sessions }, (_, index) => `load-${pid}-${index}`);
    const pusher = new Pusher(zones, openids);
    await pusher.run(options.warmUpSeconds, inFlight);
    await pusher.run(options.measureSeconds, 1);
    const sorted = [...pusher.latenciesMs].sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
    const cpuBefore = cpuSecondsOf(place.pid);
    const pushesPerSecond = await pusher.run(options.measureSeconds, inFlight);
    const cores = (cpuSecondsOf(place.pid) - cpuBefore) / options.measureSeconds;
    const { levels } = pusher;
    const pushesPerCpuSecond = pushesPerSecond / cores;
    return { kind, sessions, pushesPerSecond, pushesPerCpuSecond, p50Ms: at(0.5), p99Ms: at(0.99), levels };
  } finally {
    await clients?.stop();
    await Promise.all(zones.map((zone) => zone.stop(500)));
    await place.stop();
  }
}

const hundredths = (value: number) => value.toFixed(2);
const thousands = (value: number) => `${(value / 1_000).toFixed(1)}k`;

function rowOf(runs: readonly Run[], sessions: number): string[] {
  const of = (kind: Kind) => runs.filter((run) => run.sessions === sessions && run.kind === kind);
  const cell = (kind: Kind, read: (run: Run) => number, format: (value: number) => string) =>
    formatSpread(spreadOf(of(kind).map(read)), format);
  const compared = (combine: (pair: Run, alone: Run) => number) =>
    formatSpread(
      spreadOf(
        of('pair').flatMap((pair, round) =>
          of('alone')
            .slice(round, round + 1)
            .map((alone) => combine(pair, alone)),
        ),
      ),
      hundredths,
    );
  return [
    String(sessions),
    cell('alone', (run) => run.pushesPerSecond, thousands),
    cell('pair', (run) => run.pushesPerSecond, thousands),
    compared((pair, alone) => pair.pushesPerSecond / alone.pushesPerSecond),
    compared((pair, alone) => pair.pushesPerCpuSecond / alone.pushesPerCpuSecond),
    cell('alone', (run) => run.p50Ms, hundredths),
    cell('pair', (run) => run.p50Ms, hundredths),
    compared((pair, alone) => pair.p50Ms - alone.p50Ms),
  ];
}

const header = [
  'sessions',
  'alone pushes/s',
  'pair pushes/s',
  `share (≥ ${targets.share})`,
  'share of primary CPU',
  'alone p50 ms',
  'pair p50 ms',
  `added p50 ms (≤ ${targets.addedP50Ms})`,
];

const options = benchOptions(process.argv.slice(2), {
  sizes: [500, 2000],
  rounds: 3,
  warmUpSeconds: 2,
  measureSeconds: 4,
});
const runs: Run[] = [];
for (const sessions of options.sizes) {
  for (let round = 0; round < options.rounds; round += 1) {
    const kinds: Kind[] = round % 2 === 0 ? ['pair', 'alone'] : ['alone', 'pair'];
    for (const kind of kinds) runs.push(await measure(kind, sessions));
  }
}
const table = formatTable(
  header,
  options.sizes.map((sessions) => rowOf(runs, sessions)),
);
report(table, runs, options.json);
process.exit(0);
