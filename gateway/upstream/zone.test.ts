import { describe, expect, it } from 'vitest';
import { zoneName, zoneOf } from './zone.ts';

/** openid, zone of 6, zone of 999; from Python's hashlib. */
const vectors: readonly (readonly [string, string, string])[] = [
  ['alice', '003', '495'],
  ['bob', '001', '988'],
  ['carol', '003', '483'],
  ['user-1', '004', '271'],
  ['用户1', '001', '202'],
  ['dave', '002', '551'],
  ['eve', '006', '669'],
  ['user-2', '001', '373'],
  ['user-3', '001', '601'],
  ['player:42', '001', '283'],
  ['a', '004', '397'],
  ['0', '001', '733'],
  ['user@example.com', '006', '867'],
  ['用户2', '002', '260'],
  ['ユーザー', '004', '598'],
  ['ñandú', '003', '663'],
  ['🎮', '004', '886'],
  ['Ω', '005', '413'],
  ['00000000-0000-4000-8000-000000000000', '006', '819'],
  [' spaced id ', '004', '607'],
  ['x'.repeat(128), '003', '657'],
  ['ALICE', '001', '715'],
  ['openid_1234567890', '006', '351'],
  ['Ünïcødé', '001', '868'],
];

describe('zoneOf', () => {
  it.each(vectors)('%s is in zone %s of 6 and %s of 999', (openid, ofSix, ofMany) => {
    expect(zoneOf(openid, 6)).toBe(ofSix);
    expect(zoneOf(openid, 999)).toBe(ofMany);
  });

  it('spreads 100,000 ids within 2 % of a sixth each', () => {
    const counts = new Map<string, number>();
    for (let index = 0; index < 100_000; index += 1) {
      const zone = zoneOf(`user-${index}`, 6);
      counts.set(zone, (counts.get(zone) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(['001', '002', '003', '004', '005', '006']);
    for (const count of counts.values()) expect(Math.abs(count / (100_000 / 6) - 1)).toBeLessThan(0.02);
  });

  it('puts everybody into the one zone there is', () => {
    for (const [openid] of vectors) expect(zoneOf(openid, 1)).toBe('001');
  });
});

describe('zoneName', () => {
  it('has three digits', () => expect([zoneName(1), zoneName(42), zoneName(999)]).toEqual(['001', '042', '999']));
});
