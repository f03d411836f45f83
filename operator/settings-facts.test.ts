import { expect, it } from 'vitest';
import { SettingsFacts } from './settings-facts.ts';
import { SettableGateway } from './testing/settable-gateway.ts';

const endpoints = [{ address: '10.1.0.1:9001', weight: 1, healthy: false }];
const zone = { zoneId: '001', uid: 'u', generation: 1n, endpoints };

it.each<[string, boolean, (gateway: SettableGateway) => void]>([
  ['the same', false, () => {}],
  ['silence', true, (gateway) => Object.assign(gateway, { state: 'silent' })],
  ['another process', true, (gateway) => gateway.restart()],
  ['another role', true, (gateway) => Object.assign(gateway, { role: 'backup' })],
  ['another revision', true, (gateway) => Object.assign(gateway, { zonesRevision: 2n })],
  ['an endpoint that fails', true, (gateway) => gateway.unhealthy.add('10.1.0.1:9001')],
  ['limits', true, (gateway) => Object.assign(gateway, { limits: { maxQps: 1 } })],
])('a beat that says %s: %s', (_, matters, change) => {
  const facts = new SettingsFacts();
  const gateway = new SettableGateway('shop-p0-a-0');
  gateway.zones = [zone];
  expect(facts.changed('games/shop-p0-a-0', gateway.observation())).toBe(true);
  change(gateway);
  expect(facts.changed('games/shop-p0-a-0', gateway.observation())).toBe(matters);
  facts.forget('games/shop-p0-a-0');
  expect(facts.changed('games/shop-p0-a-0', gateway.observation())).toBe(true);
});
