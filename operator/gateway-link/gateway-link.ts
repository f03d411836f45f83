import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  status as grpcStatus,
  Metadata,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import {
  AdminServiceClient,
  type DemoteResponse,
  type DrainResponse,
  type GatewayStatus,
  type OverloadLimits,
  type PromoteResponse,
  type SetOverloadLimitsResponse,
  type SetZonesRequest,
  type SetZonesResponse,
} from '../../proto/gen/admin.ts';
import { backoffMs } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import {
  type ConnectGateway,
  type DemoteOrder,
  GatewayLinkError,
  type GatewayObservation,
  type GatewayPeer,
  type GatewayTarget,
} from './gateway-peer.ts';
import { WatchState } from './watch-state.ts';

/** An attempt that brings no beat within this time is given up. */
const connectMs = 3_000;
const redialMs = { firstMs: 50, maxMs: 2_000 };
/** A stream that stayed silent this much longer is given up as well: its connection may be the dead part. */
const silentMsMin = 2_000;
const callMs = 2_000;
const messageBytesMax = 4_194_304;

/** PEM texts: whom to believe, and whom to be. */
export interface LinkTls {
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
}

export interface GatewayLinkOptions {
  /**
   * Read for each connection, so that new certificates are taken up; undefined while there are none.
   * `plaintext` is for tests on one machine.
   */
  readonly tls: (target: GatewayTarget) => LinkTls | 'plaintext' | undefined;
  /** How often a gateway is asked to beat; a third of `silenceMs` or less. */
  readonly intervalMs: number;
  /** Silence after which a connected gateway counts as lost. */
  readonly silenceMs: number;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: CallOptions,
  answered: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/** @returns what makes and watches the link to one pod. */
export function connectGateways(options: GatewayLinkOptions): ConnectGateway {
  return (target, changed) => new GatewayLink(options, target, changed);
}

/** The operator's connection to one pod: a stream of beats, and calls beside it. It dials again until it is closed. */
class GatewayLink implements GatewayPeer {
  readonly target: GatewayTarget;
  #options: GatewayLinkOptions;
  #changed: () => void;
  #state: WatchState;
  #told: string;
  #client: AdminServiceClient | undefined;
  #stream: ClientReadableStream<GatewayStatus> | undefined;
  #failures = 0;
  #cancelTick: () => void;
  #cancelDial: () => void = () => {};
  #closed = false;

  constructor(options: GatewayLinkOptions, target: GatewayTarget, changed: () => void) {
    this.target = target;
    this.#options = options;
    this.#changed = changed;
    this.#state = new WatchState(target, options.silenceMs, options.clock.nowMs());
    this.#told = this.#state.digest;
    this.#cancelTick = options.clock.after(0, () => this.#tick());
    this.#dial();
  }

  observation(nowMs: number): GatewayObservation {
    this.#state.tick(nowMs);
    return this.#state.observation;
  }

  setZones(zones: SetZonesRequest): Promise<SetZonesResponse> {
    return this.#call('SetZones', callMs, (client) => client.setZones.bind(client), zones);
  }

  setLimits(limits: OverloadLimits): Promise<SetOverloadLimitsResponse> {
    return this.#call('SetOverloadLimits', callMs, (client) => client.setOverloadLimits.bind(client), { limits });
  }

  promote(shardId: string, epoch: number, incarnation: string): Promise<PromoteResponse> {
    const request = { shardId, epoch: BigInt(epoch), incarnation };
    return this.#call('Promote', callMs, (client) => client.promote.bind(client), request);
  }

  demote({ shardId, epoch, successor, deadlineMs }: DemoteOrder): Promise<DemoteResponse> {
    const request = { shardId, epoch: BigInt(epoch), successor, deadlineMs };
    return this.#call('Demote', deadlineMs + callMs, (client) => client.demote.bind(client), request);
  }

  drain(deadlineMs: number, sessionsPerSecond: number): Promise<DrainResponse> {
    return this.#call('Drain', callMs, (client) => client.drain.bind(client), { deadlineMs, sessionsPerSecond });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTick();
    this.#cancelDial();
    this.#hangUp();
  }

