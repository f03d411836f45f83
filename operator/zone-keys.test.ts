import { expect, it } from 'vitest';
import { keyOfZone, keysOfService } from './reconcile-zone.ts';
import { endpointSlices, services } from './resources.ts';
import { SettingsWorld } from './testing/settings-world.ts';

it('a Zone is found by the Service or slice that changed', () => {
  const world = new SettingsWorld();
  world.makeGateSvr();
  world.makeService([{ ip: '10.3.0.1' }]);
  world.makeZone('one', { zoneId: '001', endpoints: { service: { name: 'zone-pods', port: 'grpc' } } });
  const stores = world.stores;
  expect(keyOfZone(world.zone('one'))).toBe('games/shop');
  const service = stores.services.get('games', 'zone-pods');
  const slice = stores.endpointSlices.get('games', 'zone-pods-x1');
  if (service === undefined || slice === undefined) throw new Error('no Service');
  expect(keysOfService(service, stores.zones)).toEqual(['games/shop']);
  expect(keysOfService(slice, stores.zones)).toEqual(['games/shop']);
  expect([services.kind, endpointSlices.kind]).toEqual([service.kind, slice.kind]);
});
