import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestMetrics } from './kube-client/http-kube-client.ts';
import type { HandleResult, QueueMetrics } from './work-queue.ts';

/** What is read when somebody scrapes. */
export interface OperatorGauges {
  readonly isLeader: boolean;
  /** Resource → how long ago the API server confirmed what is known of it, and how many objects that is. */
  stores(): Iterable<readonly [string, { readonly staleMs: number; readonly objects: number }]>;
  /** Queue → for how long each of its handles has been running. */
  running(): Iterable<readonly [string, readonly number[]]>;
}

const secondsBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const queueBuckets = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000];

/** The operator's metrics, under the names that controller-runtime and client-go gave them. */
export class OperatorMetrics implements QueueMetrics, RequestMetrics {
  readonly registry = new Registry();
  #adds: Counter;
  #retries: Counter;
  #depth: Gauge;
  #queueDuration: Histogram;
  #workDuration: Histogram;
  #reconciles: Counter;
  #reconcileErrors: Counter;
  #reconcileTime: Histogram;
  #requests: Counter;
  #host: string;

  /** @param host of the API server, as a label */
  constructor(host: string) {
    this.#host = host;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    const counter = (name: string, help: string, labelNames: string[]) =>
      new Counter({ name, help, labelNames, registers });
    const histogram = (name: string, help: string, label: string, buckets: number[]) =>
      new Histogram({ name, help, labelNames: [label], buckets, registers });
    this.#adds = counter('workqueue_adds_total', 'Keys added to a queue.', ['name', 'controller']);
    this.#retries = counter('workqueue_retries_total', 'Keys added again after a failure.', ['name', 'controller']);
    this.#depth = new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait in a queue.',
      labelNames: ['name', 'controller'],
      registers,
    });
    const waited = 'Seconds a key waited in its queue.';
    this.#queueDuration = histogram('workqueue_queue_duration_seconds', waited, 'name', queueBuckets);
    const worked = 'Seconds that handling a key took.';
    this.#workDuration = histogram('workqueue_work_duration_seconds', worked, 'name', queueBuckets);
    const reconciled = 'Reconciles by result.';
    this.#reconciles = counter('controller_runtime_reconcile_total', reconciled, ['controller', 'result']);
    const failed = 'Reconciles that failed.';
    this.#reconcileErrors = counter('controller_runtime_reconcile_errors_total', failed, ['controller']);
    const took = 'Seconds of a reconcile.';
    this.#reconcileTime = histogram('controller_runtime_reconcile_time_seconds', took, 'controller', secondsBuckets);
    const requested = 'Requests to the API server.';
    this.#requests = counter('rest_client_requests_total', requested, ['code', 'method', 'host']);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** Everything in the Prometheus text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  added(queue: string): void {
    this.#adds.inc({ name: queue, controller: queue });
  }

  retried(queue: string): void {
    this.#retries.inc({ name: queue, controller: queue });
  }

  depth(queue: string, keys: number): void {
    this.#depth.set({ name: queue, controller: queue }, keys);
  }

  waited(queue: string, ms: number): void {
    this.#queueDuration.observe({ name: queue }, ms / 1000);
  }

  worked(queue: string, ms: number, result: HandleResult): void {
    this.#workDuration.observe({ name: queue }, ms / 1000);
    this.#reconcileTime.observe({ controller: queue }, ms / 1000);
    this.#reconciles.inc({ controller: queue, result });
    if (result === 'error') this.#reconcileErrors.inc({ controller: queue });
  }

  requested(method: string, code: string): void {
    this.#requests.inc({ code, method, host: this.#host });
  }

  /** From now on the gauges show what `source` says. */
  observe(source: OperatorGauges, leaseName: string): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, labelNames: string[], set: (gauge: Gauge) => void) =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          set(this);
        },
      });
    const leads = '1 on the operator that leads.';
    gauge('leader_election_master_status', leads, ['name'], (each) =>
      each.set({ name: leaseName }, source.isLeader ? 1 : 0),
    );
    const stale = 'Seconds since the API server confirmed what the operator knows of a resource.';
    gauge('gatesvr_operator_store_stale_seconds', stale, ['resource'], (each) => {
      for (const [resource, { staleMs }] of source.stores()) each.set({ resource }, staleMs / 1000);
    });
    gauge('gatesvr_operator_store_objects', 'Objects that the operator knows.', ['resource'], (each) => {
      for (const [resource, { objects }] of source.stores()) each.set({ resource }, objects);
    });
    gauge('controller_runtime_active_workers', 'Reconciles under way.', ['controller'], (each) => {
      for (const [controller, runningMs] of source.running()) each.set({ controller }, runningMs.length);
    });
    const longest = 'Seconds that the longest reconcile under way has been running.';
    gauge('workqueue_longest_running_processor_seconds', longest, ['name'], (each) => {
      for (const [name, runningMs] of source.running()) each.set({ name }, Math.max(0, ...runningMs) / 1000);
    });
    const unfinished = 'Seconds that all reconciles under way have been running, together.';
    gauge('workqueue_unfinished_work_seconds', unfinished, ['name'], (each) => {
      for (const [name, runningMs] of source.running()) {
        const totalMs = runningMs.reduce((sum, ms) => sum + ms, 0);
        each.set({ name }, totalMs / 1000);
      }
    });
  }
}