  #tick(): void {
    const { clock, intervalMs, silenceMs } = this.#options;
    this.#state.tick(clock.nowMs());
    const { quietMs, observation } = this.#state;
    const limitMs = observation.state === 'silent' ? silenceMs + Math.max(silentMsMin, 2 * silenceMs) : connectMs;
    const waits = observation.state !== 'connected' && this.#stream !== undefined;
    if (waits && quietMs >= limitMs) this.#failed(`no answer within ${Math.round(quietMs)} ms`);
    this.#tell();
    this.#cancelTick = clock.after(Math.min(intervalMs, silenceMs / 4), () => this.#tick());
  }

  #dial(): void {
    const { tls, intervalMs, clock } = this.#options;
    const secrets = tls(this.target);
    if (secrets === undefined) return this.#failed('no certificates for this gateway yet');
    const client = new AdminServiceClient(
      this.target.address,
      secrets === 'plaintext' ? credentials.createInsecure() : tlsCredentials(secrets),
      channelOptions(secrets === 'plaintext' ? '' : this.target.tlsName),
    );
    this.#client = client;
    const stream = client.watch({ intervalMs });
    this.#stream = stream;
    const isOver = () => this.#stream !== stream;
    stream.on('data', (status: GatewayStatus) => {
      if (isOver()) return;
      const stranger = this.#state.beat(clock.nowMs(), status);
      if (stranger !== '') return this.#failed(stranger);
      this.#failures = 0;
      this.#tell();
    });
    stream.on('error', (error: ServiceError) => {
      if (!isOver()) this.#failed(`${grpcStatus[error.code] ?? error.code}: ${error.details}`);
    });
    // An error has its own event: a status of OK is a gateway that took its leave.
    stream.on('status', ({ code }: StatusObject) => {
      if (isOver() || code !== grpcStatus.OK) return;
      this.#state.left(clock.nowMs());
      this.#again();
    });
  }

  #failed(reason: string): void {
    this.#state.lost(this.#options.clock.nowMs(), reason);
    this.#again();
  }

  #again(): void {
    if (this.#closed) return;
    this.#hangUp();
    this.#failures += 1;
    this.#tell();
    const { clock, random } = this.#options;
    this.#cancelDial();
    this.#cancelDial = clock.after(backoffMs(redialMs, this.#failures, random()), () => this.#dial());
  }

  #hangUp(): void {
    const [stream, client] = [this.#stream, this.#client];
    this.#stream = undefined;
    this.#client = undefined;
    // Ended by itself or not: a cancelled one says so once more.
    stream?.on('error', () => {});
    stream?.cancel();
    client?.close();
  }

  #tell(): void {
    const { digest } = this.#state;
    if (digest === this.#told || this.#closed) return;
    this.#told = digest;
    this.#changed();
  }

  #call<Request, Response>(
    name: string,
    withinMs: number,
    method: (client: AdminServiceClient) => Unary<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const client = this.#client;
    const fail = (why: string) => new GatewayLinkError(`${this.target.podName}: ${name}: ${why}`);
    if (client === undefined) return Promise.reject(fail(this.#state.observation.reason));
    return new Promise((resolve, reject) => {
      // grpc-js counts a deadline by the wall clock.
      const options = { deadline: this.#options.clock.wallMs() + withinMs };
      method(client)(request, new Metadata(), options, (error, response) => {
        if (error === null) resolve(response);
        else reject(fail(`${grpcStatus[error.code] ?? error.code}: ${error.details}`));
      });
    });
  }
}

/** A TLS context is some 100 KB outside of the heap, and unreachable pods are dialled again and again. */
const madeCredentials = new WeakMap<LinkTls, ChannelCredentials>();

/** The same for the same object. */
function tlsCredentials(tls: LinkTls): ChannelCredentials {
  const known = madeCredentials.get(tls);
  if (known !== undefined) return known;
  const { authority, certificate, privateKey } = tls;
  const made = credentials.createSsl(Buffer.from(authority), Buffer.from(privateKey), Buffer.from(certificate));
  madeCredentials.set(tls, made);
  return made;
}

/** @param tlsName the name that the certificate must carry: pods are dialled by address. */
function channelOptions(tlsName: string): ChannelOptions {
  return {
    ...(tlsName === '' ? {} : { 'grpc.ssl_target_name_override': tlsName, 'grpc.default_authority': tlsName }),
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.use_local_subchannel_pool': 1,
  };
}
