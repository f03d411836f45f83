import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fullJitterMs, ReconnectPlan } from './reconnect-plan.ts';

const backoff = { backoffBaseMs: 100, backoffMaxMs: 1_000 };

function plan(...endpoints: string[]): ReconnectPlan {
  return new ReconnectPlan(endpoints, backoff, () => 1);
}

describe('which endpoint is next', () => {
  it('in turn', () => {
    const three = plan('a:1', 'b:2', 'c:3');
    expect([1, 2, 3, 4].map((nowMs) => three.choose(nowMs))).toEqual(['a:1', 'b:2', 'c:3', 'a:1']);
  });

  it('those that do not answer are left out for a while, unless there is no other', () => {
    const two = plan('a:1', 'b:2');
    two.choose(0);
    two.failed('a:1', 0);
    expect([two.choose(1), two.choose(2), two.choose(3)]).toEqual(['b:2', 'b:2', 'b:2']);
    expect(two.choose(6_000)).toBe('a:1');
    const one = plan('a:1');
    one.failed('a:1', 0);
    expect(one.choose(1)).toBe('a:1');
  });

  it('the ones a gateway named come first, then those of the session, then the configured ones', () => {
    const learned = plan('front:1');
    learned.choose(0);
    learned.succeeded('front:1', ['pod-a:1', 'pod-b:1'], 0);
    learned.prefer(['pod-c:1']);
    expect([1, 2, 3, 4].map((nowMs) => learned.choose(nowMs))).toEqual(['pod-c:1', 'pod-a:1', 'pod-b:1', 'front:1']);
  });

  it('a redirect is followed at once, but not to where nobody answers', () => {
    const two = plan('a:1', 'b:2');
    expect(two.delayMs(0, 0, 'c:3')).toBe(0);
    expect(two.choose(0)).toBe('c:3');
    two.failed('c:3', 0);
    expect(two.delayMs(1, 0, 'c:3')).toBeGreaterThan(0);
    expect(two.choose(1)).not.toBe('c:3');
  });
});

describe('how long to wait', () => {
  it('grows with each failure, up to a bound, and starts anew after a connection that lasted', () => {
    const one = plan('a:1');
    expect(Array.from({ length: 6 }, () => one.delayMs(0, 0, ''))).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    one.succeeded('a:1', [], 0);
    expect(one.delayMs(1_000, 0, '')).toBe(1_000);
    one.succeeded('a:1', [], 2_000);
    expect(one.delayMs(60_000, 0, '')).toBe(100);
    expect(one.delayMs(60_000, 3_000, '')).toBe(3_200);
  });

  it('is anything from nothing to the bound', () => {
    fc.assert(
      fc.property(fc.nat(2_000), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (attempt, share) => {
        const delayMs = fullJitterMs(attempt, backoff, () => share);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(Math.min(1_000, 100 * 2 ** Math.min(attempt, 30)));
      }),
    );
  });
});
