import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../proto/gen/message.ts';
import { ZoneReconciler } from './reconcile-zone.ts';
import { gateSvrs, zones } from './resources.ts';
import { SettingsWorld } from './testing/settings-world.ts';

const key = 'games/shop';

class World extends SettingsWorld {
  reconciler = new ZoneReconciler(this.options);

  /** The operator is another process now: it remembers nothing. */
  restartOperator(): void {
    this.reconciler = new ZoneReconciler(this.options);
  }

  /** Reconciles as often as beats and watches would cause it. @returns writes to the API server */
  async settle(): Promise<number> {
    const before = this.client.writes.length;
    for (let round = 0; round < 4; round += 1) await this.reconciler.handle(key, new AbortController().signal);
    return this.client.writes.length - before;
  }
}

const statics = (...addresses: string[]) => ({ endpoints: { addresses: addresses.map((address) => ({ address })) } });

describe('zones of a GateSvr', () => {
  it('reach every primary as a whole, and each Zone says so', async () => {
    const world = new World();
    world.makeGateSvr({ pairs: 2 });
    world.makeZone('one', { zoneId: '001', weight: 5, ...statics('10.1.0.1:9001', '10.1.0.2:9001') });
    world.makeZone('two', { zoneId: '002', ...statics('10.2.0.1:9001') });
    await world.settle();
    for (const pod of ['shop-p0-a-0', 'shop-p1-a-0']) {
      const gateway = world.gateway(pod);
      expect(gateway.calls).toEqual(['zones 1']);
      expect(gateway.zones.map(({ zoneId, uid }) => [zoneId, uid])).toEqual([
        ['001', world.zone('one').metadata.uid],
        ['002', world.zone('two').metadata.uid],
      ]);
      expect(gateway.zones[0]?.endpoints).toEqual([
        { address: '10.1.0.1:9001', weight: 5, healthy: false },
        { address: '10.1.0.2:9001', weight: 5, healthy: false },
      ]);
    }
    expect(world.gateway('shop-p0-b-0').calls).toEqual([]);
    expect(world.zone('one').status).toMatchObject({
      revision: 1,
      healthy: '2/2',
      gateways: [
        { pod: 'shop-p0-a-0', revision: 1 },
        { pod: 'shop-p1-a-0', revision: 1 },
      ],
    });
    expect(world.conditions('one')).toEqual([
      'Accepted True Accepted: zone 001 of GateSvr shop',
      'ResolvedRefs True ResolvedRefs: 2 static',
      'Programmed True Programmed: 2 of 2 primaries have it',
    ]);
    expect(world.gateSvr()?.status).toMatchObject({ zonesRevision: 1 });
    expect(await world.settle()).toBe(0);
    expect(world.told).toEqual([]);
  });

  it('another Zone’s change writes nothing into this one', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    world.makeZone('two', { zoneId: '002', ...statics('10.2.0.1:9001') });
    await world.settle();
    const before = world.zone('one').metadata.resourceVersion;
    world.makeZone('two', { zoneId: '002', ...statics('10.2.0.9:9001') });
    await world.settle();
    expect(world.gateway('shop-p0-a-0').zonesRevision).toBe(2n);
    expect(world.zone('two').status).toMatchObject({ revision: 2, healthy: '1/1' });
    expect(world.zone('one').metadata.resourceVersion).toBe(before);
  });

  it('one that is deleted leaves the set', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    await world.settle();
    world.store.delete(zones, 'games', 'one');
    await world.settle();
    expect(world.gateway('shop-p0-a-0')).toMatchObject({ zones: [], zonesRevision: 2n });
  });

  it('are sent again to a gateway that lost them, and to one that somebody gave others', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    await world.settle();
    const gateway = world.gateway('shop-p0-a-0');
    gateway.restart();
    await world.settle();
    expect(gateway.calls).toEqual(['zones 1', 'zones 1']);
    gateway.zonesRevision = 7n;
    gateway.zones = [];
    await world.settle();
    expect(gateway.calls.at(-1)).toBe('zones 8');
    expect(gateway.zones).toHaveLength(1);
  });

  it('a promoted backup that has them is not sent them; one that has not is', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    await world.settle();
    const [a, b] = [world.gateway('shop-p0-a-0'), world.gateway('shop-p0-b-0')];
    Object.assign(b, { role: 'primary', epoch: 2n, zones: a.zones, zonesRevision: a.zonesRevision });
    await world.settle();
    expect(b.calls).toEqual([]);
    expect(world.zone('one').status?.gateways).toEqual([{ pod: 'shop-p0-b-0', revision: 1 }]);
    Object.assign(b, { zones: [], zonesRevision: 0n });
    await world.settle();
    expect(b.calls).toEqual(['zones 1']);
  });

  it('an operator that starts again neither writes nor sends', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    await world.settle();
    world.restartOperator();
    expect(await world.settle()).toBe(0);
    expect(world.gateway('shop-p0-a-0').calls).toEqual(['zones 1']);
  });

  it('a revision names one set, though the operator dies between writing it down and sending it', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    const gateway = world.gateway('shop-p0-a-0');
    gateway.unreachable = true;
    await expect(world.settle()).rejects.toThrow('no answer within 2 s');
    world.restartOperator();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.2:9001') });
    gateway.unreachable = false;
    await world.settle();
    expect(gateway.calls).toEqual(['zones 1', 'zones 2']);
    expect(gateway.zones[0]?.endpoints[0]?.address).toBe('10.1.0.2:9001');
  });
});

