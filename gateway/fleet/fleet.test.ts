import { describe, expect, it } from 'vitest';
import { Fleet } from './fleet.ts';
import { FleetMap } from './fleet-map.ts';

const mapOf = (version: number, active: readonly string[], draining: readonly string[] = []) =>
  new FleetMap(
    version,
    [...active, ...draining].map((id) => ({
      id,
      clientEndpoints: [`${id}:1`],
      zoneEndpoints: [`${id}:2`],
      weight: 1,
      state: draining.includes(id) ? ('draining' as const) : ('active' as const),
    })),
  );

/** A user whom this map gives to the pair. */
const userOf = (map: FleetMap, pairId: string): string => {
  for (let n = 0; ; n += 1) if (map.ownerOf(`user-${n}`).id === pairId) return `user-${n}`;
};

describe('what a gateway knows of its fleet', () => {
  it('is at home for everybody until there is a map', () => {
    const fleet = new Fleet({ pairId: 'p0', nowMs: () => 0 });
    expect([fleet.version, fleet.isOwner('ann'), fleet.placesOf('ann')]).toEqual([0, true, ['p0']]);
  });

  it('takes a higher version, ignores a lower one, and refuses another map of the same', () => {
    const fleet = new Fleet({ pairId: 'p0', nowMs: () => 0 });
    let changes = 0;
    fleet.onMap(() => {
      changes += 1;
    });
    expect(fleet.setMap(mapOf(5, ['p0', 'p1']))).toBe(true);
    expect(fleet.setMap(mapOf(4, ['p0']))).toBe(false);
    expect(fleet.setMap(mapOf(5, ['p0', 'p1']))).toBe(false);
    expect(() => fleet.setMap(mapOf(5, ['p0']))).toThrow('version 5: is in force with other pairs');
    expect([fleet.version, changes, fleet.otherPairs().map(({ id }) => id)]).toEqual([5, 1, ['p1']]);
  });

  it('looks for a session where earlier maps had it, for a while', () => {
    let nowMs = 0;
    const fleet = new Fleet({ pairId: 'p0', nowMs: () => nowMs });
    const [one, two] = [mapOf(1, ['p0']), mapOf(2, ['p0', 'p1'])];
    const user = userOf(two, 'p1');
    fleet.setMap(one);
    fleet.setMap(two);
    expect(fleet.placesOf(user)).toEqual(['p1', 'p0']);
    nowMs = 31 * 60_000;
    expect(fleet.placesOf(user)).toEqual(['p1']);
  });

  it('looks for it at a pair that drains, and nowhere that is not in the map', () => {
    const fleet = new Fleet({ pairId: 'p0', nowMs: () => 0 });
    fleet.setMap(mapOf(1, ['p0', 'gone']));
    const next = mapOf(2, ['p0', 'p1'], ['p2']);
    fleet.setMap(next);
    const user = userOf(next, 'p1');
    expect(fleet.placesOf(user)).toContain('p2');
    expect(fleet.placesOf(user)).not.toContain('gone');
  });
});
