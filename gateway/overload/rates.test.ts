import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdaptiveLimit } from './adaptive-limit.ts';
import { type ClientRateOptions, ClientRates, rateExceeded, rateKey } from './client-rates.ts';
import { SlidingWindow } from './sliding-window.ts';
import { TokenBucket } from './token-bucket.ts';

/** Steps of time from a few milliseconds to far beyond a window, with ties. */
const steps = fc.array(
  fc.oneof(fc.constant(0), fc.double({ min: 0, max: 50, noNaN: true }), fc.integer({ min: 0, max: 3000 })),
  {
    maxLength: 300,
  },
);

describe('SlidingWindow', () => {
  it('counts all of the last window, and of older events at most one bucket', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 50 }), (gaps, buckets) => {
        const window = new SlidingWindow(1000, buckets);
        const times: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          window.add(now);
          times.push(now);
          const exact = times.filter((time) => time > now - 1000).length;
          const most = times.filter((time) => time > now - 1000 - 2 * window.bucketMs).length;
          const count = window.count(now);
          expect(count).toBeGreaterThanOrEqual(exact);
          expect(count).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it('treats a clock that goes back as standing still', () => {
    const window = new SlidingWindow(1000, 10);
    window.add(5000);
    window.add(100);
    expect(window.count(5000)).toBe(2);
    expect(window.count(7000)).toBe(0);
  });
});

describe('TokenBucket', () => {
  it('never gives more than its burst and what has flowed in since', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 100 }), (gaps, rate, burst) => {
        const bucket = new TokenBucket(rate, burst);
        let now = 0;
        let taken = 0;
        bucket.waitMs(0, 1);
        for (const gap of gaps) {
          now += gap;
          taken += bucket.take(now, 1) ? 1 : 0;
          expect(taken).toBeLessThanOrEqual(burst + (now * rate) / 1000 + 1e-6);
        }
      }),
    );
  });

  it('holds what it said after the wait it asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 20 }), (rate, burst) => {
        const bucket = new TokenBucket(rate, burst);
        while (bucket.take(0, 1)) {}
        const wait = bucket.waitMs(0, 1);
        expect(wait).toBeGreaterThan(0);
        expect(bucket.take(wait * 0.9, 1)).toBe(false);
        expect(bucket.take(wait + 0.001, 1)).toBe(true);
      }),
    );
  });

  it('leaves the floor to others, and serves anybody when it has no rate limit', () => {
    const bucket = new TokenBucket(1, 10);
    let taken = 0;
    while (bucket.take(0, 1, 4)) taken += 1;
    expect(taken).toBe(6);
    expect(bucket.take(0, 4)).toBe(true);
    const open = new TokenBucket(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    for (let i = 0; i < 1000; i += 1) expect(open.charge(0, 1e6)).toBe(0);
  });
});

const rates: ClientRateOptions = {
  sessionMessagesPerSecond: 100,
  sessionBytesPerSecond: 10_000,
  addressMessagesPerSecond: 400,
  addressBytesPerSecond: 40_000,
  closeAfterMs: 3000,
  addressesMax: 3,
};

describe('ClientRates', () => {
  it('lets a client at its rate pass for ever', () => {
    const meter = new ClientRates(rates).open('192.0.2.1');
    for (let now = 0; now < 60_000; now += 10) expect(meter.charge(now, 50)).toBe(0);
  });

  it('slows a client above its rate and then closes it', () => {
    const meter = new ClientRates(rates).open('192.0.2.1');
    const answers: number[] = [];
    for (let now = 0; answers.at(-1) !== rateExceeded; now += 1) answers.push(meter.charge(now, 10));
    expect(answers[0]).toBe(0);
    const slowed = answers.filter((answer) => answer > 0 && answer < rateExceeded);
    expect(slowed.length).toBeGreaterThan(100);
    expect(Math.max(...slowed)).toBeLessThanOrEqual(3000);
  });

  it('lets a client that obeys its delays stay', () => {
    const meter = new ClientRates(rates).open('192.0.2.1');
    let now = 0;
    for (let i = 0; i < 5000; i += 1) {
      const delay = meter.charge(now, 50);
      expect(delay).toBeLessThan(rateExceeded);
      now += delay;
    }
  });

  it('counts bytes too', () => {
    const meter = new ClientRates(rates).open('192.0.2.1');
    expect(meter.charge(0, 20_000)).toBe(0);
    expect(meter.charge(0, 10_000)).toBe(1000);
    expect(meter.charge(0, 30_000)).toBe(rateExceeded);
  });

  it('adds up the clients of one address, an IPv6 /64 being one', () => {
    const table = new ClientRates({ ...rates, sessionMessagesPerSecond: 1e6 });
    let slowed = 0;
    for (let i = 0; i < 1000; i += 1) slowed += table.open(`2001:db8:1:2::${i.toString(16)}`).charge(0, 1) > 0 ? 1 : 0;
    expect(slowed).toBe(200);
    expect(table.open('2001:db8:1:3::1').charge(0, 1)).toBe(0);
  });

  it('remembers a bounded number of addresses and forgets the least recently seen', () => {
    const table = new ClientRates(rates);
    for (let i = 0; i < 100; i += 1) table.open(`198.51.100.${i}`);
    expect(table.addresses).toBe(3);
  });

  it('obeys new rates on connections that are open', () => {
    const table = new ClientRates(rates);
    const meter = table.open('192.0.2.1');
    meter.charge(0, 1);
    table.setOptions({ ...rates, sessionMessagesPerSecond: 1 });
    meter.charge(0, 1);
    meter.charge(0, 1);
    expect(meter.charge(0, 1)).toBe(1000);
  });
});

describe('rateKey', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:1:aaaa::1', '2001:db8:0:1::/64'],
    ['2001:db8::1:0:0:0:1', '2001:db8:0:1::/64'],
    ['2001:0DB8:0000:0001::', '2001:db8:0:1::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ])('%s belongs to %s', (address, key) => {
    expect(rateKey(address)).toBe(key);
  });
});

describe('AdaptiveLimit', () => {
  it('shrinks when latency grows, and grows again when it is back', () => {
    const limit = new AdaptiveLimit({ initialLimit: 20, minLimit: 4, maxLimit: 200 });
    for (let i = 0; i < 300; i += 1) limit.finished(10, limit.limit, true);
    const calm = limit.limit;
    expect(calm).toBeGreaterThan(50);
    for (let i = 0; i < 30; i += 1) limit.finished(200, limit.limit, true);
    const loaded = limit.limit;
    expect(loaded).toBeLessThan(calm / 2);
    for (let i = 0; i < 600; i += 1) limit.finished(10, limit.limit, true);
    expect(limit.limit).toBeGreaterThan(loaded * 2);
  });

  it('stays within its bounds whatever it is told', () => {
    const sample = fc.record({
      durationMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      inFlight: fc.nat(500),
      ok: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(sample), (samples) => {
        const limit = new AdaptiveLimit({ initialLimit: 20, minLimit: 4, maxLimit: 50 });
        for (const { durationMs, inFlight, ok } of samples) {
          limit.finished(durationMs, inFlight, ok);
          expect(limit.limit).toBeGreaterThanOrEqual(4);
          expect(limit.limit).toBeLessThanOrEqual(50);
        }
      }),
    );
  });
});
