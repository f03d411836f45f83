import {
  type Arbiter,
  type ArbiterAnswer,
  type ArbiterRequest,
  isNewer,
  type Lease,
  type LeaseContent,
  serverOf,
} from './arbiter.ts';
import type { LeaseGossip } from './pair-options.ts';

export interface StandaloneArbiterOptions {
  readonly serverId: string;
  /** Called when the peer should hear of the Lease at once, not with the next heartbeat. */
  readonly announce: () => void;
}

/**
 * The Lease of a pair without a cluster: each process keeps a copy, heartbeats carry it, the higher epoch wins when they
 * meet. A write that gives the other process a right (a place in the set, the shard itself) counts once that process has
 * it; one that takes a right away counts at once. That is the guarantee a standalone pair lacks: two processes that cannot
 * see each other can both be primary, until they meet.
 */
export class StandaloneArbiter implements Arbiter, LeaseGossip {
  #serverId: string;
  #announce: () => void;
  #lease: Lease | undefined;
  #offered: { readonly lease: Lease; readonly answered: (answer: ArbiterAnswer) => void } | undefined;

  constructor(options: StandaloneArbiterOptions) {
    this.#serverId = options.serverId;
    this.#announce = options.announce;
  }

  /** What heartbeats carry: also a write that waits for the peer. */
  get announced(): Lease | undefined {
    return this.#offered?.lease ?? this.#lease;
  }

  ask(request: ArbiterRequest, answered: (answer: ArbiterAnswer) => void): void {
    if (request.kind === 'read') return answered({ kind: 'lease', lease: this.#lease });
    const { expected, next } = request;
    if (expected?.token !== this.#lease?.token) return answered({ kind: 'conflict' });
    const lease = nextLease(this.#offered?.lease ?? this.#lease, next);
    // What was offered before and not taken may still be taken: a later revision settles that.
    this.#offered = undefined;
    if (this.#givesRights(next)) this.#offered = { lease, answered };
    else {
      this.#lease = lease;
      answered({ kind: 'swapped', lease });
    }
    this.#announce();
  }

  /** What the peer said it knows. @returns whether this process learned of a newer Lease. */
  heard(lease: Lease | undefined): boolean {
    if (lease === undefined) return false;
    const offered = this.#offered;
    if (offered !== undefined && lease.token === offered.lease.token) {
      this.#offered = undefined;
      this.#lease = offered.lease;
      offered.answered({ kind: 'swapped', lease });
      return false;
    }
    if (!isNewer(lease, this.#lease)) return false;
    this.#lease = lease;
    if (offered !== undefined && isNewer(lease, offered.lease)) {
      this.#offered = undefined;
      offered.answered({ kind: 'conflict' });
    }
    return true;
  }

  /** It names another process where the present Lease does not: that one has to know. */
  #givesRights(next: LeaseContent): boolean {
    const named = new Set([this.#lease?.holder, ...(this.#lease?.inSync ?? [])]);
    if (next.holder !== this.#lease?.holder && serverOf(next.holder) !== this.#serverId) return true;
    return next.inSync.some((member) => serverOf(member) !== this.#serverId && !named.has(member));
  }
}

function nextLease(previous: Lease | undefined, next: LeaseContent): Lease {
  const revision = (previous?.revision ?? 0) + 1;
  const { epoch, history, holder, inSync } = next;
  return { epoch, history, holder, inSync, revision, token: `${epoch}/${holder}/${revision}` };
}
