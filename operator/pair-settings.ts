import type { GateSvr } from './api/gatesvr.ts';
import { durationMs } from './lib/duration.ts';
import { fencedKey } from './observe-pod.ts';
import type { PairSettings } from './pair-view.ts';

const reconcileKey = 'gatesvr.io/reconcile';
/** Names the pod that is to be primary; the operator removes it when it is. */
export const switchoverKey = 'gatesvr.io/switchover';
const switchoverDeadlineMs = 10_000;

export function isPaused({ metadata }: GateSvr): boolean {
  return metadata.annotations?.[reconcileKey] === 'paused';
}

/** @param podNames of the pair */
export function pairSettings(gateSvr: GateSvr, podNames: readonly string[]): PairSettings {
  const { failover, update } = gateSvr.spec;
  const requested = gateSvr.metadata.annotations?.[switchoverKey] ?? '';
  return {
    delayMs: durationMs(failover.delay),
    cooldownMs: durationMs(failover.cooldown),
    resetAfterMs: durationMs(failover.resetAfter),
    switchoverDeadlineMs,
    progressDeadlineMs: durationMs(update.progressDeadline),
    onDelete: update.strategy === 'OnDelete',
    paused: isPaused(gateSvr),
    fenced: gateSvr.metadata.annotations?.[fencedKey] === 'true',
    requestedPrimary: podNames.includes(requested) ? requested : '',
  };
}
