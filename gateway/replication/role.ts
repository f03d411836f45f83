import { type ArbiterRequest, type Lease, sameSet, serverOf } from './arbiter.ts';
import type { MissingLease } from './lease-client.ts';
import type { PairMode, PeerStatus } from './peer-messages.ts';

/** What this gateway holds: nothing, part of a copy, a whole copy, or the shard itself. */
export type Phase = 'empty' | 'copying' | 'holding' | 'primary';

export interface RoleSettings {
  readonly serverId: string;
  readonly mode: PairMode;
  /** `own`: no arbiter outside the two processes; only `mode: primary` begins a history then. */
  readonly arbiter: 'shared' | 'own';
  /** How long an in-sync backup that has lost the primary waits for somebody else's decision (rule 13). */
  readonly promoteAfterMs: number;
  /** After this long without any in-sync incarnation to be reached a new history begins (rule 14). */
  readonly resetAfterMs: number;
  /** How long a starter waits for its peer before it begins alone. */
  readonly startAloneAfterMs: number;
}

/** What a gateway sees of its shard at one moment. */
export interface Observation {
  readonly incarnation: string;
  readonly phase: Phase;
  /** Of the state held. */
  readonly epoch: number;
  readonly history: string;
  /** The history this gateway asked the arbiter to begin, '' for none. */
  readonly beginning: string;
  /** The arbiter answered at least once. */
  readonly leaseKnown: boolean;
  readonly lease: Lease | undefined;
  /** When `lease` was first seen. */
  readonly leaseSeenMs: number;
  /** How long nobody has written it. */
  readonly leaseUnchangedMs: number;
  /** Its history was first seen with its epoch. */
  readonly leaseBeginsHistory: boolean;
  /** The arbiter has lost `lease`. */
  readonly missing: MissingLease | undefined;
  readonly peer: {
    readonly status: PeerStatus | undefined;
    /** The status was said after this moment. */
    readonly confirmedAtMs: number;
    readonly lost: boolean;
    /** How long it has been lost, or unheard of since the start. */
    readonly lostForMs: number;
  };
}

export type Decision =
  | { readonly kind: 'wait'; readonly reason: string }
  | { readonly kind: 'lead'; readonly lease: Lease }
  /** The primary goes on in the epoch of the Lease that it made again. */
  | { readonly kind: 'renew'; readonly lease: Lease }
  /** Makes a lost Lease again, above every known epoch. */
  | { readonly kind: 'restore'; readonly missing: MissingLease; readonly lease: Lease }
  | { readonly kind: 'step-down'; readonly reason: string }
  | { readonly kind: 'discard'; readonly reason: string }
  | { readonly kind: 'promote'; readonly lease: Lease }
  | { readonly kind: 'begin'; readonly lease: Lease | undefined }
  | { readonly kind: 'follow'; readonly primary: string };

const wait = (reason: string): Decision => ({ kind: 'wait', reason });

/** The next step of a gateway's role, from what it sees; taking it twice does no harm. */
export function decide(seen: Observation, settings: RoleSettings): Decision {
  const { lease } = seen;
  if (!seen.leaseKnown) return wait('the arbiter has not answered yet');
  if (seen.phase === 'primary') return asPrimary(seen, lease);
  if (lease === undefined) return withoutLease(seen, settings);
  if (lease.holder === seen.incarnation && seen.missing === undefined) return asHolder(seen, lease);
  if (seen.phase !== 'empty' && (lease.epoch > seen.epoch || lease.history !== seen.history)) {
    return { kind: 'discard', reason: `epoch ${lease.epoch} began: this state is of epoch ${seen.epoch}` };
  }
  const dead = isDead(seen, settings, lease.holder);
  if (seen.phase === 'holding' && lease.inSync.includes(seen.incarnation)) {
    if (dead || seen.peer.lost) return promoteWhenDue(seen, settings, lease, dead);
  } else if (mayBegin(seen, settings, lease)) {
    if (seen.phase === 'empty') return { kind: 'begin', lease };
    return { kind: 'discard', reason: 'nobody is left who holds what this copy lacks' };
  }
  return followHolder(seen, lease);
}

function asPrimary(seen: Observation, lease: Lease | undefined): Decision {
  if (lease === undefined) return wait('primary; the Lease is gone');
  if (seen.missing !== undefined) return { kind: 'restore', missing: seen.missing, lease };
  const own = lease.holder === seen.incarnation && lease.history === seen.history;
  if (lease.epoch > seen.epoch && own) return { kind: 'renew', lease };
  if (lease.epoch > seen.epoch) return { kind: 'step-down', reason: `${lease.holder} holds epoch ${lease.epoch}` };
  if (lease.epoch === seen.epoch && lease.holder !== seen.incarnation) {
    return { kind: 'step-down', reason: `${lease.holder} holds the Lease` };
  }
  return wait('primary');
}

/**
 * The Lease names this incarnation: it leads if it holds what the Lease says it holds (I4). An empty one can be named for
 * a history that begins with it only, by itself or by the operator.
 */
