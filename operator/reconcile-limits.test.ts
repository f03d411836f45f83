import { describe, expect, it } from 'vitest';
import { LimitsReconciler } from './reconcile-limits.ts';
import { gateSvrs } from './resources.ts';
import { gateSvrOf } from './testing/defaulted.ts';
import { SettingsWorld } from './testing/settings-world.ts';

class World extends SettingsWorld {
  reconciler = new LimitsReconciler(this.options);

  handle() {
    return this.reconciler.handle('games/shop', new AbortController().signal);
  }

  get condition(): string {
    const found = this.gateSvr()?.status?.conditions?.find(({ type }) => type === 'LimitsApplied');
    return `${found?.status} ${found?.reason}: ${found?.message}`;
  }

  setMaxQps(maxQps: number): void {
    const { spec } = gateSvrOf({}, { overload: { maxQps } });
    const there = this.gateSvr();
    if (there !== undefined) this.store.replace(gateSvrs, { ...there, spec } as typeof there);
  }
}

describe('limits of a GateSvr', () => {
  it('reach both members of each pair, and nothing is written when they hold', async () => {
    const world = new World();
    world.makeGateSvr({ pairs: 2, overload: { maxQps: 5000, qpsWarningThreshold: 4500 } });
    await world.handle();
    for (const gateway of world.gateways.values()) {
      expect(gateway.limits).toMatchObject({
        maxQps: 5000,
        qpsWarningThreshold: 4500,
        maxConnections: 1000,
        connectionWarningThreshold: 800,
        upstreamTimeoutMs: 30_000,
      });
    }
    expect(world.condition).toBe('True LimitsApplied: 4 of 4 gateways have the limits');
    const writes = world.client.writes.length;
    await world.handle();
    expect(world.client.writes.length).toBe(writes);
    expect(world.gateway('shop-p0-a-0').calls).toEqual(['limits 5000']);
  });

  it('are changed while gateways run, and given again to one that was restarted', async () => {
    const world = new World();
    world.makeGateSvr();
    await world.handle();
    world.setMaxQps(9000);
    await world.handle();
    const gateway = world.gateway('shop-p0-b-0');
    expect(gateway.calls).toEqual(['limits 2000', 'limits 9000']);
    gateway.restart();
    await world.handle();
    expect(gateway.limits?.maxQps).toBe(9000);
  });

  it('that a gateway refuses are told with its reason; what it had stays, and it is not asked at every beat', async () => {
    const world = new World();
    world.makeGateSvr();
    await world.handle();
    const gateway = world.gateway('shop-p0-a-0');
    gateway.refusal = { message: 'overload.max_qps is 7000, below …' };
    world.setMaxQps(7000);
    expect(await world.handle()).toEqual({ requeueAfterMs: 60_000 });
    expect(world.condition).toBe(
      'False Refused: refused by shop-p0-a-0: overload.max_qps is 7000, below …. The limits they had stay in force: correct spec.overload',
    );
    expect(world.told).toEqual(['shop Refused']);
    expect(gateway.limits?.maxQps).toBe(2000);
    await world.handle();
    expect(gateway.calls).toEqual(['limits 2000', 'limits 7000']);
    gateway.refusal = undefined;
    await world.clock.advance(60_000);
    await world.handle();
    expect(world.condition).toBe('True LimitsApplied: 2 of 2 gateways have the limits');
  });

  it('are said not to be known to hold where a gateway is not heard, and not to hold where it gave no answer', async () => {
    const world = new World();
    world.makeGateSvr();
    world.gateway('shop-p0-b-0').state = 'silent';
    await world.handle();
    expect(world.condition).toBe(
      'Unknown GatewayNotReached: 1 of 2 gateways have the limits; not reached: shop-p0-b-0',
    );
    world.gateway('shop-p0-b-0').state = 'connected';
    world.gateway('shop-p0-b-0').unreachable = true;
    await expect(world.handle()).rejects.toThrow('shop-p0-b-0: no answer within 2 s');
    expect(world.condition).toBe('False Pending: 1 of 2 gateways have the limits; not yet: shop-p0-b-0');
  });

  it('of a GateSvr that is gone or paused are left alone', async () => {
    const world = new World();
    await world.handle();
    world.makeGateSvr();
    world.store.patch(gateSvrs, 'games', 'shop', { metadata: { annotations: { 'gatesvr.io/reconcile': 'paused' } } });
    await world.handle();
    expect(world.gateway('shop-p0-a-0').calls).toEqual([]);
    expect(world.client.writes).toEqual([]);
  });
});
