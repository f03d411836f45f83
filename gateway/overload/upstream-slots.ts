import { AdaptiveLimit } from './adaptive-limit.ts';

export type SlotRefusal = 'max_upstream_concurrent' | 'zone_share' | 'zone_adaptive';

interface ZoneSlots {
  inFlight: number;
  readonly adaptive: AdaptiveLimit | undefined;
}

export interface UpstreamSlotsOptions {
  readonly max: number;
  /** From here on a zone that has its fair share already gets no more. */
  readonly warning: number;
  /** Zones the users are spread over; with one there is nothing to share. */
  readonly zoneCount: number;
  /** Share of the slots that one zone may ever take, 0 to 1. */
  readonly zoneShare: number;
  readonly adaptive: boolean;
}

/** Share of the slots that only requests of high priority may take. */
const highPriorityShare = 0.05;

/** Requests that wait for zones: one limit for all, and a fair share for each zone once slots become scarce. */
export class UpstreamSlots {
  #max: number;
  #warning: number;
  readonly #zoneCount: number;
  #zoneShare: number;
  readonly #adaptive: boolean;
  readonly #zones = new Map<string, ZoneSlots>();
  #inFlight = 0;
  #busyZones = 0;

  constructor(options: UpstreamSlotsOptions) {
    this.#max = options.max;
    this.#warning = options.warning;
    this.#zoneCount = options.zoneCount;
    this.#zoneShare = options.zoneShare;
    this.#adaptive = options.adaptive;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  inFlightOf(zoneId: string): number {
    return this.#zones.get(zoneId)?.inFlight ?? 0;
  }

  configure(max: number, warning: number, zoneShare: number): void {
    this.#max = max;
    this.#warning = warning;
    this.#zoneShare = zoneShare;
    for (const zone of this.#zones.values()) zone.adaptive?.setMaxLimit(max);
  }

  /** Whether one more request may go to the zone; undefined when it may. */
  refusal(zoneId: string, high: boolean): SlotRefusal | undefined {
    const usable = high ? this.#max : this.#max - Math.floor(this.#max * highPriorityShare);
    if (this.#inFlight >= usable) {
      return 'max_upstream_concurrent';
    }
    const zone = this.#zones.get(zoneId);
    if (zone === undefined || zone.inFlight === 0) {
      return undefined;
    }
    if (this.#zoneCount > 1 && zone.inFlight >= this.#zoneLimit()) {
      return 'zone_share';
    }
    return zone.adaptive !== undefined && zone.inFlight >= zone.adaptive.limit ? 'zone_adaptive' : undefined;
  }

  started(zoneId: string): void {
    let zone = this.#zones.get(zoneId);
    if (zone === undefined) {
      zone = { inFlight: 0, adaptive: this.#adaptive ? this.#newAdaptive() : undefined };
      this.#zones.set(zoneId, zone);
    }
    if (zone.inFlight === 0) {
      this.#busyZones += 1;
    }
    zone.inFlight += 1;
    this.#inFlight += 1;
  }

  /** A finish without its start is ignored. */
  finished(zoneId: string, durationMs: number, ok: boolean): void {
    const zone = this.#zones.get(zoneId);
    if (zone === undefined || zone.inFlight === 0) {
      return;
    }
    zone.adaptive?.finished(durationMs, zone.inFlight, ok);
    zone.inFlight -= 1;
    this.#inFlight -= 1;
    if (zone.inFlight === 0) {
      this.#busyZones -= 1;
      if (!this.#adaptive) {
        this.#zones.delete(zoneId);
      }
    }
  }

  /** Once slots are scarce it is the fair share; a lone busy zone leaves room for one that may come. */
  #zoneLimit(): number {
    const share = Math.ceil(this.#max * this.#zoneShare);
    return this.#inFlight < this.#warning
      ? share
      : Math.min(share, Math.ceil(this.#max / Math.max(2, this.#busyZones)));
  }

  #newAdaptive(): AdaptiveLimit {
    return new AdaptiveLimit({
      initialLimit: Math.min(20, this.#max),
      minLimit: Math.min(4, this.#max),
      maxLimit: this.#max,
    });
  }
}
