import { sweepConnections } from './handlers/connection-deadlines.ts';
import type { HandlerContext } from './handlers/context.ts';
import { EventLoopMonitor } from './lib/event-loop-monitor.ts';
import type { Metrics } from './lib/metrics.ts';
import type { RequestMeter } from './lib/request-meter.ts';

const tickMs = 100;
const sweepMs = 250;
const observeMs = 1_000;

export interface HousekeepingOptions {
  readonly context: HandlerContext;
  readonly meter: RequestMeter;
  readonly metrics: Metrics;
}

/** What happens by the clock: shard time, deadlines of connections and deliveries, and a look at the process itself. */
export class Housekeeping {
  #context: HandlerContext;
  #meter: RequestMeter;
  #loop: EventLoopMonitor;
  #timers: NodeJS.Timeout[];
  /** The epoch whose shard time is counted from the offset. */
  #epoch = 0;
  #shardOffsetMs = 0;
  #onSweep: (() => void)[] = [];

  constructor({ context, meter, metrics }: HousekeepingOptions) {
    this.#context = context;
    this.#meter = meter;
    this.#loop = new EventLoopMonitor(context.clock, metrics.eventLoopDelay);
    this.#timers = [
      setInterval(() => this.#tick(), tickMs),
      setInterval(() => this.#sweep(), sweepMs),
      setInterval(() => this.#observe(), observeMs),
    ];
  }

  /** Also called at each sweep. */
  onSweep(listener: () => void): void {
    this.#onSweep.push(listener);
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#loop.stop();
  }

  /** Shard time rises by commands only; it goes on from where the state stands (rule 7). */
  #tick(): void {
    const { shard, sessions, clock, delivery, turn } = this.#context;
    const nowMs = clock.nowMs();
    if (!shard.serving) return;
    if (shard.epoch !== this.#epoch) {
      this.#epoch = shard.epoch;
      this.#shardOffsetMs = sessions.timeMs - nowMs;
    }
    shard.submit({ kind: 'tick', timeMs: Math.floor(nowMs + this.#shardOffsetMs) });
    delivery.runDeadlines(nowMs);
    turn.ask();
  }

  #sweep(): void {
    sweepConnections(this.#context);
    this.#context.pushWaiters.sweep(this.#context.clock.nowMs());
    for (const listener of this.#onSweep) listener();
  }

  #observe(): void {
    const nowMs = this.#context.clock.nowMs();
    this.#meter.advance(nowMs);
    const { heapUsed, rss } = process.memoryUsage();
    this.#context.protector.observe(nowMs, {
      eventLoopDelayMs: this.#loop.delayMs,
      heapUsedBytes: heapUsed,
      rssBytes: rss,
    });
  }
}
