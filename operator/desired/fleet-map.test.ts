import { describe, expect, it } from 'vitest';
import { parseFleetMap } from '../../gateway/fleet/fleet-map.ts';
import { gateSvrOf } from '../testing/defaulted.ts';
import { fleetMap } from './fleet-map.ts';

/** As gateways read it. */
function mapOf(gateSvr: ReturnType<typeof gateSvrOf>, draining: readonly number[] = []) {
  return parseFleetMap((fleetMap(gateSvr, draining)['data'] as Record<string, string>)['fleet-map.json'] ?? '');
}

describe('the fleet map', () => {
  it('names every pair and where clients and zones find its pods', () => {
    const { pairs } = mapOf(gateSvrOf({}, { pairs: 2 }));
    expect(pairs.map(({ id, state }) => [id, state])).toEqual([
      ['p0', 'active'],
      ['p1', 'active'],
    ]);
    expect(pairs[1]?.clientEndpoints).toEqual([
      'shop-p1-a-0.shop-peers.games.svc:8453',
      'shop-p1-b-0.shop-peers.games.svc:8453',
    ]);
    expect(pairs[1]?.zoneEndpoints[0]).toBe('shop-p1-a-0.shop-peers.games.svc:8092');
  });

  it('names the advertised address of each pair where the spec has one', () => {
    const { pairs } = mapOf(gateSvrOf({}, { pairs: 2, quic: { advertise: 'p{pair}.shop.example:443' } }));
    expect(pairs.map(({ clientEndpoints }) => clientEndpoints)).toEqual([
      ['p0.shop.example:443'],
      ['p1.shop.example:443'],
    ]);
  });

  it('has a version that rises while pairs leave, and with the spec', () => {
    const two = gateSvrOf({ generation: 4 }, { pairs: 2 });
    const maps = [mapOf(gateSvrOf({ generation: 3 }, { pairs: 4 })), mapOf(two, [2, 3]), mapOf(two, [3]), mapOf(two)];
    expect(maps.map(({ pairs }) => pairs.length)).toEqual([4, 4, 3, 2]);
    expect(maps[1]?.pair('p3')?.state).toBe('draining');
    const versions = maps.map(({ version }) => version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(new Set(versions).size).toBe(4);
  });
});