describe('a Zone that follows a Service', () => {
  const spec = { zoneId: '001', endpoints: { service: { name: 'zone-pods', port: 'grpc' } } };

  it('has its ready endpoints as they come and go', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeService([{ ip: '10.3.0.1' }, { ip: 'fd00::2' }, { ip: '10.3.0.3', ready: false }]);
    world.makeZone('one', spec);
    await world.settle();
    const addresses = () => world.gateway('shop-p0-a-0').zones[0]?.endpoints.map(({ address }) => address);
    expect(addresses()).toEqual(['10.3.0.1:9001', '[fd00::2]:9001']);
    world.makeService([{ ip: '10.3.0.3', ready: true }]);
    await world.settle();
    expect(addresses()).toEqual(['10.3.0.3:9001']);
    expect(world.zone('one').status).toMatchObject({ healthy: '1/1', revision: 2 });
    world.gateway('shop-p0-a-0').unhealthy.add('10.3.0.3:9001');
    await world.settle();
    expect(world.zone('one').status).toMatchObject({
      healthy: '0/1',
      endpoints: [{ address: '10.3.0.3:9001', healthy: false, unhealthyAt: ['shop-p0-a-0'] }],
    });
  });

  it('keeps those that end while none is ready', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeService([
      { ip: '10.3.0.1', ready: false, serving: true },
      { ip: '10.3.0.2', ready: false, serving: false },
    ]);
    world.makeZone('one', spec);
    await world.settle();
    expect(world.zone('one').status?.endpoints?.map(({ address }) => address)).toEqual(['10.3.0.1:9001']);
  });

  it.each([
    [
      'is not there',
      () => {},
      spec,
      'ServiceNotFound: spec.endpoints.service.name: there is no Service zone-pods in namespace games: make it, or correct the name',
    ],
    [
      'has no such port',
      (world: World) => world.makeService([{ ip: '10.3.0.1' }]),
      { ...spec, endpoints: { service: { name: 'zone-pods', port: 9001 } } },
      'PortNotFound: spec.endpoints.service.port: Service zone-pods has no port 9001, only grpc (80)',
    ],
    [
      'has no endpoints',
      (world: World) => world.makeService([]),
      spec,
      'NoEndpoints: Service zone-pods has no ready endpoints on port grpc: see its pods, and kubectl get endpointslices -l kubernetes.io/service-name=zone-pods',
    ],
  ])('says what to do when it %s', async (_, prepare, zoneSpec, said) => {
    const world = new World();
    world.makeGateSvr();
    prepare(world);
    world.makeZone('one', zoneSpec);
    await world.settle();
    expect(world.conditions('one')).toContain(`ResolvedRefs False ${said}`);
    expect(world.told[0]).toBe(`one ${said.split(':')[0]}`);
    // Its number is taken all the same: requests for it are refused at once rather than sent elsewhere.
    expect(world.gateway('shop-p0-a-0').zones).toMatchObject([{ zoneId: '001', endpoints: [] }]);
  });
});

