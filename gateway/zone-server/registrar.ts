import { Metadata } from '@grpc/grpc-js';
import type { RegisterUpstreamResponse } from '../../proto/gen/upstream.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { ErrorCode, errorCodeName } from '../protocol/error-codes.ts';
import type { GatewayDirectory } from './gateway-directory.ts';

const callTimeoutMs = 3_000;
const leaseDefaultMs = 15_000;
const keepaliveMinMs = 50;
const retryMinMs = 200;
const retryMaxMs = 3_000;
/** A gateway that is not primary may be any moment. */
const notPrimaryMs = 1_000;

export interface Registration {
  readonly zoneId: string;
  readonly address: string;
  readonly instanceId: string;
  readonly weight: number;
}

interface Subscription {
  readonly address: string;
  timer: NodeJS.Timeout | null;
  failures: number;
  registered: boolean;
}

/** Keeps the zone registered with every gateway it knows: again is the keepalive, at a third of the lease. */
export class Registrar {
  #directory: GatewayDirectory;
  #registration: Registration;
  #clock: Clock;
  #log: Logger;
  #subscriptions = new Map<string, Subscription>();
  #waiting: (() => void)[] = [];
  #stopped = false;

  constructor(directory: GatewayDirectory, registration: Registration, clock: Clock, log: Logger) {
    this.#directory = directory;
    this.#registration = registration;
    this.#clock = clock;
    this.#log = log;
  }

  get registered(): boolean {
    return [...this.#subscriptions.values()].some((subscription) => subscription.registered);
  }

  start(): void {
    for (const address of this.#directory.addresses) this.#subscribe(address);
  }

  /** Resolves when a gateway has accepted the registration, at once if one has. */
  whenRegistered(): Promise<void> {
    if (this.registered) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Stops the keepalives and tells every gateway that the zone is leaving, each for at most `deadlineMs`. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopped = true;
    const left: Promise<void>[] = [];
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.timer !== null) clearTimeout(subscription.timer);
      if (subscription.registered) left.push(this.#unregister(subscription.address, deadlineMs));
    }
    this.#subscriptions.clear();
    await Promise.all(left);
  }

  #subscribe(address: string): void {
    if (this.#subscriptions.has(address) || this.#stopped) return;
    const subscription: Subscription = { address, timer: null, failures: 0, registered: false };
    this.#subscriptions.set(address, subscription);
    this.#register(subscription);
  }

  #register(subscription: Subscription): void {
    subscription.timer = null;
    if (!this.#directory.addresses.includes(subscription.address)) {
      this.#subscriptions.delete(subscription.address);
      return;
    }
    const client = this.#directory.client(subscription.address);
    const deadline = this.#clock.wallMs() + callTimeoutMs;
    client.registerUpstream({ ...this.#registration }, new Metadata(), { deadline }, (error, response) => {
      if (this.#stopped) return;
      if (error !== null) this.#failed(subscription, error.details);
      else this.#answered(subscription, response);
    });
  }

  #answered(subscription: Subscription, response: RegisterUpstreamResponse): void {
    const learned = this.#directory.learn(
      [...response.endpoints, response.error?.redirect ?? ''].filter((address) => address !== ''),
    );
    for (const address of learned) this.#subscribe(address);
    if (response.success) this.#accepted(subscription, response);
    else if (response.error?.code === ErrorCode.ERROR_NOT_PRIMARY) {
      this.#notPrimary(subscription);
      this.#again(subscription, notPrimaryMs);
    } else {
      const { code = ErrorCode.ERROR_INTERNAL, message = '' } = response.error ?? {};
      this.#failed(subscription, `${errorCodeName(code)} ${message}`);
    }
  }

  #accepted(subscription: Subscription, response: RegisterUpstreamResponse): void {
    const { address } = subscription;
    if (!subscription.registered) {
      this.#log.info({ gateway: address, zone: this.#registration.zoneId }, 'registered with gateway');
    }
    subscription.registered = true;
    subscription.failures = 0;
    this.#directory.accepted(address, Number(response.epoch), response.pairId);
    for (const resolve of this.#waiting.splice(0)) resolve();
    const leaseMs = response.leaseMs === 0 ? leaseDefaultMs : response.leaseMs;
    this.#again(subscription, Math.max(keepaliveMinMs, leaseMs / 3));
  }

  #failed(subscription: Subscription, why: string): void {
    this.#lost(subscription, why);
    const delayMs = Math.min(retryMinMs * 2 ** subscription.failures, retryMaxMs);
    subscription.failures += 1;
    this.#again(subscription, delayMs);
  }

  #lost(subscription: Subscription, why: string): void {
    const { address } = subscription;
    if (subscription.registered || subscription.failures === 0) {
      this.#log.warn({ gateway: address, zone: this.#registration.zoneId, why }, 'not registered with gateway');
    }
    subscription.registered = false;
    this.#directory.refused(address);
  }

  /** A backup's answer: nothing is wrong, the primary is asked too, and this one again in case it becomes that. */
  #notPrimary(subscription: Subscription): void {
    const { address } = subscription;
    if (subscription.registered) {
      this.#log.info({ gateway: address, zone: this.#registration.zoneId }, 'gateway is primary no more');
    }
    subscription.registered = false;
    subscription.failures = 0;
    this.#directory.refused(address);
  }

  #again(subscription: Subscription, delayMs: number): void {
    subscription.timer = setTimeout(() => this.#register(subscription), delayMs);
    subscription.timer.unref();
  }

  #unregister(address: string, deadlineMs: number): Promise<void> {
    const { zoneId, address: own, instanceId } = this.#registration;
    const deadline = this.#clock.wallMs() + deadlineMs;
    const request = { zoneId, address: own, instanceId };
    return new Promise((resolve) => {
      this.#directory.client(address).unregisterUpstream(request, new Metadata(), { deadline }, (error) => {
        if (error !== null) this.#log.debug({ gateway: address, error: error.details }, 'could not unregister');
        resolve();
      });
    });
  }
}
