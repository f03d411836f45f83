import {
  type Arbiter,
  type ArbiterAnswer,
  type ArbiterRequest,
  type Lease,
  type LeaseContent,
  sameSet,
} from '../../replication/arbiter.ts';
import type { Random } from '../random.ts';
import { check } from '../sessions/ledger.ts';
import type { VirtualClock } from '../virtual-clock.ts';

export interface SimArbiterOptions {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** The process of this incarnation runs and holds its state. */
  readonly isAlive: (incarnation: string) => boolean;
  readonly changed: () => void;
}

/** The arbiter of a cluster: one Lease, compare-and-swap, requests and replies late or lost. */
export class SimArbiter {
  lease: Lease | undefined;
  /** Nobody reaches it. */
  down = false;
  lostReplies = 0;
  /**
   * A lost Lease was made again by one who could not know that it had left the set meanwhile: what the others had
   * promised alone is gone with them.
   */
  unproven = false;
  /** Nothing was written since the Lease was deleted or set back. */
  lost = false;
  #options: SimArbiterOptions;
  #token = 0;
  #written: Lease[] = [];

  constructor(options: SimArbiterOptions) {
    this.#options = options;
  }

  /** The arbiter as one process sees it. */
  seenBy(reachable: () => boolean): Arbiter {
    return {
      ask: (request, answered) => {
        const { clock, random } = this.#options;
        const late = random.chance(this.lostReplies / 2) ? random.between(300, 1_500) : 0;
        clock.schedule(random.between(1, 15) + late, () => {
          if (this.down || !reachable()) return;
          const answer = this.answer(request);
          if (random.chance(this.lostReplies)) return;
          clock.schedule(random.between(1, 15), () => reachable() && answered(answer));
        });
      },
    };
  }

  answer(request: ArbiterRequest): ArbiterAnswer {
    if (request.kind === 'read') return { kind: 'lease', lease: this.lease };
    const { expected, next } = request;
    if (expected?.token !== this.lease?.token) return { kind: 'conflict' };
    this.#checkSwap(this.lease, next);
    this.#write(next);
    return { kind: 'swapped', lease: this.lease as Lease };
  }

  /** Somebody deletes the Lease, or puts an old one back. */
  lose(): void {
    if (this.lease === undefined) return;
    this.lost = true;
    const old = this.#written[this.#options.random.between(0, this.#written.length - 1)];
    if (old === this.lease || this.#options.random.chance(0.7)) this.lease = undefined;
    else this.lease = old;
    this.#options.changed();
  }

  #write(next: LeaseContent): void {
    this.#token += 1;
    this.lease = { ...next, revision: this.#token, token: String(this.#token) };
    this.#written.push(this.lease);
    this.lost = false;
    this.#options.changed();
  }

  #checkSwap(was: Lease | undefined, next: LeaseContent): void {
    const { isAlive } = this.#options;
    const last = this.#written.at(-1);
    if (this.lost && last !== undefined && next.epoch !== was?.epoch) {
      this.unproven ||=
        next.epoch <= last.epoch || (next.history === last.history && !last.inSync.includes(next.holder));
      return check(
        sameSet(next.inSync, [next.holder]),
        'rule 3',
        () => `epoch ${next.epoch} began with ${next.inSync}`,
      );
    }
    if (was === undefined) return;
    if (next.epoch === was.epoch) {
      const same = next.holder === was.holder && next.history === was.history;
      return check(same, 'I1', () => `${next.holder} wrote epoch ${next.epoch} of ${was.holder}`);
    }
    check(next.epoch > was.epoch, 'I1', () => `epoch ${next.epoch} after ${was.epoch}`);
    check(sameSet(next.inSync, [next.holder]), 'rule 3', () => `epoch ${next.epoch} began with ${next.inSync}`);
    if (next.history === was.history) {
      return check(was.inSync.includes(next.holder), 'I4', () => `${next.holder} was promoted out of ${was.inSync}`);
    }
    const survivor = was.inSync.find(isAlive);
    check(survivor === undefined, 'rule 14', () => `a history was given up while ${survivor} lives`);
  }
}
