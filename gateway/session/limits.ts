import type { ShardLimits } from './command.ts';

/** What a shard obeys before its first `configure` (interface, "Configuration"). */
export const defaultShardLimits: ShardLimits = {
  sessionsMax: 100_000,
  queueMessagesMax: 256,
  queueBytesMax: 262_144,
  totalQueueBytesMax: 512 * 1024 * 1024,
  openRequestsMax: 64,
  resumeWindowMs: 30_000,
  bindWaitMs: 5_000,
  pushDedupeHorizonMs: 300_000,
  pushDedupeEntriesMax: 200_000,
  producersMax: 1_024,
};

/** Answers kept for each producer; a producer may have no more than this unanswered (rule 11). */
export const producerWindow = 4_096;
/** Ended sessions whose reason is still known to a client that comes back. */
export const endedSessionsMax = 16_384;
/** Promotions for which a session's end is kept (rule 5). */
export const epochEndsMax = 8;
/** Request numbers that were given back and may be sent again though the window moved past them. */
export const returnedRequestsMax = 64;
/** Deadlines one tick may run; the rest waits for the next, so that no tick stops the event loop for long. */
export const deadlinesPerTickMax = 4_096;
/** Named sets of sessions, counted in one shard. */
export const groupsMax = 100_000;
export const groupMembersMax = 100_000;
export const groupsPerSessionMax = 64;
export const zonesMax = 1_000;
export const zoneEndpointsMax = 256;
