import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventLoopMonitor } from './event-loop-monitor.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { createMetrics, type GaugeSource } from './metrics.ts';
import { RequestMeter } from './request-meter.ts';

const source: GaugeSource = {
  connections: () => 3,
  sessions: () => 4,
  queueMessages: () => 5,
  zoneSessions: () => [['001', 4]],
  shards: () => [{ id: '0', role: 'primary', epoch: 7, lagEntries: 2 }],
};

describe('createMetrics', () => {
  it('shows every pinned name', async () => {
    const metrics = createMetrics();
    metrics.observe(source);
    metrics.totalRequests.tally('business', 'ok').value += 2;
    metrics.upstreamRequests.tally('001', 'ok').value += 1;
    metrics.rejects.tally('QUEUE_FULL').value += 1;
    metrics.requestDuration.record(1);
    const lines = (await metrics.text()).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'gatesvr_active_connections 3',
        'gatesvr_session_count 4',
        'gatesvr_message_queue_size 5',
        'gatesvr_zone_distribution{zone="001"} 4',
        'gatesvr_total_requests{type="business",result="ok"} 2',
        'gatesvr_upstream_requests{zone="001",result="ok"} 1',
        'gatesvr_rejects_total{reason="QUEUE_FULL"} 1',
        'gatesvr_replication_lag_entries 2',
        'gatesvr_epoch{shard="0"} 7',
        'gatesvr_role{shard="0",role="primary"} 1',
        'gatesvr_role{shard="0",role="backup"} 0',
        'gatesvr_request_duration_bucket{le="0.000512"} 0',
        'gatesvr_request_duration_bucket{le="0.001024"} 1',
        'gatesvr_request_duration_bucket{le="+Inf"} 1',
        'gatesvr_request_duration_sum 0.001',
        'gatesvr_request_duration_count 1',
        'gatesvr_commit_duration_seconds_count 0',
        'gatesvr_event_loop_delay_seconds_count 0',
      ]),
    );
    expect(lines.some((line) => line.startsWith('process_resident_memory_bytes '))).toBe(true);
  });

  it('starts at nothing, and one registry knows nothing of another', async () => {
    createMetrics().rejects.tally('OVERLOADED').value += 1;
    const text = await createMetrics().text();
    expect(text).toContain('gatesvr_active_connections 0');
    expect(text).not.toContain('OVERLOADED');
  });

  it('forgets gauges of what is gone', async () => {
    const metrics = createMetrics();
    metrics.observe(source);
    await metrics.text();
    metrics.observe({ ...source, zoneSessions: () => [] });
    expect(await metrics.text()).not.toContain('zone="001"');
  });

  it('counts names beyond its bound together', () => {
    const { rejects } = createMetrics();
    for (let index = 0; index < 3000; index += 1) rejects.tally(`reason-${index}`).value += 1;
    expect(rejects.tally('one more')).toBe(rejects.tally('other'));
    expect(rejects.tally('other').value).toBe(2000);
  });
});

describe('LatencyHistogram', () => {
  it('is never below a true quantile, and at most a sixteenth and a microsecond above', () => {
    const durations = fc.array(fc.double({ min: 0, max: 1_000_000, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const histogram = new LatencyHistogram();
        for (const value of values) histogram.record(value);
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * values.length)) - 1] ?? 0;
        const measured = histogram.quantileMs(q);
        expect(measured).toBeGreaterThanOrEqual(exact);
        expect(measured).toBeLessThanOrEqual(exact * (1 + 1 / 16) + 0.001);
      }),
    );
  });

  it('counts below each bound exactly what is below it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40_000_000)), (microseconds) => {
        const histogram = new LatencyHistogram();
        for (const value of microseconds) histogram.record((value + 0.5) / 1000);
        for (const { boundSeconds, count } of histogram.cumulative()) {
          expect(count).toBe(microseconds.filter((value) => value + 0.5 < boundSeconds * 1_000_000).length);
        }
      }),
    );
  });

  it('survives what is no duration', () => {
    const histogram = new LatencyHistogram();
    for (const value of [-1, 0, 1e12, Number.POSITIVE_INFINITY]) histogram.record(value);
    expect(histogram.count).toBe(4);
    expect(histogram.quantileMs(0.5)).toBe(0.001);
  });
});

describe('RequestMeter', () => {
  const meter = (nowMs = 0) => {
    const metrics = createMetrics();
    const codeName = (code: number) => `CODE_${code}`;
    return { metrics, meter: new RequestMeter({ metrics, windowSeconds: 10, nowMs, codeName }) };
  };

  it('counts by type, result and reason', () => {
    const { metrics, meter: subject } = meter();
    subject.request('business', 'ok', 3);
    subject.request('ack', 'ok', 0);
    subject.rejected(1004);
    subject.rejected(1004);
    expect(metrics.totalRequests.tally('business', 'ok').value).toBe(1);
    expect(metrics.totalRequests.tally('ack', 'ok').value).toBe(1);
    expect(metrics.rejects.tally('CODE_1004').value).toBe(2);
    expect(metrics.requestDuration.count).toBe(1);
  });

  it('reports rates over the window, and forgets what is older', () => {
    const { meter: subject } = meter(1000);
    for (let second = 0; second < 10; second += 1) {
      for (let index = 1; index <= 100; index += 1) subject.request('business', 'ok', index);
      subject.bytes(1000, 2000);
      subject.advance(2000 + second * 1000);
    }
    const report = subject.report(11_000);
    expect(report).toMatchObject({
      window_seconds: 10,
      qps: 100,
      throughput_bytes_per_second: { in: 1000, out: 2000 },
    });
    expect(report.latency_ms.max).toBe(100);
    expect(report.latency_ms.p50).toBeGreaterThanOrEqual(50);
    expect(report.latency_ms.p50).toBeLessThan(54);
    expect(subject.report(30_000)).toMatchObject({ qps: 0, latency_ms: { p50: 0, p99: 0, max: 0 } });
  });
});

describe('EventLoopMonitor', () => {
  it('shows the mean delay of the last second, which one pause does not raise much', () => {
    let nowMs = 0;
    const histogram = new LatencyHistogram();
    const monitor = new EventLoopMonitor({ nowMs: () => nowMs, wallMs: () => 0 }, histogram);
    monitor.stop();
    const probeAfter = (ms: number) => {
      nowMs += ms;
      monitor.probe();
    };
    probeAfter(20);
    expect(monitor.delayMs).toBe(0);
    probeAfter(320);
    expect(monitor.delayMs).toBe(6);
    for (let index = 0; index < 50; index += 1) probeAfter(20);
    expect(monitor.delayMs).toBe(0);
    for (let index = 0; index < 50; index += 1) probeAfter(120);
    expect(monitor.delayMs).toBe(100);
    expect(histogram.count).toBe(102);
  });
});
