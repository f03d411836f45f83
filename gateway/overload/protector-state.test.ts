import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../protocol/error-codes.ts';
import { defaultOverloadLimits, type OverloadLimits } from './limits.ts';
import { OverloadProtector, type ProtectorOptions } from './protector.ts';
import type { OverloadStateChange } from './signals.ts';

const calm = { eventLoopDelayMs: 1, heapUsedBytes: 0, rssBytes: 0 };

describe('OverloadProtector state', () => {
  function recorded(limits: Partial<OverloadLimits>, options: Partial<ProtectorOptions> = {}) {
    const changes: OverloadStateChange[] = [];
    const target = new OverloadProtector({
      limits: { ...defaultOverloadLimits, ...limits },
      zoneCount: 6,
      ...options,
      onStateChange: (change) => changes.push(change),
    });
    return { target, changes };
  }

  it('goes to warn and shed with connections and back below nine tenths', () => {
    const { target, changes } = recorded({ maxConnections: 10, connectionWarningThreshold: 5 });
    for (let i = 0; i < 10; i += 1) {
      target.connectionOpened();
      target.observe(i, calm);
    }
    expect(changes.map((change) => change.to)).toEqual(['warn', 'shed']);
    for (let i = 0; i < 6; i += 1) target.connectionClosed();
    target.observe(1000, calm);
    target.observe(1900, calm);
    expect(target.state).toBe('shed');
    target.observe(2001, calm);
    expect(target.state).toBe('normal');
    expect(changes.at(-1)).toMatchObject({ from: 'shed', to: 'normal', signal: 'connections' });
  });

  it('refuses logins while requests are being refused, and takes them again soon after', () => {
    const { target } = recorded({});
    for (let i = 0; i < 10_000; i += 1) target.admit(0, 'business');
    target.observe(30, calm);
    expect(target.state).toBe('shed');
    expect(target.admit(31, 'login')).toMatchObject({ ok: false, code: ErrorCode.ERROR_TRY_LATER });
    expect(target.admit(32, 'resume').ok).toBe(true);
    for (let nowMs = 50; nowMs < 1900; nowMs += 250) target.observe(nowMs, calm);
    expect(target.admit(1900, 'login').ok).toBe(true);
  });

  it('takes new thresholds and rates while running, whole or not at all; the others stay', () => {
    const { target } = recorded({}, { rssLimitBytes: 1000, connectsPerSecond: 1_000 });
    target.observe(0, { ...calm, rssBytes: 900 });
    expect(target.state).not.toBe('normal');
    const broken = { ...defaultOverloadLimits, maxQps: -1 };
    expect(() => target.setLimits(1, broken, { rssLimitBytes: 100_000 })).toThrow(/max_qps/);
    target.observe(1_500, { ...calm, rssBytes: 900 });
    expect(target.state).not.toBe('normal');
    target.setLimits(
      2_000,
      { ...defaultOverloadLimits, maxConnections: 2, connectionWarningThreshold: 1 },
      {
        rssLimitBytes: 100_000,
        connectsPerSecond: 1,
      },
    );
    for (let nowMs = 2_000; nowMs < 5_000; nowMs += 250) target.observe(nowMs, { ...calm, rssBytes: 900 });
    expect(target.state).toBe('normal');
    const connects = Array.from({ length: 4 }, () => target.admit(5_000, 'connect').ok);
    expect(connects).toEqual([true, true, false, false]);
  });

  it('protects itself when memory runs out, and still lets sessions resume and acknowledge', () => {
    const { target, changes } = recorded({}, { rssLimitBytes: 1000 });
    target.observe(0, { ...calm, rssBytes: 1000 });
    expect(changes).toMatchObject([{ from: 'normal', to: 'protect', signal: 'memory' }]);
    for (const kind of ['login', 'business', 'push-unicast', 'push-broadcast'] as const) {
      expect(target.admit(1, kind)).toMatchObject({ ok: false, reason: 'memory' });
    }
    for (const kind of ['resume', 'heartbeat', 'ack', 'business-high', 'connect'] as const) {
      expect(target.admit(1, kind).ok).toBe(true);
    }
  });

  it('lowers the rate of requests while the event loop lags and restores it after', () => {
    const { target } = recorded({ maxQps: 1_000_000, qpsWarningThreshold: 900_000 });
    const admittedIn = (fromMs: number, delayMs: number): number => {
      let count = 0;
      for (let i = 0; i < 1000; i += 1) {
        if (i % 250 === 0) target.observe(fromMs + i, { ...calm, eventLoopDelayMs: delayMs });
        for (let j = 0; j < 10; j += 1) count += target.admit(fromMs + i, 'business').ok ? 1 : 0;
      }
      return count;
    };
    expect(admittedIn(0, 1)).toBe(10_000);
    let least = 10_000;
    for (let second = 1; second < 600; second += 1) least = Math.min(least, admittedIn(second * 1000, 600));
    expect(least).toBeLessThan(5000);
    expect(least).toBeGreaterThan(0);
    let last = 0;
    for (let second = 600; second < 660; second += 1) last = admittedIn(second * 1000, 1);
    expect(last).toBe(10_000);
  });

  it('admits all when it is not enabled, but counts', () => {
    const { target, changes } = recorded({
      maxConnections: 5,
      connectionWarningThreshold: 4,
      qpsWindowSeconds: 2,
      enabled: false,
    });
    for (let i = 0; i < 1000; i += 1) {
      expect(target.admit(0, 'business').ok).toBe(true);
      target.connectionOpened();
    }
    target.observe(1, { eventLoopDelayMs: 9999, heapUsedBytes: 0, rssBytes: 0 });
    expect(target.stats(1)).toMatchObject({ state: 'normal', connections: 1000, qps: 500 });
    expect(changes).toEqual([]);
  });
});
