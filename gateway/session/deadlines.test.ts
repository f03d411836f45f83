import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Deadline, Deadlines } from './deadlines.ts';

function takeAll(deadlines: Deadlines, nowMs: number): Deadline[] {
  const taken: Deadline[] = [];
  for (let due = deadlines.takeDue(nowMs); due !== undefined; due = deadlines.takeDue(nowMs)) taken.push(due);
  return taken;
}

describe('deadlines', () => {
  it('fall due by time, and at one time by what they are about, however they were added', () => {
    const item = fc.tuple(fc.nat(5), fc.nat(2), fc.constantFrom('a', 'b'), fc.nat(3), fc.boolean());
    fc.assert(
      fc.property(fc.array(item, { maxLength: 60, size: 'max' }), (items) => {
        const deadlines = new Deadlines();
        const added = items.map(([atMs, kind, key, n]) => deadlines.add(atMs, kind, key, n));
        for (const [i, [, , , , cancelled]] of items.entries()) if (cancelled) deadlines.cancel(added[i]);
        const left = items.filter(([, , , , cancelled]) => !cancelled).map(([...all]) => all.slice(0, 4).join(' '));
        expect(deadlines.size).toBe(left.length);
        const taken = takeAll(deadlines, 5).map(({ atMs, kind, key, n }) => [atMs, kind, key, n].join(' '));
        expect(taken).toEqual(left.sort());
      }),
    );
  });

  it('are not taken early, nor twice', () => {
    const deadlines = new Deadlines();
    const late = deadlines.add(20, 0, '', 1);
    const early = deadlines.add(10, 0, '', 2);
    expect(deadlines.nextMs).toBe(10);
    expect(deadlines.takeDue(9)).toBeUndefined();
    expect(takeAll(deadlines, 10)).toEqual([early]);
    deadlines.cancel(early);
    deadlines.cancel(late);
    deadlines.cancel(late);
    expect(deadlines.nextMs).toBeUndefined();
  });
});
