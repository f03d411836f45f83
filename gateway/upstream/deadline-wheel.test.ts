import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineWheel, type WheelEntry } from './deadline-wheel.ts';

interface Named extends WheelEntry {
  readonly name: string;
}

function entry(name: string, deadlineMs: number): Named {
  return { name, deadlineMs, wheelNext: null, wheelPrevious: null };
}

function due(wheel: DeadlineWheel<Named>, nowMs: number): string[] {
  const names: string[] = [];
  wheel.expire(nowMs, ({ name }) => names.push(name));
  return names.sort();
}

describe('DeadlineWheel', () => {
  it('gives out what is due, once, and not what was taken off', () => {
    const wheel = new DeadlineWheel<Named>(10, 8);
    const [a, b, c] = [entry('a', 15), entry('b', 25), entry('c', 25)];
    for (const each of [a, b, c]) wheel.add(each);
    wheel.remove(c);
    wheel.remove(c);
    expect(wheel.count).toBe(2);
    expect([due(wheel, 19), due(wheel, 20), due(wheel, 29), due(wheel, 30), due(wheel, 500)]).toEqual([
      [],
      ['a'],
      [],
      ['b'],
      [],
    ]);
    expect(wheel.count).toBe(0);
  });

  it('takes a deadline that is past already, and one many rounds away', () => {
    const wheel = new DeadlineWheel<Named>(10, 4);
    expect(due(wheel, 1_000)).toEqual([]);
    wheel.add(entry('past', 3));
    wheel.add(entry('far', 2_000));
    expect(due(wheel, 1_010)).toEqual(['past']);
    for (let nowMs = 1_020; nowMs < 2_000; nowMs += 10) expect(due(wheel, nowMs)).toEqual([]);
    expect(due(wheel, 2_000)).toEqual(['far']);
  });

  it('may be changed while it gives out', () => {
    const wheel = new DeadlineWheel<Named>(10, 4);
    const [a, b] = [entry('a', 10), entry('b', 10)];
    wheel.add(a);
    wheel.add(b);
    const heard: string[] = [];
    wheel.expire(10, ({ name }) => {
      heard.push(name);
      wheel.remove(name === 'a' ? b : a);
      if (heard.length === 1) wheel.add(entry('next', 10));
    });
    expect([heard.length, wheel.count]).toEqual([1, 1]);
    expect(due(wheel, 20)).toEqual(['next']);
  });

  it('is never early and at most a tick late, whatever comes and goes', () => {
    const step = fc.record({ waitMs: fc.nat(70), timeoutMs: fc.nat(500), drop: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const wheel = new DeadlineWheel<Named>(10, 16);
        const open = new Map<string, Named>();
        let nowMs = 0;
        for (const [index, { waitMs, timeoutMs, drop }] of steps.entries()) {
          nowMs += waitMs;
          wheel.expire(nowMs, ({ name, deadlineMs }) => {
            expect(deadlineMs).toBeLessThanOrEqual(nowMs);
            expect(open.delete(name)).toBe(true);
          });
          for (const { deadlineMs } of open.values()) expect(deadlineMs).toBeGreaterThan(nowMs - 20);
          const added = entry(`${index}`, nowMs + timeoutMs);
          open.set(added.name, added);
          wheel.add(added);
          const first = drop ? open.values().next().value : undefined;
          if (first !== undefined) {
            wheel.remove(first);
            open.delete(first.name);
          }
          expect(wheel.count).toBe(open.size);
        }
      }),
    );
  });
});
