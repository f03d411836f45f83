import { type ChannelCredentials, Client, connectivityState } from '@grpc/grpc-js';
import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import type { Clock } from '../lib/clock.ts';
import type { EndpointHealth, EndpointState } from './endpoint-set.ts';
import type { ExchangeEncoder } from './exchange-codec.ts';
import { ExchangeStream, type StreamEnd, type StreamEvents } from './exchange-stream.ts';
import { HealthProbe } from './health-probe.ts';
import { UnaryCalls, type UnaryEvents } from './unary-calls.ts';
import type { Abandoned, PendingRequest, RequestHolder } from './zone-request.ts';

export interface LinkOptions {
  readonly clock: Clock;
  readonly credentials: (address: string) => ChannelCredentials;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly healthIntervalMs: number;
  readonly healthTimeoutMs: number;
  readonly messageBytesMax: number;
  readonly batchBytesMax: number;
  readonly unaryConcurrentMax: number;
  readonly encoder: ExchangeEncoder;
}

/** A zone that uses a link. */
export interface LinkMember {
  /** What is known of the endpoint's health changed. */
  healthChanged(state: EndpointState, health: EndpointHealth, why: string): void;
}

const deadEntriesMax = 64;

/**
 * The connection to one address: a queue of what is not written, the streams that carry what is. Zones that are served at
 * the same address share it, and their requests the batches.
 */
export class EndpointLink implements RequestHolder, StreamEvents, UnaryEvents {
  readonly address: string;
  #options: LinkOptions;
  #members = new Map<EndpointState, LinkMember>();
  #drained: (link: EndpointLink) => void;
  #client: Client;
  #probe: HealthProbe;
  #connected = false;
  #health: EndpointHealth = 'unknown';
  #why = '';
  #unary: UnaryCalls;
  /** The zone said it has no Exchange; asked again after a reconnect. */
  #noExchange = false;
  #stream: ExchangeStream | null = null;
  /** Streams on a connection that is going away: their answers may still come. */
  #draining = new Set<ExchangeStream>();
  #queue: PendingRequest[] = [];
  #deadEntries = 0;
  /** Queued or written. */
  #open = 0;
  #closed = false;

