import { describe, expect, it } from 'vitest';
import { HeartbeatMonitor } from './heartbeat.ts';
import type { HeartbeatMessage, PeerStatus } from './peer-messages.ts';

const status = (incarnation: string): PeerStatus => ({
  ...{ serverId: 'B', incarnation, mode: 'backup', role: 'backup', epoch: 1, history: 'h', complete: true },
  ...{ logIndex: 0, lease: undefined, clientEndpoint: '', zoneEndpoint: '' },
});
const pong = (number: number, incarnation = 'B/1'): HeartbeatMessage => {
  return { kind: 'pong', number, status: status(incarnation) };
};

function monitor(): HeartbeatMonitor {
  return new HeartbeatMonitor({ intervalMs: 200, timeoutMs: 1_000 });
}

/** Ticks every 50 ms; every ping is answered at once by `answer`. */
function run(of: HeartbeatMonitor, fromMs: number, toMs: number, answer?: string): void {
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 50) {
    const number = of.tick(nowMs);
    if (number !== undefined && answer !== undefined) of.heard(nowMs, pong(number, answer));
  }
}

describe('HeartbeatMonitor', () => {
  it('pings at its interval, and loses a peer that is silent for the timeout', () => {
    const watch = monitor();
    run(watch, 0, 5_000, 'B/1');
    expect(watch.lost).toBe(false);
    run(watch, 5_050, 5_900);
    expect(watch.lost).toBe(false);
    run(watch, 5_950, 6_200);
    expect(watch.lost).toBe(true);
    run(watch, 6_250, 6_600, 'B/1');
    expect(watch.lost).toBe(false);
  });

  it('does not blame the peer for its own standstill', () => {
    const watch = monitor();
    run(watch, 0, 1_000, 'B/1');
    run(watch, 61_000, 61_100);
    expect(watch.lost).toBe(false);
  });

  it('takes reset and then refused for a death at once, and either alone for nothing', () => {
    const watch = monitor();
    watch.connectionRefused();
    expect(watch.lost).toBe(false);
    run(watch, 0, 400, 'B/1');
    watch.connectionRefused();
    expect(watch.refused).toBe(false);
    watch.connectionReset();
    expect(watch.lost).toBe(false);
    watch.connectionRefused();
    expect([watch.lost, watch.isDead('B/1', 0)]).toEqual([true, true]);
  });

  it('knows an incarnation dead only by what was said after it was known to be right', () => {
    const watch = monitor();
    run(watch, 0, 1_000, 'B/1');
    expect(watch.isDead('B/1', 0)).toBe(false);
    expect(watch.isDead('B/0', 0)).toBe(true);
    expect(watch.isDead('B/2', 5_000)).toBe(false);
    const number = watch.pingNow(6_000);
    watch.heard(6_010, pong(number, 'B/3'));
    expect(watch.isDead('B/2', 5_000)).toBe(true);
  });

  it('does not believe a ping of another incarnation, nor a pong to nothing', () => {
    const watch = monitor();
    run(watch, 0, 1_000, 'B/1');
    watch.heard(1_010, { kind: 'ping', number: 1, status: status('B/2') });
    watch.heard(1_010, pong(999, 'B/2'));
    expect(watch.status?.incarnation).toBe('B/1');
  });

  it('takes a late pong for as old as the ping it answers', () => {
    const watch = monitor();
    run(watch, 0, 1_000, 'B/1');
    const old = watch.pingNow(1_050);
    const young = watch.pingNow(1_100);
    watch.heard(1_110, pong(young, 'B/2'));
    watch.heard(1_120, pong(old, 'B/1'));
    expect(watch.status?.incarnation).toBe('B/2');
  });
});
