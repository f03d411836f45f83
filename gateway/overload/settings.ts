import type { ClientRateOptions } from './client-rates.ts';
import { limitsOf, type OverloadLimits } from './limits.ts';
import type { ProtectorChange, ProtectorOptions } from './protector.ts';

/** The `overload_protection` section of the configuration, already checked; 0 means no limit where a rate or size can be off. */
export interface OverloadSettings extends OverloadLimits {
  readonly zoneMaxConcurrent: number;
  readonly adaptiveConcurrency: boolean;
  readonly connectRate: number;
  readonly sessionMessageRate: number;
  readonly sessionByteRate: number;
  readonly addressMessageRate: number;
  readonly addressByteRate: number;
  readonly eventLoopDelayWarningMs: number;
  readonly eventLoopDelayLimitMs: number;
  readonly memoryLimit: number;
  readonly memoryWarning: number;
}

/** A client this far ahead of its rate is closed. */
const closeAfterMs = 3000;
const addressesMax = 65_536;
/** A heap is full for our purposes before V8 gives up on it. */
const usableHeapShare = 0.9;

/**
 * What the configuration says to the protector.
 * @param heapLimitBytes V8's limit of the heap.
 */
export function protectorOptions(
  settings: OverloadSettings,
  zoneCount: number,
  heapLimitBytes: number,
): ProtectorOptions {
  return {
    ...protectorChange(settings),
    limits: limitsOf(settings),
    zoneCount,
    heapLimitBytes: heapLimitBytes * usableHeapShare,
    adaptiveZones: settings.adaptiveConcurrency,
  };
}

/** As `protectorOptions`, of what a reload may change beside the limits. */
export function protectorChange(settings: OverloadSettings): ProtectorChange {
  const { eventLoopDelayWarningMs: delayWarnMs, eventLoopDelayLimitMs: delayLimitMs } = settings;
  const { memoryLimit, memoryWarning, zoneMaxConcurrent, maxUpstreamConcurrent } = settings;
  const memoryWarn = memoryLimit === 0 ? 0.8 : memoryWarning / memoryLimit;
  return {
    rssLimitBytes: memoryLimit,
    connectsPerSecond: settings.connectRate,
    zoneShare: zoneMaxConcurrent === 0 ? 1 : zoneMaxConcurrent / maxUpstreamConcurrent,
    eventLoopDelayMs: { warn: delayWarnMs, shed: (delayWarnMs + delayLimitMs) / 2, protect: delayLimitMs },
    memory: { warn: memoryWarn, shed: (memoryWarn + 1) / 2, protect: 1 },
  };
}

/** What the configuration says to the meters of clients. */
export function clientRateOptions(settings: OverloadSettings): ClientRateOptions {
  return {
    sessionMessagesPerSecond: orUnlimited(settings.sessionMessageRate),
    sessionBytesPerSecond: orUnlimited(settings.sessionByteRate),
    addressMessagesPerSecond: orUnlimited(settings.addressMessageRate),
    addressBytesPerSecond: orUnlimited(settings.addressByteRate),
    closeAfterMs,
    addressesMax,
  };
}

function orUnlimited(rate: number): number {
  return rate === 0 ? Number.POSITIVE_INFINITY : rate;
}
