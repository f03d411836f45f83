import type { ChannelCredentials } from '@grpc/grpc-js';
import { GatewayServiceClient } from '../../proto/gen/upstream.ts';

/** A fleet has many gateways. */
const learnedMax = 1_024;

/** The gateways a zone knows: those it was given and those they named; one connection each, and which is primary. */
export class GatewayDirectory {
  readonly configured: readonly string[];
  #credentials: (address: string) => ChannelCredentials;
  #clients = new Map<string, GatewayServiceClient>();
  #learned: string[] = [];
  #primary = '';
  #primaryEpoch = 0;
  #primaryPair = '';

  constructor(configured: readonly string[], credentials: (address: string) => ChannelCredentials) {
    this.configured = [...new Set(configured)];
    this.#credentials = credentials;
  }

  get addresses(): readonly string[] {
    return [...this.configured, ...this.#learned];
  }

  /** Where pushes go: the gateway that last accepted a registration, the first known one before that. */
  get primary(): string {
    return this.#primary === '' ? (this.configured[0] ?? '') : this.#primary;
  }

  client(address: string): GatewayServiceClient {
    let client = this.#clients.get(address);
    if (client === undefined) {
      client = new GatewayServiceClient(`dns:${address}`, this.#credentials(address), {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.keepalive_time_ms': 5_000,
        'grpc.keepalive_timeout_ms': 5_000,
        'grpc.keepalive_permit_without_calls': 1,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 2_000,
        'grpc.max_receive_message_length': 16_777_216,
        'grpc.enable_channelz': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.service_config_disable_resolution': 1,
      });
      this.#clients.set(address, client);
    }
    return client;
  }

  /**
   * This gateway accepted a registration; one of a lower epoch is a deposed primary and changes nothing. Primaries of other
   * pairs are as good, and epochs do not compare between pairs: the first one stays.
   */
  accepted(address: string, epoch: number, pairId = ''): void {
    if (this.#primary !== '' && pairId !== this.#primaryPair) return;
    if (epoch < this.#primaryEpoch && address !== this.#primary) return;
    this.#primaryPair = pairId;
    this.#primary = address;
    this.#primaryEpoch = epoch;
  }

  /** This gateway is not primary, or does not answer: pushes try the next one. */
  refused(address: string): void {
    if (this.primary !== address) return;
    const all = this.addresses;
    this.#primaryPair = '';
    this.#primary = all[(all.indexOf(address) + 1) % all.length] ?? '';
  }

  /** Gateways another one named; bounded, new names push out old ones. @returns those not known before. */
  learn(addresses: readonly string[]): string[] {
    const fresh = [...new Set(addresses)].filter((address) => address !== '' && !this.addresses.includes(address));
    this.#learned.push(...fresh);
    for (const dropped of this.#learned.splice(0, this.#learned.length - learnedMax)) this.#drop(dropped);
    return fresh;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #drop(address: string): void {
    this.#clients.get(address)?.close();
    this.#clients.delete(address);
    if (this.#primary === address) this.#primary = '';
  }
}
