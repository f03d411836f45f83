import { Counter, Histogram, type Registry } from 'prom-client';

const buckets = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 40];

/** Times of one failover, on the operator's monotonic clock. */
export interface FailoverTimes {
  /** The primary was last heard. */
  readonly lostMs: number;
  /** The decision to promote was made. */
  readonly decidedMs: number;
  /** Promote was sent. */
  promotedMs: number;
}

/** Histograms and counters of promotions, as the operator that made them saw them. */
export class FailoverMetrics {
  #detection: Histogram;
  #promotion: Histogram;
  #total: Histogram;
  #promotions: Counter;
  #switchoverFailures: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    const histogram = (name: string, help: string) => new Histogram({ name, help, buckets, registers });
    this.#detection = histogram(
      'gatesvr_operator_failover_detection_seconds',
      'From the last word of a primary to the decision to promote its backup',
    );
    this.#promotion = histogram(
      'gatesvr_operator_failover_promotion_seconds',
      'From the decision to promote to Promote sent, the Lease swapped in between',
    );
    this.#total = histogram(
      'gatesvr_operator_failover_total_seconds',
      'From the last word of a primary to its successor in EndpointSlices, labels and status',
    );
    this.#promotions = new Counter({
      name: 'gatesvr_operator_promotions_total',
      help: 'Promotions that this operator saw through, by reason',
      labelNames: ['reason'],
      registers,
    });
    this.#switchoverFailures = new Counter({
      name: 'gatesvr_operator_switchover_failures_total',
      help: 'Switchovers that were asked for and did not happen',
      registers,
    });
  }

  failedOver(times: FailoverTimes, projectedMs: number): void {
    this.#detection.observe(seconds(times.decidedMs - times.lostMs));
    this.#promotion.observe(seconds(times.promotedMs - times.decidedMs));
    this.#total.observe(seconds(projectedMs - times.lostMs));
  }

  promoted(reason: string): void {
    this.#promotions.inc({ reason });
  }

  switchoverFailed(): void {
    this.#switchoverFailures.inc();
  }
}

function seconds(ms: number): number {
  return Math.max(0, ms) / 1000;
}
