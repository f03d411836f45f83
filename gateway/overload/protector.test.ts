import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { AdmissionKind } from './admission.ts';
import { defaultOverloadLimits, type OverloadLimits } from './limits.ts';
import { OverloadProtector, type ProtectorOptions } from './protector.ts';
import type { OverloadStateChange } from './signals.ts';

function protector(limits: Partial<OverloadLimits> = {}, options: Partial<ProtectorOptions> = {}): OverloadProtector {
  return new OverloadProtector({ limits: { ...defaultOverloadLimits, ...limits }, zoneCount: 6, ...options });
}

type Step =
  | { readonly kind: AdmissionKind; readonly zoneId: string }
  | { readonly kind: 'finish'; readonly zoneId: string }
  | { readonly kind: 'close' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'observe'; readonly delayMs: number; readonly rssBytes: number };

const zoneId = fc.constantFrom('001', '002', '003');
const anyKind = fc.constantFrom<AdmissionKind>(
  'resume',
  'connect',
  'business-high',
  'business',
  'login',
  'push-broadcast',
  'ack',
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: anyKind, zoneId }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), zoneId }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 700 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('observe' as const),
      delayMs: fc.integer({ min: 0, max: 4000 }),
      rssBytes: fc.integer({ min: 0, max: 120 }),
    }),
  },
);

const small: Partial<OverloadLimits> = {
  maxConnections: 5,
  connectionWarningThreshold: 4,
  maxQps: 10,
  qpsWarningThreshold: 8,
  qpsWindowSeconds: 2,
  maxUpstreamConcurrent: 6,
  upstreamWarningThreshold: 4,
};

/** Runs steps against a protector; `look` sees it before each of them. */
function run(target: OverloadProtector, steps: readonly Step[], look: (nowMs: number, step: Step) => void): void {
  let nowMs = 1000;
  for (const one of steps) {
    look(nowMs, one);
    if (one.kind === 'wait') nowMs += one.ms;
    else if (one.kind === 'finish') target.upstreamFinished(one.zoneId, 5, true);
    else if (one.kind === 'close') target.connectionClosed();
    else if (one.kind === 'observe') {
      target.observe(nowMs, { eventLoopDelayMs: one.delayMs, heapUsedBytes: 0, rssBytes: one.rssBytes });
    } else {
      const business = one.kind === 'business' || one.kind === 'business-high';
      if (!target.admit(nowMs, one.kind, business ? one.zoneId : undefined).ok) continue;
      if (one.kind === 'connect') target.connectionOpened();
      if (business) target.upstreamStarted(one.zoneId);
    }
  }
}

describe('OverloadProtector limits', () => {
  it('never admits above a hard limit, in any window', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const target = protector(small, { connectsPerSecond: 100, rssLimitBytes: 100 });
        const requests: number[] = [];
        const spied = target.admit.bind(target);
        target.admit = (nowMs, kind, zone) => {
          const decision = spied(nowMs, kind, zone);
          const counted = kind !== 'connect' && kind !== 'ack' && kind !== 'push-broadcast';
          if (decision.ok && counted) requests.push(nowMs);
          return decision;
        };
        run(target, steps, (nowMs) => {
          expect(target.connections).toBeLessThanOrEqual(6);
          expect(target.stats(nowMs).upstreamInFlight).toBeLessThanOrEqual(6);
          expect(requests.filter((at) => at > nowMs - 2000).length).toBeLessThanOrEqual(20);
        });
      }),
    );
  });

  it('admits what is more important whenever it admits what is less so', () => {
    const ladder: readonly AdmissionKind[] = ['login', 'business', 'business-high', 'resume', 'heartbeat', 'ack'];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(4), fc.nat(5), zoneId, (steps, low, up, zone) => {
        const lower = ladder[low] as AdmissionKind;
        const higher = ladder[Math.min(low + 1 + up, ladder.length - 1)] as AdmissionKind;
        const admits = (kind: AdmissionKind): boolean => {
          const target = protector(small, { rssLimitBytes: 100 });
          let nowMs = 1000;
          run(target, steps, (at) => {
            nowMs = at;
          });
          const zoned = kind.startsWith('business') && lower.startsWith('business');
          return target.admit(nowMs + 1, kind, zoned ? zone : undefined).ok;
        };
        if (admits(lower)) expect(admits(higher)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('gives a sustained flood its rate, with nothing lost to the reserve for others', () => {
    const target = protector({ qpsWindowSeconds: 10 });
    let admitted = 0;
    for (let nowMs = 0; nowMs < 60_000; nowMs += 0.1) {
      if (target.admit(nowMs, 'business').ok) admitted += 1;
    }
    expect(admitted).toBeGreaterThanOrEqual(2000 * 60 * 0.95);
    expect(admitted).toBeLessThanOrEqual(2000 * 70);
  });

  it('takes a burst after a quiet time', () => {
    const target = protector();
    let admitted = 0;
    for (let i = 0; i < 10_000; i += 1) admitted += target.admit(0, 'business').ok ? 1 : 0;
    expect(admitted).toBeGreaterThan(4000);
    expect(admitted).toBeLessThanOrEqual(5000);
  });

  it('keeps connections above the limit for resumes only', () => {
    const target = protector({ maxConnections: 10, connectionWarningThreshold: 8 });
    for (let i = 0; i < 10; i += 1) target.connectionOpened();
    expect(target.admit(0, 'connect').ok).toBe(true);
    target.connectionOpened();
    expect(target.admit(0, 'login')).toMatchObject({ reason: 'max_connections', code: ErrorCode.ERROR_TRY_LATER });
    expect(target.admit(0, 'resume').ok).toBe(true);
    expect(target.admit(0, 'connect')).toMatchObject({ ok: false, reason: 'max_connections' });
  });

  it('caps the rate of connections', () => {
    const target = protector({}, { connectsPerSecond: 10 });
    let admitted = 0;
    for (let nowMs = 0; nowMs < 5000; nowMs += 1) admitted += target.admit(nowMs, 'connect').ok ? 1 : 0;
    expect(admitted).toBeGreaterThanOrEqual(1000 + 48);
    expect(admitted).toBeLessThanOrEqual(1000 + 50);
  });

  it('does not flap: after a rise it falls only when all was calm for the whole stretch', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const changes: { atMs: number; change: OverloadStateChange }[] = [];
        let clockMs = 0;
        const target = protector(small, {
          rssLimitBytes: 100,
          onStateChange: (change) => changes.push({ atMs: clockMs, change }),
        });
        run(target, steps, (nowMs) => {
          clockMs = nowMs;
        });
        const order = ['normal', 'warn', 'shed', 'protect'];
        let roseMs = Number.NEGATIVE_INFINITY;
        for (const { atMs, change } of changes) {
          const falls = order.indexOf(change.to) < order.indexOf(change.from);
          if (falls) expect(atMs - roseMs).toBeGreaterThanOrEqual(1000);
          else roseMs = atMs;
        }
      }),
    );
  });
});

