import { type ChannelCredentials, Client, connectivityState } from '@grpc/grpc-js';
import type { UpstreamResponse } from '../../proto/gen/upstream.ts';
import type { Clock } from '../lib/clock.ts';
import type { EndpointSet, EndpointState } from './endpoint-set.ts';
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

/** What a link tells the zone it serves. */
export interface LinkOwner {
  answered(pending: PendingRequest, link: EndpointLink, response: UpstreamResponse): void;
  /** Never written: it may go elsewhere. */
  unwritten(pending: PendingRequest, link: EndpointLink, why: string): void;
  /** The zone said it did not take it. */
  refused(pending: PendingRequest, link: EndpointLink, why: string): void;
  /** Written, and no answer will come. */
  unknown(pending: PendingRequest, link: EndpointLink, why: string): void;
  /** The zone answered with a gRPC error. */
  broken(pending: PendingRequest, link: EndpointLink, why: string): void;
  healthChanged(link: EndpointLink, healthy: boolean, why: string): void;
  /** A retired link has nothing left to do and was closed. */
  drained(link: EndpointLink): void;
}

const deadEntriesMax = 64;

/** The connection to one endpoint: a queue of what is not written, the streams that carry what is. */
export class EndpointLink implements RequestHolder, StreamEvents, UnaryEvents {
  readonly state: EndpointState;
  #zoneId: string;
  #set: EndpointSet;
  #owner: LinkOwner;
  #options: LinkOptions;
  #client: Client;
  #probe: HealthProbe;
  #connected = false;
  #healthy = false;
  #unary: UnaryCalls;
  /** The zone said it has no Exchange; asked again after a reconnect. */
  #noExchange = false;
  #stream: ExchangeStream | null = null;
  /** Streams on a connection that is going away: their answers may still come. */
  #draining = new Set<ExchangeStream>();
  #queue: PendingRequest[] = [];
  #deadEntries = 0;
  #retired = false;
  #closed = false;

  constructor(zoneId: string, state: EndpointState, set: EndpointSet, owner: LinkOwner, options: LinkOptions) {
    this.#zoneId = zoneId;
    this.state = state;
    this.#set = set;
    this.#owner = owner;
    this.#options = options;
    this.#client = newClient(state.address, options);
    this.#unary = new UnaryCalls(this.#client, zoneId, state.address, options.unaryConcurrentMax, this);
    this.#probe = new HealthProbe(this.#client, {
      intervalMs: options.healthIntervalMs,
      timeoutMs: options.healthTimeoutMs,
      wallMs: () => options.clock.wallMs(),
      outcome: (healthy, detail) => this.#checked(healthy, detail),
    });
    this.#watch();
  }

  enqueue(pending: PendingRequest): void {
    pending.holder = this;
    this.#queue.push(pending);
    this.state.inFlight += 1;
    this.state.queuedBytes += pending.bytes;
  }

  /** Writes what is queued, as far as the endpoint takes it now. */
  flush(): void {
    if (this.#closed || !this.#connected || !this.#healthy || this.#queue.length === 0) return;
    if (this.#noExchange) {
      this.#flushUnary();
      return;
    }
    this.#stream ??= new ExchangeStream(this.#client, this.#zoneId, this.state.address, this);
    if (!this.#stream.writable) return;
    const { encoder, batchBytesMax, clock } = this.#options;
    const nowMs = clock.nowMs();
    let taken = 0;
    for (const pending of this.#queue) {
      if (encoder.length >= batchBytesMax) break;
      taken += 1;
      if (pending.done === null) this.#deadEntries -= 1;
      else {
        this.state.queuedBytes -= pending.bytes;
        this.#stream.add(encoder, pending, nowMs);
      }
    }
    if (taken === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, taken);
    if (encoder.length > 0) this.#stream.send(encoder);
  }

  abandon(pending: PendingRequest): Abandoned {
    this.state.inFlight -= 1;
    this.state.queuedBytes -= pending.bytes;
    this.#deadEntries += 1;
    if (this.#deadEntries > deadEntriesMax && this.#deadEntries * 2 > this.#queue.length) {
      this.#queue = this.#queue.filter((entry) => entry !== pending && entry.done !== null);
      this.#deadEntries = 0;
    }
    this.#left();
    return { reached: false, address: this.state.address };
  }

  /** No more requests: gives back what is unwritten, closes when the written ones are done. */
  retire(): void {
    this.#retired = true;
    this.#giveBack('endpoint was removed');
    this.#left();
  }

  /** Ends everything now; what is unanswered ends as unknown. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#probe.stop();
    this.#giveBack('router is closed');
    for (const stream of this.#draining) stream.cancel('link is closed');
    this.#stream?.cancel('link is closed');
    this.#unary.cancel('link is closed');
    this.#client.close();
  }

  answered(pending: PendingRequest, response: UpstreamResponse): void {
    this.state.inFlight -= 1;
    this.#owner.answered(pending, this, response);
    this.#left();
  }

  refused(pending: PendingRequest, why: string): void {
    this.state.inFlight -= 1;
    this.#owner.refused(pending, this, why);
    this.#left();
  }

  unknown(pending: PendingRequest, why: string): void {
    this.state.inFlight -= 1;
    this.#owner.unknown(pending, this, why);
    this.#left();
  }

  broken(pending: PendingRequest, why: string): void {
    this.state.inFlight -= 1;
    this.#owner.broken(pending, this, why);
    this.#left();
  }

  abandoned(_pending: PendingRequest): void {
    this.state.inFlight -= 1;
    this.#left();
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
      this.state.queuedBytes += pending.bytes;
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
        this.state.queuedBytes -= pending.bytes;
        const remainingMs = Math.max(1, Math.round(pending.deadlineMs - clock.nowMs()));
        this.#unary.send(pending, encoder.single(pending.request, remainingMs));
      }
    }
  }

  /** Gives every unwritten request back to the zone's router. */
  #giveBack(why: string): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#deadEntries = 0;
    for (const pending of queue) {
      if (pending.done === null) continue;
      this.state.inFlight -= 1;
      this.state.queuedBytes -= pending.bytes;
      pending.holder = null;
      this.#owner.unwritten(pending, this, why);
    }
  }

  /** Something left: there may be room to write, or nothing more to wait for. */
  #left(): void {
    if (this.#closed) return;
    if (this.#retired && this.state.inFlight === 0) {
      this.close();
      this.#owner.drained(this);
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
      this.#healthy = false;
      this.#probe.stop();
      if (this.#stream !== null) this.#draining.add(this.#stream);
      this.#stream = null;
      this.state.health = 'unknown';
    }
    if (failed) this.#checked(false, 'cannot connect');
  }

  #checked(healthy: boolean, detail: string): void {
    const before = this.state.health;
    this.#healthy = healthy;
    this.#set.checked(this.state, healthy, this.#options.clock.nowMs());
    if (before !== this.state.health) this.#owner.healthChanged(this, healthy, detail);
    if (healthy) {
      if (!this.#noExchange) this.#stream ??= new ExchangeStream(this.#client, this.#zoneId, this.state.address, this);
      this.flush();
    } else this.#giveBack(detail);
  }
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
