import { randomUUID } from 'node:crypto';
import { type ChannelCredentials, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import {
  type BroadcastPushResponse,
  type GroupMembersResponse,
  type UnicastPushResponse,
  UpstreamServiceService,
} from '../../proto/gen/upstream.ts';
import { formatAddress, parseAddress } from '../lib/address.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type Logger, silentLogger } from '../lib/log.ts';
import type { AnswerMemoryLimits } from './answer-memory.ts';
import { ZoneListenError, ZoneOptionsError } from './errors.ts';
import { GatewayDirectory } from './gateway-directory.ts';
import {
  type GroupChange,
  type GroupMembers,
  type GroupPushOptions,
  groupChange,
  groupPushRequest,
  membersRequest,
  type Presence,
  presenceOf,
} from './group-types.ts';
import { PushProducer, type PushProducerOptions } from './push-producer.ts';
import {
  type BroadcastOptions,
  type BroadcastResult,
  broadcastRequest,
  broadcastResult,
  type PushOptions,
  type PushResult,
  type PushTarget,
  pushResult,
  unicastRequest,
} from './push-types.ts';
import { Registrar } from './registrar.ts';
import { UnaryPusher } from './unary-pusher.ts';
import { UpstreamService } from './upstream-service.ts';
import type { ZoneHandler } from './zone-handler.ts';
import { checkOptions } from './zone-options.ts';

export { PushError, type PushFailure, ZoneListenError, ZoneOptionsError } from './errors.ts';
export type { GroupChange, GroupMembers, GroupPushOptions, Presence, UserPresence } from './group-types.ts';
export type { PushProducer, PushProducerOptions } from './push-producer.ts';
export type {
  BroadcastOptions,
  BroadcastResult,
  PushLevelName,
  PushOptions,
  PushResult,
  PushTarget,
} from './push-types.ts';
export type { ZoneHandler, ZoneRequest, ZoneResponse } from './zone-handler.ts';

export interface ZoneServerOptions {
  /** "001" and up. */
  readonly zoneId: string;
  /** Where to listen, "host:port"; port 0 takes a free one. */
  readonly address: string;
  /** Where gateways reach it; needed when `address` has no host of its own. */
  readonly advertiseAddress?: string;
  /** gRPC addresses of the gateways. */
  readonly gateways: readonly string[];
  /** Names this process start; made up when absent. */
  readonly instanceId?: string;
  /** Share of the zone's load against its other endpoints, 1 when absent. */
  readonly weight?: number;
  readonly handler: ZoneHandler;
  /** Plaintext both ways when absent: for loopback and development. */
  readonly credentials?: {
    readonly server: ServerCredentials;
    readonly channel: (address: string) => ChannelCredentials;
  };
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly newId?: () => string;
  /** What is remembered to answer repeats; 65,536 answers, 64 MiB, 2 minutes when absent. */
  readonly memory?: Partial<AnswerMemoryLimits>;
  /** How long a push is repeated with the same id; below the gateways' push_dedupe_horizon. 60 s when absent. */
  readonly pushHorizonMs?: number;
}

const memoryDefaults: AnswerMemoryLimits = { entriesMax: 65_536, bytesMax: 67_108_864, keepMs: 120_000 };
const unregisterMs = 1_000;
const drainPollMs = 10;

/** A zone: serves its users' requests, keeps itself registered with the gateways, pushes to its users. */
export class ZoneServer {
  readonly zoneId: string;
  #options: ZoneServerOptions;
  #clock: Clock;
  #log: Logger;
  #newId: () => string;
  #server = new Server({
    'grpc.max_receive_message_length': 8_388_608,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.enable_channelz': 0,
  });
  #health = new HealthImplementation({ '': 'SERVING' });
  #service: UpstreamService;
  #directory: GatewayDirectory;
  #pusher: UnaryPusher;
  #producers = new Set<PushProducer>();
  #registrar: Registrar | null = null;
  #advertised = '';

  /** @throws ZoneOptionsError */
  constructor(options: ZoneServerOptions) {
    checkOptions(options);
    this.zoneId = options.zoneId;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#newId = options.newId ?? randomUUID;
    const memory = { ...memoryDefaults, ...options.memory };
    const { zoneId, handler } = options;
    this.#service = new UpstreamService({ zoneId, handler, clock: this.#clock, log: this.#log, memory });
    const channel = options.credentials?.channel ?? (() => credentials.createInsecure());
    this.#directory = new GatewayDirectory(options.gateways, channel);
    this.#pusher = new UnaryPusher({ directory: this.#directory, clock: this.#clock, horizonMs: this.#horizonMs });
    this.#server.addService(UpstreamServiceService, this.#service.methods);
    this.#health.addToServer(this.#server);
  }

  /** The address it told the gateways; empty before `start`. */
  get address(): string {
    return this.#advertised;
  }

  /** Some gateway has this zone registered now. */
  get registered(): boolean {
    return this.#registrar?.registered === true;
  }

  /** Listens, then registers with the gateways for as long as it runs. @throws ZoneListenError */
  async start(): Promise<void> {
    const listen = parseAddress(this.#options.address) ?? { host: '', port: 0 };
    const host = listen.host === '' ? '0.0.0.0' : listen.host;
    const port = await this.#bind(formatAddress({ host, port: listen.port }));
    this.#advertised = this.#options.advertiseAddress ?? formatAddress({ host, port });
    const registration = {
      zoneId: this.zoneId,
      address: this.#advertised,
      instanceId: this.#options.instanceId ?? this.#newId(),
      weight: this.#options.weight ?? 1,
    };
    this.#log.info({ zone: this.zoneId, address: this.#advertised }, 'zone is listening');
    this.#registrar = new Registrar(this.#directory, registration, this.#clock, this.#log);
    this.#registrar.start();
  }

  /** Resolves when a gateway has accepted the registration. */
  whenRegistered(): Promise<void> {
    return this.#registrar?.whenRegistered() ?? Promise.reject(new ZoneOptionsError('start the zone server first'));
  }

  /**
   * Pushes to one session and repeats it until a gateway judges it or the horizon is over.
   * @throws PushError
   */
  push(target: PushTarget, data: Uint8Array | string, options: PushOptions = {}): Promise<PushResult> {
    const pushId = options.pushId ?? this.#newId();
    const request = unicastRequest(target, data, options, pushId);
    return this.#pusher.send(
      pushId,
      options.level === 'acked',
      (client, deadline, callback) => client.unicastPush(request, new Metadata(), { deadline }, callback),
      (response: UnicastPushResponse) => pushResult(pushId, response),
    );
  }

  /** Pushes to every session that matches, as one. @throws PushError */
  broadcast(data: Uint8Array | string, options: BroadcastOptions = {}): Promise<BroadcastResult> {
    const pushId = options.pushId ?? this.#newId();
    const request = broadcastRequest(data, options, pushId);
    return this.#pusher.send(
      pushId,
      options.level === 'acked',
      (client, deadline, callback) => client.broadcastPush(request, new Metadata(), { deadline }, callback),
      (response: BroadcastPushResponse) => broadcastResult(pushId, response),
    );
  }

  /** Pushes to the sessions of a group, as one. @throws PushError */
  pushGroup(group: string, data: Uint8Array | string, options: GroupPushOptions = {}): Promise<BroadcastResult> {
    const pushId = options.pushId ?? this.#newId();
    const request = groupPushRequest(group, data, options, pushId);
    return this.#pusher.send(
      pushId,
      options.level === 'acked',
      (client, deadline, callback) => client.groupPush(request, new Metadata(), { deadline }, callback),
      (response: BroadcastPushResponse) => broadcastResult(pushId, response),
    );
  }

  /** Puts sessions into a group, wherever they are; a session that ends leaves its groups. @throws PushError */
  joinGroup(group: string, members: GroupMembers): Promise<GroupChange> {
    const request = membersRequest(group, members);
    return this.#pusher.send(
      group,
      false,
      (client, deadline, callback) => client.joinGroup(request, new Metadata(), { deadline }, callback),
      (response: GroupMembersResponse) => groupChange(group, response),
    );
  }

  /** Takes sessions out of a group. @throws PushError */
  leaveGroup(group: string, members: GroupMembers): Promise<GroupChange> {
    const request = membersRequest(group, members);
    return this.#pusher.send(
      group,
      false,
      (client, deadline, callback) => client.leaveGroup(request, new Metadata(), { deadline }, callback),
      (response: GroupMembersResponse) => groupChange(group, response),
    );
  }

  /** Which of these users have a session, and where. @throws PushError */
  presence(openids: readonly string[]): Promise<Presence> {
    const request = { openids: [...openids], counts: false };
    return this.#pusher.send(
      'presence',
      false,
      (client, deadline, callback) => client.presence(request, new Metadata(), { deadline }, callback),
      presenceOf,
    );
  }

  /** A batched, ordered way to push a lot; close it when it is no longer used. */
  openProducer(options: PushProducerOptions = {}): PushProducer {
    const surroundings = {
      directory: this.#directory,
      clock: this.#clock,
      newId: this.#newId,
      horizonMs: this.#horizonMs,
    };
    const producer = new PushProducer(surroundings, options);
    this.#producers.add(producer);
    return producer;
  }

  /**
   * Leaves: unregisters, sends new requests elsewhere, answers those under way, waits for the results of pushes, and ends
   * whatever is left at the deadline.
   */
  async stop(deadlineMs = 10_000): Promise<void> {
    const untilMs = this.#clock.nowMs() + deadlineMs;
    const leftMs = (): number => Math.max(0, untilMs - this.#clock.nowMs());
    await this.#registrar?.stop(Math.min(unregisterMs, deadlineMs));
    this.#health.setStatus('', 'NOT_SERVING');
    this.#service.beginStop();
    while (this.#service.open > 0 && leftMs() > 0) {
      await new Promise((resolve) => setTimeout(resolve, drainPollMs));
    }
    await Promise.all([...this.#producers].map((producer) => producer.close(leftMs())));
    this.#pusher.stop();
    this.#service.endStreams();
    await this.#shutDown(leftMs());
    this.#directory.close();
  }

  get #horizonMs(): number {
    return this.#options.pushHorizonMs ?? 60_000;
  }

  #bind(address: string): Promise<number> {
    const serverCredentials = this.#options.credentials?.server ?? ServerCredentials.createInsecure();
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, serverCredentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(new ZoneListenError(`cannot listen on ${address}: ${error.message}`));
      });
    });
  }

  #shutDown(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, deadlineMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
