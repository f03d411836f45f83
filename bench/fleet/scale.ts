/** What a large fleet costs, computed with the code that runs it: 100 pairs and a million sessions by default. */
import { performance } from 'node:perf_hooks';
import { FleetMap, type FleetPair } from '../../gateway/fleet/fleet-map.ts';

export interface ScaleResult {
  readonly pairs: number;
  readonly sessions: number;
  readonly mapBytes: number;
  readonly lookupMicroseconds: number;
  /** Of each step: sessions that move, against the share that must. */
  readonly steps: readonly { readonly name: string; readonly moved: number; readonly ideal: number }[];
  /** Announcements and takings back a second, of all pairs together. */
  readonly directoryPerSecond: { readonly refresh: number; readonly logins: number; readonly afterLoss: number };
}

/** A third of directory.redis.entry_ttl. */
const refreshSeconds = 30;
/** Announced again within this time after Redis was lost. */
const afterLossSeconds = 5;
/** How long a session lives on average: a login and an end each. */
const sessionSeconds = 1_800;

function mapOf(version: number, count: number): FleetMap {
  const pairs = Array.from({ length: count }, (_, n): FleetPair => {
    const host = (member: string) => `shop-p${n}-${member}-0.shop-peers.shop.svc.cluster.local`;
    return {
      id: `p${n}`,
      clientEndpoints: ['a', 'b'].map((member) => `${host(member)}:8453`),
      zoneEndpoints: ['a', 'b'].map((member) => `${host(member)}:8092`),
      weight: 1,
      state: 'active',
    };
  });
  return new FleetMap(version, pairs);
}

/** @param sample sessions that are really looked up; the rest is in proportion. */
export function scaleOf(pairs: number, sessions: number, sample: number): ScaleResult {
  const before = mapOf(1, pairs);
  const openids = Array.from({ length: sample }, (_, n) => `user-${n}`);
  const beganMs = performance.now();
  const owners = openids.map((openid) => before.ownerOf(openid).id);
  const lookupMicroseconds = ((performance.now() - beganMs) * 1_000) / sample;
  const steps = [pairs + 1, Math.ceil(pairs * 1.1), pairs - 1].map((count) => {
    const after = mapOf(2, count);
    const moved = openids.filter((openid, n) => after.ownerOf(openid).id !== owners[n]).length;
    const share = count > pairs ? (count - pairs) / count : (pairs - count) / pairs;
    return { name: `${pairs} → ${count}`, moved: (moved * sessions) / sample, ideal: sessions * share };
  });
  const directoryPerSecond = {
    refresh: sessions / refreshSeconds,
    logins: (2 * sessions) / sessionSeconds,
    afterLoss: sessions / afterLossSeconds,
  };
  const mapBytes = Buffer.byteLength(JSON.stringify({ version: 1, pairs: before.pairs }));
  return { pairs, sessions, mapBytes, lookupMicroseconds, steps, directoryPerSecond };
}