describe('OverloadProtector zones', () => {
  it('does not let one slow zone take the slots of the others', () => {
    const target = protector();
    let slow = 0;
    while (target.admit(0, 'business', '001').ok) {
      target.upstreamStarted('001');
      slow += 1;
    }
    expect(slow).toBe(80);
    expect(target.admit(0, 'business', '001')).toMatchObject({
      reason: 'zone_share',
      code: ErrorCode.ERROR_OVERLOADED,
    });
    for (let i = 0; i < 10; i += 1) {
      expect(target.admit(0, 'business', '002').ok).toBe(true);
      target.upstreamStarted('002');
    }
  });

  it('gives a lone zone everything, and keeps the last slots for high priority', () => {
    const target = protector({}, { zoneCount: 1 });
    let count = 0;
    while (target.admit(0, 'business', '001').ok) {
      target.upstreamStarted('001');
      count += 1;
    }
    expect(count).toBe(95);
    expect(target.admit(0, 'business-high', '001').ok).toBe(true);
    expect(target.zoneInFlight('001')).toBe(95);
  });

  it('lowers the limit of a zone that became slow when asked to', () => {
    const target = protector({ maxQps: 1e6, qpsWarningThreshold: 1e6 }, { zoneCount: 1, adaptiveZones: true });
    const fill = (durationMs: number, rounds: number): number => {
      let open = 0;
      for (let round = 0; round < rounds; round += 1) {
        while (target.admit(0, 'business', '001').ok) {
          target.upstreamStarted('001');
          open += 1;
        }
        target.upstreamFinished('001', durationMs, true);
        open -= 1;
      }
      return target.zoneInFlight('001') + (open === 0 ? 0 : 1);
    };
    const fast = fill(5, 300);
    expect(fast).toBeGreaterThan(40);
    for (let i = 0; i < fast; i += 1) target.upstreamFinished('001', 500, true);
    expect(fill(500, 1)).toBeLessThan(fast);
  });

  it('ignores a finish that had no start', () => {
    const target = protector();
    target.upstreamFinished('001', 1, true);
    expect(target.stats(0).upstreamInFlight).toBe(0);
  });
});

describe('OverloadProtector refusals', () => {
  it('counts them by reason and spreads the retries of a storm', () => {
    const target = protector({ maxQps: 100, qpsWarningThreshold: 80, qpsWindowSeconds: 1 });
    const waits: number[] = [];
    for (let i = 0; i < 2000; i += 1) {
      const decision = target.admit(10, 'login');
      if (!decision.ok) waits.push(decision.retryAfterMs);
    }
    expect(target.stats(10).rejects.max_qps + target.stats(10).rejects.shedding).toBe(waits.length);
    expect(waits.length).toBeGreaterThan(1900);
    const late = waits.filter((wait) => wait > 5000).length;
    expect(late).toBeGreaterThan(waits.length / 4);
    expect(new Set(waits.slice(-100)).size).toBeGreaterThan(90);
    expect(Math.max(...waits)).toBeLessThanOrEqual(31_000);
  });

  it('answers every admission with the same object', () => {
    const target = protector();
    expect(target.admit(0, 'business')).toBe(target.admit(0, 'ack'));
  });
});
