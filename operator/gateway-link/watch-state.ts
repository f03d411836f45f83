import type { GatewayStatus, ZoneStatus } from '../../proto/gen/admin.ts';
import type { GatewayObservation, GatewayTarget, LinkState } from './gateway-peer.ts';

/** A step of time longer than this was a stall of this process: it says nothing about the gateway. */
const stepMsMax = 250;

/** What is known of one gateway from the stream of its beats (design §5, "Who decides in Kubernetes"). Pure. */
export class WatchState {
  #target: GatewayTarget;
  #silenceMs: number;
  #state: LinkState = 'connecting';
  #sinceMs: number;
  #lastBeatMs: number | undefined;
  #lastTickMs: number;
  /** Without a beat, in time that this process has seen pass. */
  #quietMs = 0;
  #status: GatewayStatus | undefined;
  #tookLeave = false;
  #reason = 'not reached yet';

  /** @param silenceMs a gateway that is connected and says nothing for this long counts as lost. */
  constructor(target: GatewayTarget, silenceMs: number, nowMs: number) {
    this.#target = target;
    this.#silenceMs = silenceMs;
    this.#sinceMs = nowMs;
    this.#lastTickMs = nowMs;
  }

  get observation(): GatewayObservation {
    return {
      state: this.#state,
      sinceMs: this.#sinceMs,
      lastBeatMs: this.#lastBeatMs,
      status: this.#status,
      tookLeave: this.#tookLeave,
      reason: this.#reason,
    };
  }

  /** How long the stream has been open without a beat. */
  get quietMs(): number {
    return this.#quietMs;
  }

  /** What a change of is worth telling: all but what moves with every message. */
  get digest(): string {
    const status = this.#status;
    const link = `${this.#state} ${this.#tookLeave} ${this.#reason}`;
    if (status === undefined) return link;
    const { limits, zones, shards, serverId, incarnation, version, ready, draining, overloadState, zonesRevision } =
      status;
    const held = shards.map(({ logIndex: _log, commitIndex: _commit, ...rest }) => rest);
    const parts = {
      serverId,
      incarnation,
      version,
      ready,
      draining,
      overloadState,
      zonesRevision,
      limits,
      shards: held,
    };
    return [link, JSON.stringify(parts, numbersAsText), ...zones.map(zoneDigest), status.fleetMapVersion].join('\n');
  }

  /** A beat arrived. @returns why this is not the gateway that is meant; '' when it is. */
  beat(nowMs: number, status: GatewayStatus): string {
    const stranger = strangerOf(this.#target, status);
    if (stranger !== '') {
      this.lost(nowMs, stranger);
      return stranger;
    }
    this.#lastBeatMs = nowMs;
    this.#lastTickMs = nowMs;
    this.#quietMs = 0;
    this.#status = status;
    this.#tookLeave = false;
    this.#reason = '';
    this.#turn('connected', nowMs);
    return '';
  }

  /** A stream, or the attempt at one, failed: of one that was connected that is a reset, which counts at once. */
  lost(nowMs: number, reason: string): void {
    this.#reason = reason;
    this.#quietMs = 0;
    if (this.#state === 'connected') this.#turn('reset', nowMs);
  }

  /** The gateway ended the stream: its process stops in good order. */
  left(nowMs: number): void {
    if (this.#state === 'connecting') return this.lost(nowMs, 'the gateway is stopping');
    this.#tookLeave = true;
    this.#reason = 'the gateway took its leave';
    this.#turn('reset', nowMs);
  }

  /** Time passes; called a few times in each span of silence. */
  tick(nowMs: number): void {
    this.#quietMs += Math.min(Math.max(0, nowMs - this.#lastTickMs), stepMsMax);
    this.#lastTickMs = nowMs;
    if (this.#state !== 'connected' || this.#quietMs < this.#silenceMs) return;
    this.#reason = `no beat for ${this.#silenceMs} ms`;
    this.#turn('silent', nowMs);
  }

  #turn(state: LinkState, nowMs: number): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#sinceMs = nowMs;
  }
}

/** An address may have gone to another pod, and a name to another one of the same name. */
function strangerOf({ podName, podUid }: GatewayTarget, status: GatewayStatus): string {
  if (status.serverId !== podName) return `${status.serverId} answers at its address: expected ${podName}`;
  if (status.podUid === '' || status.podUid === podUid) return '';
  return `the pod with uid ${status.podUid} answers at its address: expected ${podUid}`;
}

function zoneDigest({ zoneId, uid, generation, endpoints }: ZoneStatus): string {
  const each = endpoints.map(({ address, weight, healthy }) => `${address} ${weight} ${healthy}`);
  return [zoneId, uid, generation, ...each].join(' ');
}

function numbersAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
