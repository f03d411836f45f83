/** What the arbiter keeps of one shard (design §5): who holds it, and who holds all that was committed. */
export interface LeaseContent {
  /** Counts promotions; compares only within one history's shard. */
  readonly epoch: number;
  /** Names the state since it last began empty. */
  readonly history: string;
  /** Incarnation of the primary. */
  readonly holder: string;
  readonly inSync: readonly string[];
}

export interface Lease extends LeaseContent {
  /** Rises with every write of ours. */
  readonly revision: number;
  /** What a compare-and-swap names; means something to the arbiter only. */
  readonly token: string;
}

export type ArbiterRequest =
  | { readonly kind: 'read' }
  /** @property expected the Lease that was seen; undefined makes the first one. */
  | { readonly kind: 'swap'; readonly expected: Lease | undefined; readonly next: LeaseContent };

/** `unknown`: the write may have happened, or may still happen (rule 2). */
export type ArbiterAnswer =
  | { readonly kind: 'lease'; readonly lease: Lease | undefined }
  | { readonly kind: 'swapped'; readonly lease: Lease }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'unknown' };

/** Keeps the Lease of one shard; every change is a compare-and-swap. */
export interface Arbiter {
  /** `answered` is called at most once, at once or later; never being called is an unknown outcome. */
  ask(request: ArbiterRequest, answered: (answer: ArbiterAnswer) => void): void;
}

/** A Lease seen later in its history of writes; within an epoch only its holder writes. */
export function isNewer(lease: Lease, than: Lease | undefined): boolean {
  if (than === undefined || lease.epoch !== than.epoch) return than === undefined || lease.epoch > than.epoch;
  if (lease.holder !== than.holder) return lease.holder > than.holder;
  return lease.revision > than.revision;
}

export function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}

/** An incarnation is named SERVER/ID: one start of that server with an empty state. */
export function serverOf(incarnation: string): string {
  return incarnation.slice(0, incarnation.lastIndexOf('/'));
}

export function nameIncarnation(serverId: string, id: string): string {
  return `${serverId}/${id}`;
}
