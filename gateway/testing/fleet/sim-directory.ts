import type { ClaimOutcome, Directory, Placement } from '../../fleet/directory.ts';
import type { Random } from '../random.ts';
import type { VirtualClock } from '../virtual-clock.ts';

interface Entry {
  pairId: string;
  sessionId: string;
  generation: number;
}

/** What all gateways share, and how bad it is. */
export interface SimStore {
  readonly entries: Map<string, Entry>;
  /** How often an answer names another pair, or none. */
  lieRate: number;
  /** How often there is no answer. */
  silenceRate: number;
}

/** A directory that forgets, lies and stays silent. */
export class SimDirectory implements Directory {
  readonly kind = 'redis';
  #store: SimStore;
  #clock: VirtualClock;
  #random: Random;
  #pairIds: readonly string[];
  #lost: (() => void)[] = [];

  constructor(store: SimStore, clock: VirtualClock, random: Random, pairIds: readonly string[]) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
    this.#pairIds = pairIds;
  }

  async find(openids: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> {
    if (!(await this.#answers())) return undefined;
    const found = new Map<string, string>();
    for (const openid of openids) {
      const lies = this.#random.chance(this.#store.lieRate);
      const pairId = lies ? this.#anyPair() : this.#store.entries.get(openid)?.pairId;
      if (pairId !== undefined) found.set(openid, pairId);
    }
    return found;
  }

  async claim({ openid, pairId, sessionId, generation }: Placement, fresh: boolean): Promise<ClaimOutcome | undefined> {
    if (!(await this.#answers())) return undefined;
    const entry = this.#store.entries.get(openid);
    const known = entry?.generation ?? 0;
    const other = entry !== undefined && entry.sessionId !== sessionId && entry.pairId !== pairId;
    if (other && !fresh && generation < known) return { kind: 'superseded', pairId: entry.pairId };
    const next = fresh ? known + 1 : Math.max(known, generation);
    this.#store.entries.set(openid, { pairId, sessionId, generation: next });
    return { kind: 'held', generation: next };
  }

  async release(openid: string, sessionId: string): Promise<void> {
    if (!(await this.#answers())) return;
    if (this.#store.entries.get(openid)?.sessionId === sessionId) this.#store.entries.delete(openid);
  }

  onLost(listener: () => void): void {
    this.#lost.push(listener);
  }

  /** As after a restart of an empty store. */
  lose(): void {
    for (const listener of this.#lost) listener();
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}

  #answers(): Promise<boolean> {
    const answers = !this.#random.chance(this.#store.silenceRate);
    return new Promise((resolve) => this.#clock.schedule(this.#random.between(0, 20), () => resolve(answers)));
  }

  #anyPair(): string | undefined {
    return this.#pairIds[this.#random.between(0, this.#pairIds.length)];
  }
}
