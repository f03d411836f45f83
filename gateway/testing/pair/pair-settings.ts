import type { PairLimits, PairOptions, PairTiming } from '../../replication/pair-options.ts';
import type { Command, ShardLimits } from '../../session/command.ts';
import { decodeCommands, encodeCommands } from '../../session/command-codec.ts';
import type { Effect, Outcome } from '../../session/effect.ts';
import { logFormat } from '../../session/field-codec.ts';
import { decodeImages, encodeImages } from '../../session/image-codec.ts';
import type { SnapshotImage } from '../../session/snapshot-images.ts';
import { worldLimits } from '../sessions/world-limits.ts';
import type { SimNode } from './sim-node.ts';

/** The recommended heartbeat, and what goes with it. */
const pairTiming: PairTiming = {
  heartbeatIntervalMs: 200,
  heartbeatTimeoutMs: 1_000,
  stallTimeoutMs: 1_000,
  arbiterTimeoutMs: 500,
  leaseReadIntervalMs: 10_000,
  urgentReadIntervalMs: 1_000,
  rejoinAfterMs: 600,
};

/** Small, so that the bounds are met. */
const pairLimits: PairLimits = { batchEntriesMax: 5, batchWaitMs: 200, bufferEntriesMax: 40, bufferBytesMax: 8_000 };
/** Small, so that snapshots take several chunks and commands come between them. */
const sliceBytesMax = 150;

/** No session may end by its resume window within a run: whoever is told so was wronged (I11). */
export const pairShardLimits: ShardLimits = { ...worldLimits, resumeWindowMs: 600_000, totalQueueBytesMax: 3_000 };

/** The real shard's options in the simulated world. */
export function pairOptions(
  node: SimNode,
  mode: 'primary' | 'backup',
): PairOptions<Command, Outcome, Effect, SnapshotImage> {
  const { world, serverId } = node;
  return {
    id: '0',
    role: {
      serverId,
      mode,
      arbiter: world.options.standalone ? 'own' : 'shared',
      promoteAfterMs: 2 * pairTiming.heartbeatTimeoutMs,
      resetAfterMs: 1_000_000,
      startAloneAfterMs: 2_000,
    },
    timing: pairTiming,
    limits: pairLimits,
    clientEndpoint: serverId,
    zoneEndpoint: serverId,
    createMachine: () => world.options.plant.machine(),
    codec: {
      encode: encodeCommands,
      decode: decodeCommands,
      encodeSlice: (images) => encodeImages(images, sliceBytesMax, () => true),
      decodeSlice: decodeImages,
      format: logFormat.newest,
    },
    promotion: (epoch, history) => ({ kind: 'promote', epoch, history }),
    isRefusable: ({ kind }) => kind === 'push' || kind === 'broadcast' || kind === 'start' || kind === 'admit',
    perform: (effect) => node.perform(effect),
    newId: () => world.newId(),
    ...world.arbiterOf(node),
    send: (message) => world.sendToPeer(node, message),
    defer: (run) => world.clock.schedule(0, () => node.run(run)),
    onRole: (change) => node.roleChanged(change.role),
  };
}
