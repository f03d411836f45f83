import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EndpointPolicy, EndpointSet, type EndpointState } from './endpoint-set.ts';

const policy: EndpointPolicy = {
  inFlightMax: 100,
  queuedBytesMax: 1_000,
  failuresToEject: 3,
  ejectMs: 1_000,
  ejectMaxMs: 4_000,
};

function setOf(
  ...endpoints: { address: string; weight?: number; healthy?: boolean; inFlight?: number }[]
): EndpointSet {
  const set = new EndpointSet(policy);
  set.update(endpoints.map(({ address, weight = 1 }) => ({ address, weight, instanceId: 'one' })));
  for (const { address, healthy = true, inFlight = 0 } of endpoints) {
    const state = stateOf(set, address);
    set.checked(state, healthy ? 'healthy' : 'unhealthy', 0);
    state.inFlight = inFlight;
  }
  return set;
}

function stateOf(set: EndpointSet, address: string): EndpointState {
  const state = set.states.find((each) => each.address === address);
  if (state === undefined) throw new Error(`no endpoint ${address}`);
  return state;
}

function chosen(set: EndpointSet, tried: readonly string[] = []): string {
  const choice = set.choose(tried);
  return typeof choice === 'string' ? choice : choice.address;
}

describe('choose', () => {
  it('takes the least loaded for its weight, ties by address', () => {
    expect(chosen(setOf({ address: 'b', inFlight: 4 }, { address: 'a', inFlight: 4 }))).toBe('a');
    expect(chosen(setOf({ address: 'a', inFlight: 4 }, { address: 'b', inFlight: 3 }))).toBe('b');
    expect(chosen(setOf({ address: 'a', inFlight: 4 }, { address: 'b', inFlight: 8, weight: 2 }))).toBe('b');
    expect(chosen(setOf({ address: 'a', weight: 1 }, { address: 'b', weight: 3 }))).toBe('b');
  });

  it('never takes an unhealthy or a tried one; an unknown one only for want of a healthy one', () => {
    const set = setOf({ address: 'a', healthy: false }, { address: 'b', inFlight: 50 });
    expect(chosen(set)).toBe('b');
    expect(chosen(set, ['b'])).toBe('none');
    stateOf(set, 'a').health = 'unknown';
    expect([chosen(set), chosen(set, ['b'])]).toEqual(['b', 'a']);
  });

  it('says full when what could serve is at a limit', () => {
    const set = setOf({ address: 'a', inFlight: 100 }, { address: 'b' }, { address: 'c', healthy: false });
    stateOf(set, 'b').queuedBytes = 1_000;
    expect(chosen(set)).toBe('full');
    expect(chosen(set, ['a', 'b'])).toBe('none');
  });

  it('agrees with a search of all endpoints, whatever their state', () => {
    const endpoint = fc.record({
      weight: fc.integer({ min: 1, max: 5 }),
      inFlight: fc.integer({ min: 0, max: 101 }),
      health: fc.constantFrom('unknown' as const, 'healthy' as const, 'unhealthy' as const),
      ejected: fc.boolean(),
      tried: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(endpoint, { maxLength: 6 }), (endpoints) => {
        const set = setOf(
          ...endpoints.map(({ weight, inFlight }, index) => ({ address: `${index}`, weight, inFlight })),
        );
        for (const [index, { health, ejected }] of endpoints.entries()) {
          Object.assign(stateOf(set, `${index}`), { health, ejectedUntilMs: ejected ? 5 : 0 });
        }
        const tried = endpoints.flatMap((each, index) => (each.tried ? [`${index}`] : []));
        const may = endpoints.map((each, index) => ({ ...each, index })).filter((each) => !each.tried);
        const usable = endpoints.some((each) => each.health === 'healthy' && !each.ejected);
        const tiers = [
          may.filter((each) => each.health === 'healthy' && !each.ejected),
          may.filter((each) => each.health === 'unknown' && !each.ejected),
          may.filter((each) => each.health === 'healthy' && each.ejected && !usable),
        ];
        const pool = tiers.find((tier) => tier.length > 0) ?? [];
        const room = pool.filter(({ inFlight }) => inFlight < policy.inFlightMax);
        const loads = room.map(({ inFlight, weight }) => (inFlight + 1) / weight);
        const best = room.find((_, at) => (loads[at] ?? 0) <= Math.min(...loads) + 1e-9);
        expect(chosen(set, tried)).toBe(best === undefined ? (pool.length > 0 ? 'full' : 'none') : `${best.index}`);
      }),
      { numRuns: 500 },
    );
  });

  it('spreads requests by weight', () => {
    const set = setOf({ address: 'a', weight: 1 }, { address: 'b', weight: 3 });
    for (let count = 0; count < 80; count += 1) stateOf(set, chosen(set)).inFlight += 1;
    expect(set.states.map(({ inFlight }) => inFlight)).toEqual([20, 60]);
  });
});

describe('ejection', () => {
  it('puts an endpoint out after failures in a row, longer each time, and back with a good check', () => {
    const set = setOf({ address: 'a' }, { address: 'b' });
    const a = stateOf(set, 'a');
    const lengths: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      for (let count = 0; count < 3; count += 1) set.failed(a, 10_000 * round);
      lengths.push(a.ejectedUntilMs - 10_000 * round);
      expect(chosen(set)).toBe('b');
      set.checked(a, 'healthy', a.ejectedUntilMs - 1);
      expect(a.usable).toBe(false);
      set.checked(a, 'healthy', a.ejectedUntilMs);
      expect(a.usable).toBe(true);
    }
    expect(lengths).toEqual([1_000, 2_000, 4_000, 4_000]);
  });

  it('does not leave the users without an endpoint when the others are gone', () => {
    const set = setOf({ address: 'a' }, { address: 'b' });
    for (let count = 0; count < 3; count += 1) set.failed(stateOf(set, 'a'), 0);
    expect(chosen(set, ['b'])).toBe('none');
    set.checked(stateOf(set, 'b'), 'unhealthy', 0);
    expect([chosen(set), set.available]).toEqual(['a', true]);
  });

  it('needs failures in a row, and another endpoint that can take over', () => {
    const set = setOf({ address: 'a' }, { address: 'b' });
    const a = stateOf(set, 'a');
    for (let count = 0; count < 10; count += 1) {
      set.failed(a, 0);
      set.failed(a, 0);
      set.succeeded(a, 0);
    }
    expect(a.usable).toBe(true);
    set.checked(stateOf(set, 'b'), 'unhealthy', 0);
    for (let count = 0; count < 10; count += 1) set.failed(a, 0);
    expect(a.usable).toBe(true);
  });
});

describe('update', () => {
  it('says what came and went, keeps what stays, forgives a new instance', () => {
    const set = setOf({ address: 'a', inFlight: 5 }, { address: 'b' });
    const a = stateOf(set, 'a');
    for (let count = 0; count < 3; count += 1) set.failed(a, 0);
    const change = set.update([
      { address: 'c', weight: 0, instanceId: 'x' },
      { address: 'a', weight: 9, instanceId: 'two' },
    ]);
    expect(change.added.map(({ address }) => address)).toEqual(['c']);
    expect(change.removed.map(({ address }) => address)).toEqual(['b']);
    expect(stateOf(set, 'a')).toBe(a);
    expect(a).toMatchObject({ weight: 9, inFlight: 5, ejectedUntilMs: 0, failuresInRow: 0 });
    expect(stateOf(set, 'c')).toMatchObject({ weight: 1, health: 'unknown' });
    expect(set.available).toBe(true);
    set.update([]);
    expect([set.available, chosen(set)]).toEqual([false, 'none']);
  });
});