describe('a Zone that cannot be served', () => {
  it('with a number that another has: the older one keeps it, and the younger takes over when it is gone', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('zz-first', { zoneId: '001', ...statics('10.1.0.1:9001') });
    world.makeZone('aa-second', { zoneId: '001', ...statics('10.1.0.2:9001') });
    await world.settle();
    expect(world.conditions('aa-second')).toEqual([
      'Accepted False ZoneIdTaken: spec.zoneId: 001: Zone zz-first is older and has it: delete one of them',
      'ResolvedRefs True ResolvedRefs: 1 static',
      'Programmed False NotAccepted: gateways do not get it: see the condition Accepted',
    ]);
    expect(world.told[0]).toBe('aa-second ZoneIdTaken');
    expect(world.gateway('shop-p0-a-0').zones[0]?.endpoints[0]?.address).toBe('10.1.0.1:9001');
    world.store.delete(zones, 'games', 'zz-first');
    await world.settle();
    expect(world.conditions('aa-second')[2]).toBe('Programmed True Programmed: 1 of 1 primaries have it');
    expect(world.gateway('shop-p0-a-0').zones[0]?.endpoints[0]?.address).toBe('10.1.0.2:9001');
  });

  it('with a number beyond the GateSvr’s does not keep the others from being served', async () => {
    const world = new World();
    world.makeGateSvr({ zoneCount: 2 });
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    world.makeZone('nine', { zoneId: '009', ...statics('10.9.0.1:9001') });
    await world.settle();
    expect(world.conditions('nine')[0]).toBe(
      'Accepted False ZoneIdOutOfRange: spec.zoneId: 009: GateSvr shop has zones 001 to 002: make a Zone with one of them, ' +
        'or raise its spec.zoneCount, which moves users',
    );
    expect(world.gateway('shop-p0-a-0').zones.map(({ zoneId }) => zoneId)).toEqual(['001']);
  });

  it('waits for its GateSvr, and for a primary', async () => {
    const world = new World();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    await world.settle();
    expect(world.conditions('one')[1]).toBe(
      'ResolvedRefs False GateSvrNotFound: spec.gateSvrRef.name: there is no GateSvr shop in this namespace: make it, or make another Zone',
    );
    world.makeGateSvr({ pairs: 2 });
    world.gateway('shop-p1-a-0').state = 'silent';
    await world.settle();
    expect(world.conditions('one')[2]).toBe('Programmed False NoPrimary: no primary is reached of p1; 1 have it');
    world.gateway('shop-p1-a-0').state = 'connected';
    await world.settle();
    expect(world.conditions('one')[2]).toBe('Programmed True Programmed: 2 of 2 primaries have it');
    world.store.delete(gateSvrs, 'games', 'shop');
    await world.settle();
    expect(world.conditions('one')[1]).toContain('GateSvrNotFound');
  });

  it('that a gateway refuses says why, and is tried again', async () => {
    const world = new World();
    world.makeGateSvr();
    world.gateway('shop-p0-a-0').refusal = { message: 'zones: 001: address: expected HOST:PORT' };
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    const again = await world.reconciler.handle(key, new AbortController().signal);
    expect(again).toEqual({ requeueAfterMs: 30_000 });
    expect(world.conditions('one')[2]).toBe(
      'Programmed False Refused: shop-p0-a-0: zones: 001: address: expected HOST:PORT',
    );
  });

  it('is only pending while its gateway is about to be no primary any more', async () => {
    const world = new World();
    world.makeGateSvr();
    world.gateway('shop-p0-a-0').refusal = { code: ErrorCode.ERROR_NOT_PRIMARY, message: 'not the primary' };
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    await expect(world.settle()).rejects.toThrow('shop-p0-a-0: not the primary');
    expect(world.conditions('one')[2]).toBe('Programmed False Pending: 0 of 1 primaries have it');
  });

  it('a paused GateSvr is left alone', async () => {
    const world = new World();
    world.makeGateSvr();
    world.makeZone('one', { zoneId: '001', ...statics('10.1.0.1:9001') });
    world.store.patch(gateSvrs, 'games', 'shop', { metadata: { annotations: { 'gatesvr.io/reconcile': 'paused' } } });
    expect(await world.settle()).toBe(0);
    expect(world.gateway('shop-p0-a-0').calls).toEqual([]);
  });
});
