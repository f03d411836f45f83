import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, Rendezvous } from './rendezvous.ts';

const keys = Array.from({ length: 20_000 }, (_, n) => `user-${n}`);

const pairs = (count: number, weight = 1): Candidate[] =>
  Array.from({ length: count }, (_, n) => ({ id: `p${n}`, weight }));

const ownersOf = (candidates: readonly Candidate[]): (string | undefined)[] => {
  const rendezvous = new Rendezvous(candidates);
  return keys.map((key) => rendezvous.ownerOf(key)?.id);
};

const fleets = fc.uniqueArray(
  fc.record({ id: fc.string({ minLength: 1, maxLength: 12 }), weight: fc.integer({ min: 1, max: 20 }) }),
  { selector: ({ id }) => id, minLength: 2, maxLength: 12 },
);

describe('rendezvous hashing', () => {
  it('stays the same in every release: gateways of two releases must agree', () => {
    const rendezvous = new Rendezvous(pairs(5));
    const owners = ['alice', 'bob', 'carol', 'dave', 'エミ', ''].map((key) => rendezvous.ownerOf(key)?.id);
    expect(owners).toEqual(['p4', 'p4', 'p2', 'p1', 'p4', 'p2']);
  });

  it('has no owner without candidates', () => {
    expect(new Rendezvous([]).ownerOf('alice')).toBeUndefined();
  });

  it('does not depend on the order of the candidates', () => {
    fc.assert(
      fc.property(fleets, fc.string(), (fleet, key) => {
        const [one, other] = [new Rendezvous(fleet), new Rendezvous([...fleet].reverse())];
        expect(one.ownerOf(key)?.id).toBe(other.ownerOf(key)?.id);
      }),
    );
  });

  it('moves to a new candidate or from a removed one, never between two that stay', () => {
    fc.assert(
      fc.property(fleets, fc.array(fc.string(), { minLength: 50, maxLength: 50 }), (fleet, some) => {
        const [removed, ...rest] = fleet;
        const [before, after] = [new Rendezvous(fleet), new Rendezvous(rest)];
        for (const key of some) {
          const owner = before.ownerOf(key)?.id;
          if (owner !== removed?.id) expect(after.ownerOf(key)?.id).toBe(owner);
        }
      }),
    );
  });

  it('a higher weight only attracts', () => {
    fc.assert(
      fc.property(fleets, fc.array(fc.string(), { minLength: 50, maxLength: 50 }), (fleet, some) => {
        const [first, ...rest] = fleet;
        if (first === undefined) return;
        const [before, after] = [new Rendezvous(fleet), new Rendezvous([{ ...first, weight: 40 }, ...rest])];
        for (const key of some) {
          const owner = after.ownerOf(key)?.id;
          if (owner !== first.id) expect(before.ownerOf(key)?.id).toBe(owner);
        }
      }),
    );
  });

  it.each([
    [3, 1],
    [10, 1],
    [10, 5],
  ])('adding to %d pairs (%d at once) moves at most 1.1 of the ideal share', (count, added) => {
    const before = ownersOf(pairs(count));
    const after = ownersOf(pairs(count + added));
    const moved = before.filter((owner, n) => owner !== after[n]).length;
    const ideal = (keys.length * added) / (count + added);
    expect(moved).toBeLessThanOrEqual(1.1 * ideal);
    expect(moved).toBeGreaterThanOrEqual(0.9 * ideal);
  });

  it('spreads keys by weight', () => {
    const fleet = [
      { id: 'small', weight: 1 },
      { id: 'middle', weight: 2 },
      { id: 'large', weight: 7 },
    ];
    const owners = ownersOf(fleet);
    for (const { id, weight } of fleet) {
      const share = owners.filter((owner) => owner === id).length / keys.length;
      expect(share).toBeGreaterThan((0.93 * weight) / 10);
      expect(share).toBeLessThan((1.07 * weight) / 10);
    }
  });
});
