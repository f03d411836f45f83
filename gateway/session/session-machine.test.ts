import { describe, expect, it } from 'vitest';
import { MachineDriver } from '../testing/machine-driver.ts';
import { deadlinesPerTickMax } from './limits.ts';
import { SessionMachine } from './session-machine.ts';

function zone(given: { zoneId?: string; address?: string; instanceId?: string; weight?: number; leaseMs?: number }) {
  const defaults = { zoneId: '001', address: 'z:1', instanceId: 'i1', weight: 1, leaseMs: 5_000 };
  return { kind: 'register-zone', ...defaults, ...given } as const;
}

describe('zone registrations', () => {
  it('live as long as they are renewed', () => {
    const driver = new MachineDriver();
    driver.apply(zone({}));
    expect(driver.effects).toEqual([
      { kind: 'zone-endpoints', zoneId: '001', endpoints: [{ address: 'z:1', weight: 1, instanceId: 'i1' }] },
    ]);
    driver.pass(4_000);
    driver.apply(zone({}));
    expect(driver.effects).toEqual([]);
    driver.pass(4_999);
    expect(driver.machine.zones()).toHaveLength(1);
    driver.pass(1);
    expect(driver.effects).toEqual([{ kind: 'zone-endpoints', zoneId: '001', endpoints: [] }]);
    expect(driver.machine.zones()).toEqual([]);
  });

  it('are replaced by a new instance at the address, which the old one cannot remove', () => {
    const driver = new MachineDriver();
    driver.apply(zone({}));
    driver.apply(zone({ instanceId: 'i2' }));
    expect(driver.effectKinds()).toEqual(['zone-endpoints']);
    driver.apply({ kind: 'unregister-zone', zoneId: '001', address: 'z:1', instanceId: 'i1' });
    expect(driver.effects).toEqual([]);
    driver.apply({ kind: 'unregister-zone', zoneId: '001', address: 'z:1', instanceId: 'i2' });
    expect(driver.machine.zones()).toEqual([]);
  });

  it('start their lease anew at a promotion, and the new primary is told all of them', () => {
    const driver = new MachineDriver();
    driver.apply(zone({}));
    driver.pass(4_000);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    expect(driver.effectKinds()).toEqual(['zone-endpoints']);
    driver.pass(4_999);
    expect(driver.machine.zones()).toHaveLength(1);
  });

  it('join with what the operator set; a lower revision is ignored', () => {
    const driver = new MachineDriver();
    const set = (revision: number, zoneId: string) =>
      driver.apply({
        kind: 'set-zones',
        revision,
        zones: [{ zoneId, uid: 'u', generation: 2, endpoints: [{ address: 'z:1', weight: 3 }] }],
      });
    driver.apply(zone({ address: 'z:1' }));
    driver.apply(zone({ address: 'z:2' }));
    expect(set(5, '001')).toEqual({ kind: 'zones', revision: 5 });
    expect(driver.machine.zones()).toEqual([
      {
        zoneId: '001',
        uid: 'u',
        generation: 2,
        endpoints: [
          { address: 'z:1', weight: 3, instanceId: 'u' },
          { address: 'z:2', weight: 1, instanceId: 'i1' },
        ],
      },
    ]);
    expect(set(4, '002')).toEqual({ kind: 'zones', revision: 5 });
    set(6, '002');
    driver.pass(5_000);
    expect(driver.machine.zones()).toMatchObject([{ zoneId: '002' }]);
    expect(driver.machine.zonesRevision).toBe(6);
  });

  it('are bounded', () => {
    const driver = new MachineDriver();
    for (let n = 0; n < 256; n += 1) driver.apply(zone({ address: `z:${n}` }));
    expect(driver.apply(zone({ address: 'one more' }))).toMatchObject({ kind: 'refused', code: 1002 });
    expect(driver.apply(zone({ address: 'z:7' }))).toEqual({ kind: 'done' });
  });
});

