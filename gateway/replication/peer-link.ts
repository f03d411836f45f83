import { randomBytes } from 'node:crypto';
import {
  type ChannelCredentials,
  type ChannelOptions,
  type ServerDuplexStream,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import {
  HeartbeatServiceClient,
  type HeartbeatServiceServer,
  type PeerFrame,
  ReplicationServiceClient,
  type ReplicationServiceServer,
} from '../../proto/gen/replication.ts';
import { errorMessage } from '../lib/errors.ts';
import { decodePeerMessage, encodePeerMessage } from './peer-codec.ts';
import { type HandshakeSide, nonceBytes, PeerHandshake, type PeerIdentity } from './peer-handshake.ts';
import type { PeerMessage } from './peer-messages.ts';

const redialMs = 100;
const handshakeMs = 2_000;
/** A name is looked up again this soon after its address stopped working: pods come back with another one. */
const lookupIntervalMs = 1_000;
const keepaliveMsMin = 1_000;

export interface PeerLinkOptions {
  readonly identity: PeerIdentity;
  /** The pair's key for handshakes. */
  readonly key: Uint8Array;
  /** HOST:PORT of the peer's two servers. */
  readonly heartbeatPeer: string;
  readonly syncPeer: string;
  readonly credentials: ChannelCredentials;
  /** A connection that says nothing for this long is asked, and closed when it stays silent as long again. */
  readonly silenceMs: number;
  readonly events: PeerEvents;
}

/** What the shard is told. */
export interface PeerEvents {
  received(message: PeerMessage): void;
  /** A heartbeat stream that was open broke. */
  connectionReset(): void;
  /** Nobody listens at the peer's heartbeat address. */
  connectionRefused(): void;
  primaryLinkBroken(): void;
  followerLinkBroken(): void;
  /** The other end is not our peer, or does not speak as one; it is dialled again all the same. */
  refused(why: string): void;
}

/** What both ends of a gRPC stream have in common. */
interface Duplex {
  write(frame: PeerFrame): boolean;
  on(event: 'data', listener: (frame: PeerFrame) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
}

/** One stream to or from the peer: a handshake, then messages, then its end, told once. */
class PeerStream {
  open = false;
  #duplex: Duplex;
  #cut: (why: string) => void;
  #ended = false;
  #onEnd: (error: Error | undefined, wasOpen: boolean) => void;

  constructor(
    side: HandshakeSide,
    duplex: Duplex,
    cut: (why: string) => void,
    options: PeerLinkOptions,
    onEnd: (error: Error | undefined, wasOpen: boolean) => void,
  ) {
    this.#duplex = duplex;
    this.#cut = cut;
    this.#onEnd = onEnd;
    const handshake = new PeerHandshake(side, options.identity, options.key, randomBytes(nonceBytes));
    let heard = side === 'listener';
    const late = setTimeout(() => {
      const why = 'no handshake in time';
      // Nobody answered at all: the address may be one of a pod that is gone, which is no fault of a peer.
      if (heard) this.#refuse(options, why);
      else this.cut(why);
    }, handshakeMs);
    duplex.on('data', (frame) => {
      heard = true;
      if (this.open) return this.#message(options, frame);
      const step = handshake.received(frame);
      if (step.reply !== undefined) duplex.write(step.reply);
      if (step.refused !== undefined) this.#refuse(options, step.refused);
      if (step.open === true) {
        this.open = true;
        clearTimeout(late);
      }
    });
    const end = (error?: Error) => {
      clearTimeout(late);
      this.#end(error);
    };
    duplex.on('error', end);
    duplex.on('end', () => end());
    duplex.on('close', () => end());
    if (side === 'dialer') duplex.write(handshake.opening);
  }

  send(message: PeerMessage): void {
    if (this.open && !this.#ended) this.#duplex.write(encodePeerMessage(message));
  }

  cut(why: string): void {
    this.#cut(why);
    this.#end(undefined);
  }

  #message(options: PeerLinkOptions, frame: PeerFrame): void {
    let message: PeerMessage;
    try {
      message = decodePeerMessage(frame);
    } catch (error) {
      return this.#refuse(options, errorMessage(error));
    }
    options.events.received(message);
  }

  #refuse(options: PeerLinkOptions, why: string): void {
    options.events.refused(why);
    this.cut(why);
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    const wasOpen = this.open;
    this.open = false;
    this.#onEnd(error, wasOpen);
  }
}

/**
 * The two streams to the peer and the two from it. Heartbeats go both ways on 8093; the follower's stream on 8094 carries
 * its acknowledgements up and the log and snapshots down.
 */
export class PeerLink {
  readonly heartbeatService: HeartbeatServiceServer;
  readonly replicationService: ReplicationServiceServer;
  #options: PeerLinkOptions;
  #heartbeatClient: HeartbeatServiceClient;
  #syncClient: ReplicationServiceClient;
  #heartbeatOut: PeerStream | undefined;
  #heartbeatIn: PeerStream | undefined;
  #syncOut: PeerStream | undefined;
  #syncIn: PeerStream | undefined;
  #timers = new Set<NodeJS.Timeout>();
  #running = false;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#heartbeatClient = this.#heartbeatChannel();
    this.#syncClient = this.#syncChannel();
    this.heartbeatService = {
      beat: (call) => {
        const stream = this.#accept(call, () => {
          if (this.#heartbeatIn === stream) this.#heartbeatIn = undefined;
        });
        this.#heartbeatIn = stream;
      },
    };
    this.replicationService = {
      follow: (call) => {
        const stream = this.#accept(call, () => {
          if (this.#syncIn !== stream) return;
          this.#syncIn = undefined;
          options.events.followerLinkBroken();
        });
        this.#syncIn = stream;
      },
    };
  }

  start(): void {
    this.#running = true;
    this.#dialHeartbeat();
    this.#dialSync();
  }

  stop(): void {
    this.#running = false;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const stream of [this.#heartbeatOut, this.#heartbeatIn, this.#syncOut, this.#syncIn]) stream?.cut('stopping');
    this.#heartbeatClient.close();
    this.#syncClient.close();
  }

  /** Sends a message on the stream its kind belongs to; without that stream it is lost, as on any network. */
  send(message: PeerMessage): void {
    switch (message.kind) {
      case 'ping':
        return this.#heartbeatOut?.send(message);
      case 'pong':
        return this.#heartbeatIn?.send(message);
      case 'join':
      case 'ack':
        return this.#syncOut?.send(message);
      default:
        return this.#syncIn?.send(message);
    }
  }

  get #channelOptions(): ChannelOptions {
    const keepaliveMs = Math.max(keepaliveMsMin, this.#options.silenceMs);
    return {
      'grpc.initial_reconnect_backoff_ms': redialMs,
      'grpc.max_reconnect_backoff_ms': 2 * redialMs,
      'grpc.dns_min_time_between_resolutions_ms': lookupIntervalMs,
      'grpc.service_config_disable_resolution': 1,
      'grpc.keepalive_time_ms': keepaliveMs,
      'grpc.keepalive_timeout_ms': keepaliveMs,
      'grpc.max_receive_message_length': 64 * 1024 * 1024,
      'grpc.enable_retries': 0,
      // Shared, a channel made anew would wait for the connection of the one before.
      'grpc.use_local_subchannel_pool': 1,
    };
  }

  #heartbeatChannel(): HeartbeatServiceClient {
    return new HeartbeatServiceClient(this.#options.heartbeatPeer, this.#options.credentials, this.#channelOptions);
  }

  #syncChannel(): ReplicationServiceClient {
    return new ReplicationServiceClient(this.#options.syncPeer, this.#options.credentials, this.#channelOptions);
  }

  #dialHeartbeat(): void {
    const call = this.#heartbeatClient.beat();
    this.#heartbeatOut = new PeerStream(
      'dialer',
      call,
      () => call.cancel(),
      this.#options,
      (error, wasOpen) => {
        if (!this.#running) return;
        if (wasOpen) this.#options.events.connectionReset();
        else if (isRefused(error)) this.#options.events.connectionRefused();
        else if (error === undefined) {
          // It hangs, perhaps on an address where nobody is any more: the next one looks the name up again.
          this.#heartbeatClient.close();
          this.#heartbeatClient = this.#heartbeatChannel();
        }
        this.#later(() => this.#dialHeartbeat());
      },
    );
  }

  #dialSync(): void {
    const call = this.#syncClient.follow();
    this.#syncOut = new PeerStream(
      'dialer',
      call,
      () => call.cancel(),
      this.#options,
      (error, wasOpen) => {
        if (!this.#running) return;
        if (wasOpen) this.#options.events.primaryLinkBroken();
        else if (error === undefined) {
          this.#syncClient.close();
          this.#syncClient = this.#syncChannel();
        }
        this.#later(() => this.#dialSync());
      },
    );
  }

  #accept(call: ServerDuplexStream<PeerFrame, PeerFrame>, ended: () => void): PeerStream {
    const cut = (details: string) => call.emit('error', { code: status.PERMISSION_DENIED, details });
    return new PeerStream('listener', call, cut, this.#options, () => {
      call.end();
      ended();
    });
  }

  #later(run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#running) run();
    }, redialMs);
    this.#timers.add(timer);
  }
}

function isRefused(error: Error | undefined): boolean {
  const details = (error as Partial<ServiceError> | undefined)?.details ?? '';
  return details.includes('ECONNREFUSED');
}