  /** @param drained called once, when no zone uses it and nothing is open any more: it was closed. */
  constructor(address: string, options: LinkOptions, drained: (link: EndpointLink) => void) {
    this.address = address;
    this.#options = options;
    this.#drained = drained;
    this.#client = newClient(address, options);
    this.#unary = new UnaryCalls(this.#client, options.unaryConcurrentMax, this);
    this.#probe = new HealthProbe(this.#client, {
      intervalMs: options.healthIntervalMs,
      timeoutMs: options.healthTimeoutMs,
      wallMs: () => options.clock.wallMs(),
      outcome: (healthy, why) => this.#setHealth(healthy ? 'healthy' : 'unhealthy', why),
    });
    this.#watch();
  }

  /** Serves a zone from now on; what is known of the health is told at once. */
  attach(state: EndpointState, member: LinkMember): void {
    this.#members.set(state, member);
    if (this.#health !== 'unknown') member.healthChanged(state, this.#health, this.#why);
  }

  /** No more requests of this zone: gives back the unwritten ones; closes when nobody needs it. */
  detach(state: EndpointState): void {
    this.#members.delete(state);
    const queue = this.#queue;
    this.#queue = queue.filter((pending) => pending.state !== state);
    for (const pending of queue) if (pending.state === state) this.#giveBack(pending, 'endpoint was removed');
    this.#left();
  }

  enqueue(pending: PendingRequest): void {
    pending.holder = this;
    this.#queue.push(pending);
    this.#open += 1;
    if (pending.state !== null) pending.state.queuedBytes += pending.bytes;
  }

  /** Writes what is queued, as far as the endpoint takes it now. */
  flush(): void {
    if (this.#closed || this.#health !== 'healthy' || this.#queue.length === 0) return;
    if (this.#noExchange) {
      this.#flushUnary();
      return;
    }
    this.#stream ??= new ExchangeStream(this.#client, this);
    if (!this.#stream.writable) return;
    const { encoder, batchBytesMax, clock } = this.#options;
    const nowMs = clock.nowMs();
    let taken = 0;
    for (const pending of this.#queue) {
      if (encoder.length >= batchBytesMax) break;
      taken += 1;
      if (pending.done === null) this.#deadEntries -= 1;
      else {
        unqueue(pending);
        this.#stream.add(encoder, pending, nowMs);
      }
    }
    if (taken === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, taken);
    if (encoder.length > 0) this.#stream.send(encoder);
  }

  abandon(pending: PendingRequest): Abandoned {
    unqueue(pending);
    this.#deadEntries += 1;
    if (this.#deadEntries > deadEntriesMax && this.#deadEntries * 2 > this.#queue.length) {
      this.#queue = this.#queue.filter((entry) => entry !== pending && entry.done !== null);
      this.#deadEntries = 0;
    }
    this.#leave();
    return { reached: false };
  }

  /** Ends everything now; what is unanswered ends as unknown. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#probe.stop();
    this.#giveBackAll('router is closed');
    for (const stream of this.#draining) stream.cancel('link is closed');
    this.#stream?.cancel('link is closed');
    this.#unary.cancel('link is closed');
    this.#client.close();
  }

  answered(pending: PendingRequest, response: UpstreamResponse): void {
    pending.owner?.answered(pending, response);
    this.#leave();
  }

  refused(pending: PendingRequest, why: string): void {
    pending.owner?.refused(pending, why);
    this.#leave();
  }

  unknown(pending: PendingRequest, why: string): void {
    pending.owner?.unknown(pending, why);
    this.#leave();
  }

  broken(pending: PendingRequest, why: string): void {
    pending.owner?.broken(pending, why);
    this.#leave();
  }

  abandoned(_pending: PendingRequest): void {
    this.#leave();
  }

  writable(_stream: ExchangeStream): void {
    this.flush();
  }

  ended(stream: ExchangeStream, end: StreamEnd): void {
    if (this.#stream === stream) this.#stream = null;
    this.#draining.delete(stream);
    if (end.unimplemented && !this.#closed) this.#fallBack(end.unanswered);
    else {
      for (const pending of end.unanswered) this.unknown(pending, end.details);
    }
    this.flush();
  }

  #fallBack(unanswered: readonly PendingRequest[]): void {
    this.#noExchange = true;
    for (const pending of unanswered) {
      pending.holder = this;
      if (pending.state !== null) pending.state.queuedBytes += pending.bytes;
    }
    this.#queue.unshift(...unanswered);
  }

  #flushUnary(): void {
    const { encoder, clock } = this.#options;
    while (this.#unary.writable) {
      const pending = this.#queue.shift();
      if (pending === undefined) return;
      if (pending.done === null) this.#deadEntries -= 1;
      else {
        unqueue(pending);
        const remainingMs = Math.max(1, Math.round(pending.deadlineMs - clock.nowMs()));
        this.#unary.send(pending, encoder.single(pending.request, remainingMs));
      }
    }
  }

  #giveBackAll(why: string): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#deadEntries = 0;
    for (const pending of queue) this.#giveBack(pending, why);
  }

  #giveBack(pending: PendingRequest, why: string): void {
    if (pending.done === null) return;
    unqueue(pending);
    pending.holder = null;
    pending.owner?.unwritten(pending, why);
    this.#leave();
  }

  #leave(): void {
    this.#open -= 1;
    this.#left();
  }

  /** Something left: there may be room to write, or nothing more to wait for. */
  #left(): void {
    if (this.#closed) return;
    if (this.#members.size === 0 && this.#open === 0) {
      this.close();
      this.#drained(this);
    } else if (this.#noExchange) this.flush();
  }

  #watch(): void {
    if (this.#closed) return;
    const channel = this.#client.getChannel();
    const current = channel.getConnectivityState(true);
    channel.watchConnectivityState(current, Number.POSITIVE_INFINITY, () => this.#watch());
    if (current === connectivityState.READY) {
      if (!this.#connected) this.#connectedNow();
    } else this.#disconnected(current === connectivityState.TRANSIENT_FAILURE);
  }

  #connectedNow(): void {
    this.#connected = true;
    this.#noExchange = false;
    this.#probe.start();
  }

  #disconnected(failed: boolean): void {
    if (this.#connected) {
      this.#connected = false;
      this.#probe.stop();
      if (this.#stream !== null) this.#draining.add(this.#stream);
      this.#stream = null;
    }
    if (failed) this.#setHealth('unhealthy', 'cannot connect');
    else if (this.#health === 'healthy') this.#setHealth('unknown', 'reconnecting');
  }

  /** Told on every check, also when nothing changed: an ejected endpoint comes back with a check. */
  #setHealth(health: EndpointHealth, why: string): void {
    this.#health = health;
    this.#why = why;
    for (const [state, member] of this.#members) member.healthChanged(state, health, why);
    if (health === 'unhealthy') this.#giveBackAll(why);
    if (health !== 'healthy') return;
    if (!this.#noExchange) this.#stream ??= new ExchangeStream(this.#client, this);
    this.flush();
  }
}

function unqueue(pending: PendingRequest): void {
  if (pending.state !== null) pending.state.queuedBytes -= pending.bytes;
}

function newClient(address: string, options: LinkOptions): Client {
  return new Client(`dns:${address}`, options.credentials(address), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.keepalive_time_ms': options.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_send_message_length': options.messageBytesMax,
    'grpc.max_receive_message_length': options.messageBytesMax,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  });
}
