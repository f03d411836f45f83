import type { PairLimits, PairTiming } from '../../replication/pair-options.ts';
import type { ShardLimits } from '../../session/command.ts';
import { worldLimits } from '../sessions/world-limits.ts';

/** The recommended heartbeat, and what goes with it. */
export const pairTiming: PairTiming = {
  heartbeatIntervalMs: 200,
  heartbeatTimeoutMs: 1_000,
  stallTimeoutMs: 1_000,
  arbiterTimeoutMs: 500,
  leaseReadIntervalMs: 1_000,
  rejoinAfterMs: 600,
};

/** Small, so that the bounds are met. */
export const pairLimits: PairLimits = { batchEntriesMax: 5, bufferEntriesMax: 40, bufferBytesMax: 8_000 };

/** No session may end by its resume window within a run: whoever is told so was wronged (I11). */
export const pairShardLimits: ShardLimits = { ...worldLimits, resumeWindowMs: 600_000, totalQueueBytesMax: 3_000 };
