import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { LatencyHistogram } from './latency-histogram.ts';

/** A number that only rises. Adding to it is all that happens on the path of a message. */
export interface Tally {
  value: number;
}

/** Label values beyond this many are counted together as "other": names may come from outside. */
const seriesMax = 1000;

/** A Prometheus counter whose series are plain numbers, read when somebody scrapes. */
class TallyFamily<Label extends string> {
  #labelNames: readonly Label[];
  #tallies = new Map<string, { readonly labels: readonly string[]; readonly tally: Tally }>();

  constructor(registry: Registry, name: string, help: string, labelNames: readonly Label[]) {
    this.#labelNames = labelNames;
    const tallies = this.#tallies;
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, tally } of tallies.values()) this.labels(...labels).inc(tally.value);
      },
    });
  }

  /** The series of these label values, in the order of the names; keep it where it is used often. */
  tally(...labels: readonly string[]): Tally {
    const known = this.#tallies.get(labels.join('\0'));
    if (known !== undefined) return known.tally;
    const kept = this.#tallies.size < seriesMax ? labels : this.#labelNames.map(() => 'other');
    const key = kept.join('\0');
    const series = this.#tallies.get(key) ?? { labels: kept, tally: { value: 0 } };
    this.#tallies.set(key, series);
    return series.tally;
  }
}

/** A LatencyHistogram in the Prometheus text format, in seconds: prom-client cannot be given buckets counted elsewhere. */
function histogramText(name: string, help: string, latency: LatencyHistogram): string {
  const buckets = latency
    .cumulative()
    .map(({ boundSeconds, count }) => `${name}_bucket{le="${boundSeconds}"} ${count}`);
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} histogram`,
    ...buckets,
    `${name}_bucket{le="+Inf"} ${latency.count}`,
    `${name}_sum ${latency.sumMs / 1000}`,
    `${name}_count ${latency.count}`,
    '',
  ].join('\n');
}

export interface ShardGauges {
  readonly id: string;
  readonly role: string;
  readonly epoch: number;
  /** Log entries that the furthest in-sync member has not acknowledged. */
  readonly lagEntries: number;
}

/** What is read when somebody scrapes. */
export interface GaugeSource {
  connections(): number;
  sessions(): number;
  /** Messages in all queues. */
  queueMessages(): number;
  /** Sessions by zone. */
  zoneSessions(): Iterable<readonly [string, number]>;
  shards(): readonly ShardGauges[];
}

const roles = ['standby', 'backup', 'primary', 'deposed'];

function addGauges(registry: Registry, source: () => GaugeSource | undefined): void {
  const registers = [registry];
  const plain = (name: string, help: string, read: (from: GaugeSource) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const from = source();
        this.set(from === undefined ? 0 : read(from));
      },
    });
  plain('gatesvr_active_connections', 'Client connections.', (from) => from.connections());
  plain('gatesvr_session_count', 'Sessions, connected or waiting for their client.', (from) => from.sessions());
  plain('gatesvr_message_queue_size', 'Messages sent or to be sent that no client acknowledged yet.', (from) =>
    from.queueMessages(),
  );
  plain('gatesvr_replication_lag_entries', 'Log entries that a backup has not acknowledged yet.', (from) =>
    Math.max(0, ...from.shards().map((shard) => shard.lagEntries)),
  );
  const byLabel = (name: string, help: string, labelNames: string[], set: (gauge: Gauge, from: GaugeSource) => void) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        const from = source();
        if (from !== undefined) set(this, from);
      },
    });
  byLabel('gatesvr_zone_distribution', 'Sessions by zone.', ['zone'], (gauge, from) => {
    for (const [zone, sessions] of from.zoneSessions()) gauge.set({ zone }, sessions);
  });
  byLabel('gatesvr_epoch', 'Epoch of a shard; it rises with every promotion.', ['shard'], (gauge, from) => {
    for (const { id, epoch } of from.shards()) gauge.set({ shard: id }, epoch);
  });
  byLabel(
    'gatesvr_role',
    '1 for the role this gateway has in a shard, 0 for the others.',
    ['shard', 'role'],
    (gauge, from) => {
      for (const { id, role } of from.shards()) {
        for (const each of roles) gauge.set({ shard: id, role: each }, each === role ? 1 : 0);
      }
    },
  );
}

export interface Metrics {
  readonly contentType: string;
  /** Everything in the Prometheus text format. */
  text(): Promise<string>;
  /** gatesvr_total_requests{type,result} */
  readonly totalRequests: TallyFamily<'type' | 'result'>;
  /** gatesvr_request_duration */
  readonly requestDuration: LatencyHistogram;
  /** gatesvr_upstream_requests{zone,result} */
  readonly upstreamRequests: TallyFamily<'zone' | 'result'>;
  /** gatesvr_rejects_total{reason} */
  readonly rejects: TallyFamily<'reason'>;
  /** gatesvr_commit_duration_seconds */
  readonly commitDuration: LatencyHistogram;
  /** gatesvr_event_loop_delay_seconds */
  readonly eventLoopDelay: LatencyHistogram;
  /** From now on the gauges show what `source` says. */
  observe(source: GaugeSource): void;
}

/** All metrics of one gateway, in a registry of their own, with the process's own metrics beside them. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  let source: GaugeSource | undefined;
  collectDefaultMetrics({ register: registry });
  addGauges(registry, () => source);
  const latencies: (() => string)[] = [];
  const latency = (name: string, help: string) => {
    const histogram = new LatencyHistogram();
    latencies.push(() => histogramText(name, help, histogram));
    return histogram;
  };
  return {
    contentType: registry.contentType,
    text: async () => [await registry.metrics(), ...latencies.map((render) => render())].join('\n'),
    totalRequests: new TallyFamily(registry, 'gatesvr_total_requests', 'Requests by type and result.', [
      'type',
      'result',
    ]),
    requestDuration: latency('gatesvr_request_duration', 'Seconds from a request to its answer.'),
    upstreamRequests: new TallyFamily(registry, 'gatesvr_upstream_requests', 'Requests to zones.', ['zone', 'result']),
    rejects: new TallyFamily(registry, 'gatesvr_rejects_total', 'What was refused, by reason.', ['reason']),
    commitDuration: latency('gatesvr_commit_duration_seconds', 'Seconds from a command to its commit.'),
    eventLoopDelay: latency('gatesvr_event_loop_delay_seconds', 'How late the event loop ran a timer.'),
    observe: (next) => {
      source = next;
    },
  };
}