function asHolder(seen: Observation, lease: Lease): Decision {
  const holds = seen.phase === 'holding' && seen.history === lease.history;
  const isNew = seen.beginning === lease.history || seen.leaseBeginsHistory;
  const begins = seen.phase === 'empty' && isNew && sameSet(lease.inSync, [seen.incarnation]);
  if (holds || begins) return { kind: 'lead', lease };
  return { kind: 'discard', reason: 'the Lease names this incarnation, which does not hold its state' };
}

/** Somebody else than this incarnation lives where it lived; known for sure once said after the Lease was seen. */
function isDead(seen: Observation, settings: RoleSettings, incarnation: string): boolean {
  if (incarnation === seen.incarnation) return false;
  if (serverOf(incarnation) === settings.serverId) return true;
  const { status, confirmedAtMs } = seen.peer;
  if (status === undefined || serverOf(incarnation) !== status.serverId) return false;
  return status.incarnation !== incarnation && confirmedAtMs >= seen.leaseSeenMs;
}

function promoteWhenDue(seen: Observation, settings: RoleSettings, lease: Lease, dead: boolean): Decision {
  // Without anybody else to decide there is nobody to wait for.
  if (settings.arbiter === 'own' || dead || seen.peer.lostForMs >= settings.promoteAfterMs) {
    if (seen.missing !== undefined) return { kind: 'restore', missing: seen.missing, lease };
    return { kind: 'promote', lease };
  }
  return wait('the primary is lost; another may decide first');
}

/** Rule 14: every in-sync incarnation is dead, or none was reachable for long. */
function mayBegin(seen: Observation, settings: RoleSettings, lease: Lease): boolean {
  if (settings.arbiter === 'own' && settings.mode !== 'primary') return false;
  if (lease.inSync.every((incarnation) => isDead(seen, settings, incarnation))) return true;
  // A primary that only this gateway does not reach writes the Lease again and again meanwhile.
  const unreachableMs =
    settings.arbiter === 'own' ? seen.peer.lostForMs : Math.min(seen.peer.lostForMs, seen.leaseUnchangedMs);
  return seen.peer.lost && unreachableMs >= settings.resetAfterMs;
}

function withoutLease(seen: Observation, settings: RoleSettings): Decision {
  const { status, lost, lostForMs } = seen.peer;
  const wishes = settings.mode === 'primary';
  // Where the arbiter lets one win, the other may begin too when the one that should does not.
  if (!wishes && settings.arbiter === 'own') return wait('no Lease yet: waiting for a primary');
  if (status !== undefined && !lost) {
    if (status.complete || status.role === 'primary') return wait('the peer holds state: waiting for its Lease');
    return wishes || status.mode !== 'primary' ? { kind: 'begin', lease: undefined } : wait('the peer begins');
  }
  const patienceMs = wishes ? settings.startAloneAfterMs : 2 * settings.startAloneAfterMs;
  if (lostForMs >= patienceMs) return { kind: 'begin', lease: undefined };
  return wait('asking the peer before beginning alone');
}

function followHolder(seen: Observation, lease: Lease): Decision {
  const { status } = seen.peer;
  if (status === undefined || status.incarnation !== lease.holder || status.role !== 'primary') {
    return wait(`waiting for ${lease.holder}`);
  }
  return { kind: 'follow', primary: lease.holder };
}

/** Rule 3: one compare-and-swap, on the version that showed this incarnation in-sync. */
export function promotionOf(lease: Lease, incarnation: string): ArbiterRequest {
  const next = { epoch: lease.epoch + 1, history: lease.history, holder: incarnation, inSync: [incarnation] };
  return { kind: 'swap', expected: lease, next };
}

/** Rule 14: a new history, above every epoch that was heard of. */
export function beginningOf(seen: Observation, history: string, wallMs: number): ArbiterRequest {
  const { incarnation } = seen;
  const expected = seen.missing === undefined ? seen.lease : seen.missing.present;
  const epoch = epochAbove(seen, wallMs);
  return { kind: 'swap', expected, next: { epoch, history, holder: incarnation, inSync: [incarnation] } };
}

/** A lost Lease made again: the same history, above every epoch that was heard of. */
export function restorationOf(
  seen: Observation,
  { present }: MissingLease,
  { history }: Lease,
  wallMs: number,
): ArbiterRequest {
  const { incarnation } = seen;
  const next = { epoch: epochAbove(seen, wallMs), history, holder: incarnation, inSync: [incarnation] };
  return { kind: 'swap', expected: present, next };
}

/** The wall clock keeps it above what nobody here has heard of. */
function epochAbove({ lease, missing, peer, epoch }: Observation, wallMs: number): number {
  const { status } = peer;
  const heard = Math.max(
    epoch,
    lease?.epoch ?? 0,
    missing?.present?.epoch ?? 0,
    status?.epoch ?? 0,
    status?.lease?.epoch ?? 0,
  );
  return Math.max(Math.floor(wallMs / 1_000), heard + 1);
}
