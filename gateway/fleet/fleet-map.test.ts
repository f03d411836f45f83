import { describe, expect, it } from 'vitest';
import { FleetMap, type FleetPair, parseFleetMap } from './fleet-map.ts';

const text = `
version: 7
pairs:
  - id: p0
    client_endpoints: [a.example:8453, b.example:8453]
    zone_endpoints: [a.example:8092]
  - { id: p1, client_endpoints: ["[::1]:1"], zone_endpoints: [c:2], weight: 3, state: draining }
`;

const pairOf = (id: string, over: Partial<FleetPair> = {}): FleetPair => ({
  id,
  clientEndpoints: ['c:1'],
  zoneEndpoints: ['z:1'],
  weight: 1,
  state: 'active',
  ...over,
});

describe('fleet map', () => {
  it('is read from YAML, with defaults', () => {
    const map = parseFleetMap(text);
    expect(map.version).toBe(7);
    expect(map.pair('p0')).toEqual({
      id: 'p0',
      clientEndpoints: ['a.example:8453', 'b.example:8453'],
      zoneEndpoints: ['a.example:8092'],
      weight: 1,
      state: 'active',
    });
    expect(map.pair('p1')).toMatchObject({ weight: 3, state: 'draining' });
    expect(map.pair('p2')).toBeUndefined();
  });

  it('is read from JSON', () => {
    const json = { version: 1, pairs: [{ id: 'p0', client_endpoints: ['c:1'], zone_endpoints: ['z:1'] }] };
    expect(parseFleetMap(JSON.stringify(json)).pairs).toEqual([pairOf('p0')]);
  });

  it('gives no user to a pair that drains', () => {
    const map = parseFleetMap(text);
    for (let n = 0; n < 100; n += 1) expect(map.ownerOf(`user-${n}`).id).toBe('p0');
  });

  it.each([
    ['', 'fleet map: expected a mapping with version, pairs'],
    ['[1]', 'fleet map: expected a mapping with version, pairs'],
    ['version: 1\npairs: []\nextra: 1', 'fleet map: extra: expected version, pairs'],
    ['version: 0\npairs: [P]', 'version: 0: expected a whole number from 1'],
    ['version: "1"\npairs: [P]', 'version: "1": expected a number'],
    ['version: 1.5\npairs: [P]', 'version: 1.5: expected a whole number from 1'],
    ['version: 1\npairs: []', 'pairs: 0: expected 1 to 1000'],
    ['version: 1\npairs: x', 'pairs: expected a list'],
    ['version: 1\npairs: [x]', 'pairs[0]: expected a mapping with id, client_endpoints'],
    ['version: 1\npairs: [P, P]', 'pairs[1].id: p0: given twice'],
    [
      'version: 1\npairs: [{ id: P0, client_endpoints: [c:1], zone_endpoints: [z:1] }]',
      'pairs[0].id: "P0": expected lower',
    ],
    ['version: 1\npairs: [{ id: p.0, client_endpoints: [c:1], zone_endpoints: [z:1] }]', 'pairs[0].id: "p.0"'],
    ['version: 1\npairs: [{ id: 5, client_endpoints: [c:1], zone_endpoints: [z:1] }]', 'pairs[0].id: 5: expected text'],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: c, zone_endpoints: [z:1] }]',
      'client_endpoints: "c": expected a list',
    ],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: [], zone_endpoints: [z:1] }]',
      'client_endpoints: 0: expected 1 to 16',
    ],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: [":1"], zone_endpoints: [z:1] }]',
      'client_endpoints[0]: ":1": expected HOST',
    ],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: [c:1], zone_endpoints: [z] }]',
      'zone_endpoints[0]: "z": expected HOST',
    ],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: [c:1], zone_endpoints: [z:1], weight: 0 }]',
      'weight: 0: expected',
    ],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: [c:1], zone_endpoints: [z:1], state: gone }]',
      'state: "gone": expected active',
    ],
    [
      'version: 1\npairs: [{ id: p0, client_endpoints: [c:1], zone_endpoints: [z:1], state: draining }]',
      'at least one that is active',
    ],
    ['version: 1\npairs: [{ id: p0, wight: 1 }]', 'pairs[0]: wight: expected id,'],
    ['version: [', 'fleet map: '],
  ])('refuses %j and says where', (wrong, message) => {
    const filled = wrong.replaceAll('P]', '{ id: p0, client_endpoints: [c:1], zone_endpoints: [z:1] }]');
    const both = filled.replaceAll('[P,', '[{ id: p0, client_endpoints: [c:1], zone_endpoints: [z:1] },');
    expect(() => parseFleetMap(both)).toThrow(message);
  });

  it('knows whether another of the same version says the same', () => {
    const map = new FleetMap(3, [pairOf('p0')]);
    expect(map.equals(new FleetMap(3, [pairOf('p0')]))).toBe(true);
    expect(map.equals(new FleetMap(4, [pairOf('p0')]))).toBe(false);
    expect(map.equals(new FleetMap(3, [pairOf('p0', { weight: 2 })]))).toBe(false);
  });
});
