import { describe, expect, it } from 'vitest';
import { OverloadLimits as OverloadLimitsMessage } from '../../proto/gen/admin.ts';
import { defaultOverloadLimits, limitsFromMessage, limitsToMessage, OverloadLimitsError } from './limits.ts';
import { OverloadProtector } from './protector.ts';
import { clientRateOptions, protectorOptions } from './settings.ts';

const broken: readonly [change: object, rule: RegExp][] = [
  [{ maxConnections: 799 }, /max_connections is 799, below overload.connection_warning_threshold 800/],
  [{ maxQps: 1599 }, /max_qps is 1599, below overload.qps_warning_threshold 1600/],
  [{ maxUpstreamConcurrent: 1 }, /max_upstream_concurrent is 1, below overload.upstream_warning_threshold 80/],
  [{ maxQps: -1 }, /max_qps is -1, expected a whole number from 1/],
  [{ qpsWindowSeconds: 0 }, /qps_window_seconds is 0, expected a whole number from 1 to 3600/],
  [{ upstreamTimeoutMs: Number.NaN }, /upstream_timeout is NaN/],
  [{ connectionWarningThreshold: 0.5 }, /connection_warning_threshold is 0.5/],
  [{ maxConnections: 4_294_967_295 }, /max_connections is 4294967295, expected a whole number from 1 to 10000000/],
];

describe('overload limits', () => {
  it.each(broken)('%j are refused with the rule, and the old ones stay', (change, rule) => {
    const target = new OverloadProtector({ limits: defaultOverloadLimits, zoneCount: 6 });
    const limits = { ...defaultOverloadLimits, ...change };
    expect(() => target.setLimits(0, limits)).toThrow(rule);
    expect(() => target.setLimits(0, limits)).toThrow(OverloadLimitsError);
    expect(target.limits).toBe(defaultOverloadLimits);
  });

  it('take effect at once', () => {
    const target = new OverloadProtector({ limits: defaultOverloadLimits, zoneCount: 6 });
    const limits = { ...defaultOverloadLimits, maxQps: 1, qpsWarningThreshold: 1, qpsWindowSeconds: 1 };
    target.setLimits(0, limits);
    expect(target.limits).toBe(limits);
    expect(target.admit(0, 'business').ok).toBe(true);
    expect(target.admit(0, 'business')).toMatchObject({ ok: false, reason: 'max_qps' });
    target.setLimits(0, { ...limits, enabled: false });
    expect(target.admit(0, 'business').ok).toBe(true);
  });

  it('survive the AdminService message', () => {
    const bytes = OverloadLimitsMessage.encode(limitsToMessage(defaultOverloadLimits)).finish();
    expect(limitsFromMessage(OverloadLimitsMessage.decode(bytes))).toEqual(defaultOverloadLimits);
  });

  it('have warnings at 80 % where the message has none', () => {
    const message = {
      ...defaultOverloadLimits,
      maxConnections: 50,
      connectionWarningThreshold: 0,
      qpsWarningThreshold: 0,
    };
    expect(limitsFromMessage(message)).toMatchObject({ connectionWarningThreshold: 40, qpsWarningThreshold: 1600 });
    expect(() => limitsFromMessage({ ...message, maxQps: 0 })).toThrow('max_qps is 0');
  });
});

describe('overload settings', () => {
  const settings = {
    ...defaultOverloadLimits,
    zoneMaxConcurrent: 0,
    adaptiveConcurrency: false,
    connectRate: 0,
    sessionMessageRate: 0,
    sessionByteRate: 5,
    addressMessageRate: 7,
    addressByteRate: 0,
    eventLoopDelayWarningMs: 100,
    eventLoopDelayLimitMs: 500,
    memoryLimit: 1000,
    memoryWarning: 600,
  };

  it('become options, 0 being no limit', () => {
    expect(protectorOptions(settings, 6, 1000)).toMatchObject({
      limits: defaultOverloadLimits,
      zoneShare: 1,
      heapLimitBytes: 900,
      rssLimitBytes: 1000,
      eventLoopDelayMs: { warn: 100, shed: 300, protect: 500 },
      memory: { warn: 0.6, shed: 0.8, protect: 1 },
    });
    expect(clientRateOptions(settings)).toMatchObject({
      sessionMessagesPerSecond: Number.POSITIVE_INFINITY,
      sessionBytesPerSecond: 5,
      addressMessagesPerSecond: 7,
      addressBytesPerSecond: Number.POSITIVE_INFINITY,
    });
  });
});
