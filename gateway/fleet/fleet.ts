import type { FleetMap, FleetPair } from './fleet-map.ts';

/** How long a session may still be where an earlier map put it: a rebalancing at its usual pace is over by then. */
const earlierMapsKeptMs = 30 * 60_000;
const earlierMapsMax = 4;

/** A map that contradicts the one in force: same version, other content. */
class MapConflictError extends Error {
  override readonly name = 'MapConflictError';
}

export interface FleetOptions {
  /** The pair this gateway belongs to. */
  readonly pairId: string;
  readonly nowMs: () => number;
}

/** What this gateway knows of the fleet: the map in force and, for a while, those before it. Pure. */
export class Fleet {
  readonly pairId: string;
  #nowMs: () => number;
  #map: FleetMap | undefined;
  #earlier: { readonly map: FleetMap; readonly untilMs: number }[] = [];
  #listeners: (() => void)[] = [];

  constructor({ pairId, nowMs }: FleetOptions) {
    this.pairId = pairId;
    this.#nowMs = nowMs;
  }

  /** Undefined until one was handed out: everybody is at home here. */
  get map(): FleetMap | undefined {
    return this.#map;
  }

  get version(): number {
    return this.#map?.version ?? 0;
  }

  /** Called after each change of the map. */
  onMap(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Takes a map; one of a lower version is ignored.
   * @returns whether it was new.
   * @throws MapConflictError when it says something else than the map of this version that is in force.
   */
  setMap(map: FleetMap): boolean {
    const old = this.#map;
    if (old !== undefined && map.version <= old.version) {
      if (map.version < old.version || map.equals(old)) return false;
      throw new MapConflictError(`version ${map.version}: is in force with other pairs: expected a higher version`);
    }
    if (old !== undefined) {
      this.#earlier.unshift({ map: old, untilMs: this.#nowMs() + earlierMapsKeptMs });
      this.#earlier.length = Math.min(this.#earlier.length, earlierMapsMax);
    }
    this.#map = map;
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** The pair a user without a session belongs to; undefined when it is this one. */
  ownerElsewhere(openid: string): FleetPair | undefined {
    const owner = this.#map?.ownerOf(openid);
    return owner === undefined || owner.id === this.pairId ? undefined : owner;
  }

  isOwner(openid: string): boolean {
    return this.ownerElsewhere(openid) === undefined;
  }

  /** Another pair of the map in force. */
  otherPair(id: string): FleetPair | undefined {
    return id === this.pairId ? undefined : this.#map?.pair(id);
  }

  /** All pairs but this one. */
  otherPairs(): readonly FleetPair[] {
    return this.#map?.pairs.filter(({ id }) => id !== this.pairId) ?? [];
  }

  /**
   * Where a session of this user may be by the maps alone, the likeliest first: at its owner, or where an earlier map or a
   * pair that drains has it still. May name this pair.
   */
  placesOf(openid: string): readonly string[] {
    if (this.#map === undefined) return [this.pairId];
    const nowMs = this.#nowMs();
    const places = new Set([this.#map.ownerOf(openid).id]);
    for (const { map, untilMs } of this.#earlier) {
      if (untilMs > nowMs) places.add(map.ownerOf(openid).id);
    }
    // Without an earlier map (this process is younger) who drains says what it may have had.
    for (const { id, state } of this.#map.pairs) if (state === 'draining') places.add(id);
    return [...places].filter((id) => id === this.pairId || this.#map?.pair(id) !== undefined);
  }
}
