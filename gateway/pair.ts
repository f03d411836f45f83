import { hkdfSync } from 'node:crypto';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Config } from './config.ts';
import type { Clock } from './lib/clock.ts';
import { UsageError } from './lib/errors.ts';
import type { Logger } from './lib/log.ts';
import { version } from './lib/version.ts';
import { type ConnectArbiter, pairTiming, roleSettings } from './pair-arbiter.ts';
import type { PairOptions, RoleChange } from './replication/pair-options.ts';
import { PairShard } from './replication/pair-shard.ts';
import { PeerLink } from './replication/peer-link.ts';
import type { Command } from './session/command.ts';
import { decodeCommands, encodeCommands } from './session/command-codec.ts';
import type { Effect, Outcome } from './session/effect.ts';
import { logFormat } from './session/field-codec.ts';
import { decodeImages, encodeImages } from './session/image-codec.ts';
import { SessionMachine } from './session/session-machine.ts';
import type { SnapshotImage } from './session/snapshot-images.ts';

const tickMs = 50;
const secretBytesMin = 32;
const keyBytes = 32;
const sliceBytes = 256 * 1024;
const sliceMs = 5;
const bufferBytesMax = 64 * 1024 * 1024;

export interface PairSettings {
  readonly id: string;
  readonly config: Config;
  /** The bytes of backup.secret_file. */
  readonly secret: Uint8Array;
  readonly clientEndpoint: string;
  readonly zoneEndpoint: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly credentials: ChannelCredentials;
  readonly perform: (effect: Effect) => void;
  readonly connectArbiter: ConnectArbiter;
  readonly onRole: (change: RoleChange) => void;
  /** The primary can commit nothing, or can again. */
  readonly onBlocked: (blocked: boolean, reason: string) => void;
  readonly newId: () => string;
}

export type SessionPairShard = PairShard<Command, Outcome, Effect, SnapshotImage>;

/** One shard of a pair with its links to the peer and its arbiter, driven by the real clock. */
export interface Pair {
  readonly shard: SessionPairShard;
  readonly link: PeerLink;
  /** Calls the listener when something changed that others watch. @returns what takes it off again. */
  onChange(listener: () => void): () => void;
  start(): void;
  stop(): void;
}

/** @throws UsageError when the secret is too short. */
export function checkPairSecret(secret: Uint8Array, path: string): void {
  if (secret.length >= secretBytesMin) return;
  throw new UsageError(`backup.secret_file: ${path}: ${secret.length} bytes: expected ${secretBytesMin} or more`);
}

/** A key of its own for each purpose, the same on both gateways. */
export function pairKey(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, 'gatesvr', purpose, keyBytes));
}

export function createPair(settings: PairSettings): Pair {
  const { config, clock, log } = settings;
  const { heartbeat, sync, serverId } = config.backup;
  const held = settings.connectArbiter({
    changed: () => shard.lookAtLease(clock.nowMs()),
    announce: () => shard.announce(),
  });
  const shard: SessionPairShard = new PairShard({
    ...shardOptions(settings, (message) => link.send(message)),
    onChange: () => {
      for (const listener of listeners) listener();
    },
    arbiter: held.arbiter,
    ...(held.gossip === undefined ? {} : { gossip: held.gossip }),
  });
  const listeners = new Set<() => void>();
  let complaint = '';
  const link: PeerLink = new PeerLink({
    identity: { serverId, version },
    key: pairKey(settings.secret, 'peer'),
    heartbeatPeer: heartbeat.peerAddr ?? '',
    syncPeer: sync.peerAddr ?? '',
    credentials: settings.credentials,
    silenceMs: heartbeat.timeoutMs,
    events: {
      received: (message) => shard.received(clock.nowMs(), message),
      connectionReset: () => shard.connectionReset(),
      connectionRefused: () => shard.connectionRefused(clock.nowMs()),
      primaryLinkBroken: () => shard.primaryLinkBroken(),
      followerLinkBroken: () => shard.followerLinkBroken(),
      refused: (why) => {
        // Dialled again ten times a second: one line for each reason.
        if (why !== complaint) log.error({ why }, 'the peer is refused');
        complaint = why;
      },
    },
  });
  let timer: NodeJS.Timeout | undefined;
  return {
    shard,
    link,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    start: () => {
      held.start();
      link.start();
      timer = setInterval(() => shard.tick(clock.nowMs(), clock.wallMs()), tickMs);
    },
    stop: () => {
      clearInterval(timer);
      held.stop();
      link.stop();
    },
  };
}

function shardOptions(
  settings: PairSettings,
  send: PairOptions<Command, Outcome, Effect, SnapshotImage>['send'],
): Omit<PairOptions<Command, Outcome, Effect, SnapshotImage>, 'arbiter'> {
  const { backup } = settings.config;
  return {
    id: settings.id,
    role: roleSettings(settings.config),
    timing: pairTiming(settings.config),
    limits: {
      batchEntriesMax: backup.sync.batchSize,
      batchWaitMs: backup.sync.timeoutMs,
      bufferEntriesMax: backup.sync.bufferSize,
      bufferBytesMax,
    },
    clientEndpoint: settings.clientEndpoint,
    zoneEndpoint: settings.zoneEndpoint,
    createMachine: () => new SessionMachine(),
    codec: {
      encode: encodeCommands,
      decode: decodeCommands,
      encodeSlice: (images) => {
        const untilMs = settings.clock.nowMs() + sliceMs;
        return encodeImages(images, sliceBytes, () => settings.clock.nowMs() < untilMs);
      },
      decodeSlice: decodeImages,
      format: logFormat.newest,
    },
    promotion: (epoch, history) => ({ kind: 'promote', epoch, history }),
    isRefusable: ({ kind }) => kind === 'push' || kind === 'broadcast' || kind === 'start' || kind === 'admit',
    perform: settings.perform,
    newId: settings.newId,
    send,
    defer: (flush) => queueMicrotask(flush),
    onRole: settings.onRole,
    onBlocked: settings.onBlocked,
    onProblem: (problem) => settings.log.error({ problem }, 'the pair is configured wrongly'),
  };
}
