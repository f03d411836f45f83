import type { ShardLimits } from '../../session/command.ts';
import type { DeliveryLimits } from '../../session/delivery.ts';
import { defaultShardLimits } from '../../session/limits.ts';

/** Small, so that every bound is met within a short run. */
export const worldLimits: ShardLimits = {
  ...defaultShardLimits,
  sessionsMax: 6,
  queueMessagesMax: 12,
  queueBytesMax: 600,
  totalQueueBytesMax: 1_500,
  openRequestsMax: 5,
  resumeWindowMs: 3_000,
  bindWaitMs: 400,
  pushDedupeHorizonMs: 20_000,
  pushDedupeEntriesMax: 60,
  producersMax: 2,
};

export const worldDeliveryLimits: DeliveryLimits = {
  windowMessages: 5,
  ackTimeoutMs: 2_000,
  maxRetries: 2,
  slowConsumerMs: 1_500,
};