describe('shard time', () => {
  it('gives a client that was told to come back later its whole resume window again', () => {
    const driver = new MachineDriver();
    driver.started();
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    driver.pass(29_000);
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 0 });
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    driver.pass(29_999);
    expect(driver.session().connected).toBe(false);
    driver.pass(1);
    expect(driver.machine.session('s1')).toBeUndefined();
  });

  it('only rises, and a resume window begins anew at a promotion (I11)', () => {
    const driver = new MachineDriver();
    driver.started();
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    driver.pass(29_000);
    driver.apply({ kind: 'tick', timeMs: 5 });
    expect(driver.machine.timeMs).toBe(29_000);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.pass(29_999);
    expect(driver.session().connected).toBe(false);
    driver.pass(1);
    expect(driver.machine.session('s1')).toBeUndefined();
  });

  it('runs a bounded number of deadlines in one tick', () => {
    const driver = new MachineDriver();
    for (let n = 1; n <= deadlinesPerTickMax + 10; n += 1) driver.started({ openid: `u${n}` });
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.pass(30_000);
    expect(driver.machine.counts().sessions).toBe(10);
    driver.pass(100);
    expect(driver.machine.counts().sessions).toBe(0);
  });

  it('goes on for a ttl at a promotion', () => {
    const driver = new MachineDriver();
    driver.started();
    driver.push({ ttlMs: 1_000 });
    driver.pass(600);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    driver.pass(400);
    expect(driver.queued()).toEqual(['1:0:2']);
  });

  it('detaches everybody at a promotion; an epoch that is not higher is refused', () => {
    const driver = new MachineDriver();
    driver.started();
    expect(driver.apply({ kind: 'promote', epoch: 10, history: 'one' })).toMatchObject({ kind: 'refused', code: 2010 });
    expect(driver.session().connected).toBe(true);
    driver.apply({ kind: 'promote', epoch: 11, history: 'one' });
    expect(driver.machine.counts()).toMatchObject({ sessions: 1, connected: 0 });
    driver.apply({ kind: 'detach', sessionId: 's1', binding: 1 });
    expect(driver.machine.epoch).toBe(11);
  });
});

describe('listing sessions', () => {
  it('pages through them in the order they were made', () => {
    const driver = new MachineDriver();
    for (const openid of ['a', 'b', 'c', 'd', 'e']) driver.started({ openid });
    const all = { openid: '', zoneId: '' };
    const first = driver.machine.list(all, 2, '');
    expect(first.sessions.map(({ openid }) => openid)).toEqual(['a', 'b']);
    driver.apply({ kind: 'close', sessionId: 's2', code: 0, reason: 'stop' });
    const second = driver.machine.list(all, 2, first.nextPageToken);
    expect(second.sessions.map(({ openid }) => openid)).toEqual(['c', 'd']);
    const last = driver.machine.list(all, 2, second.nextPageToken);
    expect(last.sessions.map(({ openid }) => openid)).toEqual(['e']);
    expect(last.nextPageToken).toBe('');
    expect(driver.machine.list({ openid: 'd', zoneId: '' }, 5, '').sessions).toHaveLength(1);
    expect(driver.machine.list({ openid: '', zoneId: '003' }, 5, '').sessions).toEqual([]);
    expect(() => driver.machine.list(all, 5, 'x')).toThrow(/page_token "x"/);
  });
});

describe('the state hash', () => {
  it('is the same for the same commands, whatever the local connections, and tells others apart', () => {
    const run = (connection: number, extra: boolean) => {
      const driver = new MachineDriver();
      driver.started({ connection });
      driver.push();
      if (extra) driver.push();
      return driver.machine.stateHash();
    };
    expect(run(1, false)).toBe(run(2, false));
    expect(run(1, false)).not.toBe(run(1, true));
    expect(new SessionMachine().stateHash()).toBe(new SessionMachine().stateHash());
  });
});
