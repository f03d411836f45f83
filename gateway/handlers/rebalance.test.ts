import { describe, expect, it } from 'vitest';
import { Goaway, PushType } from '../../proto/gen/message.ts';
import { Announcer } from '../fleet/announcer.ts';
import { MemoryDirectory } from '../fleet/directory.ts';
import { Fleet } from '../fleet/fleet.ts';
import { FleetMap } from '../fleet/fleet-map.ts';
import { FleetNode } from '../fleet/fleet-node.ts';
import { Forwarder } from '../fleet/forwarder.ts';
import { encodePushBody } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { Rebalance } from './rebalance.ts';

const pair = (id: string) => ({
  id,
  clientEndpoints: [`${id}.example:8453`],
  zoneEndpoints: [`${id}.example:8092`],
  weight: 1,
  state: 'active' as const,
});

/** A gateway of pair p0 with sessions, alone in its map at first. */
function gatewayWith(sessions: number) {
  const harness = new HandlerHarness();
  const clock = harness.context.clock;
  const fleet = new Fleet({ pairId: 'p0', nowMs: () => harness.nowMs });
  const directory = new MemoryDirectory();
  const never = () => {
    throw new Error('nothing is forwarded in this test');
  };
  const node = new FleetNode({
    fleet,
    directory,
    forwarder: new Forwarder({
      clock,
      limits: { callsMax: 1, bytesMax: 1 },
      dial: never,
      defer: never,
      schedule: never,
    }),
    announcer: new Announcer({
      ...{ pairId: 'p0', directory, sessions: () => [], session: never, epoch: () => 1, superseded: never },
      ...{ concurrency: 1, defer: never },
    }),
    timeoutMs: 100,
    local: never,
  });
  fleet.setMap(new FleetMap(1, [pair('p0')]));
  const context = { ...harness.context, fleet: node, sessions: harness.context.sessions };
  const started = Array.from({ length: sessions }, (_, n) => ({
    openid: `user-${n}`,
    ...harness.start({ openid: `user-${n}` }),
  }));
  const rebalance = new Rebalance(context, 4);
  const steps = (count: number) => {
    for (let n = 0; n < count; n += 1) {
      harness.nowMs += 250;
      rebalance.step();
    }
  };
  return { harness, fleet, started, rebalance, steps };
}

describe('rebalancing', () => {
  it('sends those that a new map gives away, at its pace, and nobody else', () => {
    const { harness, fleet, started, steps } = gatewayWith(60);
    steps(4);
    expect(harness.closed.size).toBe(0);
    fleet.setMap(new FleetMap(2, [pair('p0'), pair('p1')]));
    steps(4);
    // The first second's credit, of which none was saved up before.
    expect(harness.closed.size).toBeLessThanOrEqual(8);
    expect(harness.closed.size).toBeGreaterThan(0);
    steps(100);
    for (const { openid, connection } of started) {
      const owner = fleet.isOwner(openid);
      expect(harness.closed.has(connection)).toBe(!owner);
      if (owner) continue;
      expect(harness.closed.get(connection)?.code).toBe(ErrorCode.ERROR_SESSION_RESET);
      const goaway = harness.pushes(connection).find(({ type }) => type === PushType.PUSH_GOAWAY);
      expect(Goaway.decode(goaway?.payload ?? Buffer.alloc(0))).toMatchObject({
        endpoints: ['p1.example:8453'],
        reconnect: true,
      });
    }
  });

  it('waits until a session has nothing under way', () => {
    const { harness, fleet, started, steps, rebalance } = gatewayWith(20);
    const leaver = started.find(({ openid }) => new FleetMap(2, [pair('p0'), pair('p1')]).ownerOf(openid).id === 'p1');
    if (leaver === undefined) throw new Error('nobody leaves');
    harness.context.shard.submit({
      ...{ kind: 'push', identity: { kind: 'none' }, openid: leaver.openid, sessionId: '' },
      ...{
        body: encodePushBody(PushType.PUSH_NOTIFY, Buffer.from('unacknowledged'), {}),
        bindClientSeq: 0,
        order: 'immediate',
        ttlMs: 0,
      },
    });
    fleet.setMap(new FleetMap(2, [pair('p0'), pair('p1')]));
    steps(100);
    expect(harness.closed.has(leaver.connection)).toBe(false);
    expect(rebalance.left).toBe(1);
    harness.context.shard.submit({ kind: 'ack', sessionId: leaver.response.sessionId, upTo: 1 });
    steps(4);
    expect(harness.closed.has(leaver.connection)).toBe(true);
    expect(rebalance.left).toBe(0);
  });

  it('stops when a newer map takes a change back', () => {
    const { harness, fleet, steps } = gatewayWith(60);
    fleet.setMap(new FleetMap(2, [pair('p0'), pair('p1')]));
    steps(4);
    const moved = harness.closed.size;
    fleet.setMap(new FleetMap(3, [pair('p0')]));
    steps(100);
    expect(harness.closed.size).toBe(moved);
  });
});
