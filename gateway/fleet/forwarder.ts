import type { ForwardCall } from '../../proto/gen/fleet.ts';
import type { FleetPair } from './fleet-map.ts';
import { type CallOptions, PairLink, type PairLinkOptions } from './pair-link.ts';

/** Said of a call to a pair of which nothing is known any more. */
const noLink = 'unreachable';

export type ForwarderOptions = Omit<PairLinkOptions, 'endpoints'>;

/** The links to all other pairs of the map, opened when they are first used. */
export class Forwarder {
  #options: ForwarderOptions;
  #links = new Map<string, PairLink>();
  #pairs = new Map<string, FleetPair>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** Calls that have no result yet. */
  get pending(): number {
    let pending = 0;
    for (const link of this.#links.values()) pending += link.pending;
    return pending;
  }

  /** The other pairs, as of a new map. What is under way to one that is gone ends as unknown. */
  setPairs(pairs: readonly FleetPair[]): void {
    this.#pairs = new Map(pairs.map((pair) => [pair.id, pair]));
    for (const [id, link] of this.#links) {
      const pair = this.#pairs.get(id);
      if (pair !== undefined) link.setEndpoints(pair.zoneEndpoints);
      else {
        this.#links.delete(id);
        link.close();
      }
    }
  }

  /** Sends a call to a pair; `options.done` is called once. */
  call(pairId: string, call: ForwardCall, options: CallOptions): void {
    const link = this.#links.get(pairId) ?? this.#open(pairId);
    if (link === undefined) options.done(noLink);
    else link.call(call, options);
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#pairs.clear();
  }

  #open(pairId: string): PairLink | undefined {
    const pair = this.#pairs.get(pairId);
    if (pair === undefined) return undefined;
    const link = new PairLink({ ...this.#options, endpoints: pair.zoneEndpoints });
    this.#links.set(pairId, link);
    return link;
  }
}
