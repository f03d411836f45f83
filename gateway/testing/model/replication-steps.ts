import type { ModelBounds } from './rules.ts';
import {
  advanceCommit,
  at,
  clearGateway,
  epochMax,
  g,
  get,
  holdsLease,
  part,
  role,
  type State,
  swap,
} from './state.ts';

/** A step of gateway `n`: the state after it, or undefined when it cannot be taken. Never changes `state`. */
export type GatewayStep = (state: State, n: number, bounds: ModelBounds) => State | undefined;

/** Gateway `o` holds a copy of what primary `n` sends in this epoch. */
export function follows(state: State, o: number, n: number): boolean {
  const p = part(n);
  const q = part(o);
  return (
    get(state, q + g.role) === role.following &&
    get(state, q + g.epoch) === get(state, p + g.epoch) &&
    get(state, p + g.member) === get(state, q + g.inc)
  );
}

const isPrimary = (state: State, n: number): boolean => get(state, part(n) + g.role) === role.primary;

/** A standby says hello: from now on its incarnation is a member that has acknowledged nothing. */
function attach(state: State, n: number): State | undefined {
  const [p, q] = [part(n), part(1 - n)];
  if (!isPrimary(state, n) || get(state, at.link) === 0 || get(state, q + g.role) !== role.standby) return undefined;
  // Whoever has asked to begin a new history follows nobody until it knows the outcome.
  if (holdsLease(state, 1 - n)) return undefined;
  // I1: a standby has read the Lease and takes nothing of a lower epoch.
  if (get(state, p + g.epoch) < get(state, at.leaseEpoch)) return undefined;
  const next = state.slice();
  next[p + g.member] = get(state, q + g.inc);
  next[p + g.acked] = 0;
  next[q + g.role] = role.syncing;
  next[q + g.epoch] = get(state, p + g.epoch);
  next[q + g.history] = get(state, p + g.history);
  return next;
}

function sendSnapshot(state: State, n: number): State | undefined {
  const [p, q] = [part(n), part(1 - n)];
  if (!isPrimary(state, n) || get(state, at.link) === 0 || get(state, q + g.role) !== role.syncing) return undefined;
  if (get(state, p + g.member) !== get(state, q + g.inc) || get(state, p + g.epoch) !== get(state, q + g.epoch)) {
    return undefined;
  }
  const next = state.slice();
  next[q + g.role] = role.following;
  next.copyWithin(q + g.length, p + g.length, p + g.log + 2);
  next.copyWithin(q + g.ends, p + g.ends, p + g.ends + epochMax - 1);
  return next;
}

function replicate(state: State, n: number): State | undefined {
  const [p, q] = [part(n), part(1 - n)];
  if (!isPrimary(state, n) || get(state, at.link) === 0 || !follows(state, 1 - n, n)) return undefined;
  const held = get(state, q + g.length);
  if (held >= get(state, p + g.length)) return undefined;
  const next = state.slice();
  next[q + g.log + held] = get(state, p + g.log + held);
  next[q + g.length] = held + 1;
  return next;
}

/** The follower `n` acknowledges; the acknowledgement may be under way for as long as it likes. */
function acknowledge(state: State, n: number): State | undefined {
  const q = part(n);
  if (get(state, at.link) === 0 || get(state, q + g.role) !== role.following) return undefined;
  const index = get(state, q + g.length) + 1;
  const inc = get(state, q + g.inc);
  const epoch = get(state, q + g.epoch);
  if (get(state, at.ackTo) === 2 - n && get(state, at.ackInc) === inc && get(state, at.ackIndex) === index) {
    if (get(state, at.ackEpoch) === epoch) return undefined;
  }
  if (isPrimary(state, 1 - n) && get(state, part(1 - n) + g.member) === inc) {
    if (get(state, part(1 - n) + g.acked) === index) return undefined;
  }
  const next = state.slice();
  next[at.ackTo] = 2 - n;
  next[at.ackInc] = inc;
  next[at.ackEpoch] = epoch;
  next[at.ackHistory] = get(state, q + g.history);
  next[at.ackIndex] = index;
  return next;
}

function receiveAcknowledgement(state: State, n: number, bounds: ModelBounds): State | undefined {
  if (get(state, at.ackTo) !== n + 1 || get(state, at.link) === 0) return undefined;
  const p = part(n);
  const next = state.slice();
  next.fill(0, at.ackTo, at.ackIndex + 1);
  const named =
    bounds.without === '1-acknowledgement-names-incarnation' ||
    (get(state, at.ackInc) === get(state, p + g.member) &&
      get(state, at.ackEpoch) === get(state, p + g.epoch) &&
      get(state, at.ackHistory) === get(state, p + g.history));
  if (isPrimary(state, n) && get(state, p + g.member) !== 0 && named) {
    const index = Math.min(get(state, at.ackIndex), get(state, p + g.length) + 1);
    if (index > get(state, p + g.acked)) next[p + g.acked] = index;
    advanceCommit(next, n, bounds);
  }
  return next;
}

/** The required member does not answer, or nobody knows whether it is one. */
function stalled(state: State, n: number): boolean {
  const p = part(n);
  if (get(state, p + g.unknown) === 1) return true;
  const required = get(state, p + g.required);
  if (required === 0 && get(state, p + g.confirmed) === 0) return false;
  return get(state, at.link) === 0 || required !== get(state, p + g.member) || !follows(state, 1 - n, n);
}

function askSwap(state: State, n: number, set: number): State {
  const p = part(n);
  const next = state.slice();
  next[p + g.swap] = swap.sent;
  next[p + g.swapFresh] = get(state, p + g.fresh);
  next[p + g.swapSet] = set;
  return next;
}

/** Rule 1: required from before the write that adds it, once it has acknowledged the commit index. */
function askToAdd(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  const member = get(state, p + g.member);
  if (!isPrimary(state, n) || member === 0 || get(state, p + g.swap) !== swap.none) return undefined;
  const required = get(state, p + g.required);
  if (get(state, p + g.confirmed) !== 0 && get(state, p + g.unknown) === 0) return undefined;
  if (required !== 0 && required !== member) return undefined;
  if (get(state, p + g.acked) <= get(state, p + g.committed)) return undefined;
  const next = askSwap(state, n, member);
  if (bounds.without !== '1-required-before-added') next[p + g.required] = member;
  advanceCommit(next, n, bounds);
  return next;
}

function askToRemove(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  if (!isPrimary(state, n) || get(state, p + g.swap) !== swap.none || !stalled(state, n)) return undefined;
  const next = askSwap(state, n, 0);
  if (bounds.without === '1-required-until-removed') next[p + g.required] = 0;
  advanceCommit(next, n, bounds);
  return next;
}

/** Standalone only: no arbiter to ask, the primary goes on alone on its own word. */
function removeAlone(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  if (!bounds.standalone || !isPrimary(state, n) || get(state, p + g.required) === 0) return undefined;
  if (!stalled(state, n)) return undefined;
  const next = state.slice();
  next[p + g.required] = 0;
  next[p + g.confirmed] = 0;
  next[p + g.swap] = swap.none;
  next[p + g.unknown] = 0;
  advanceCommit(next, n, bounds);
  return next;
}

function receiveSwapReply(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  const phase = get(state, p + g.swap);
  if (phase !== swap.done && phase !== swap.refused) return undefined;
  const next = state.slice();
  next[p + g.swap] = swap.none;
  next[p + g.swapFresh] = 0;
  next[p + g.swapSet] = 0;
  if (phase === swap.done) {
    const set = get(state, p + g.swapSet);
    next[p + g.confirmed] = set;
    next[p + g.required] = set;
    next[p + g.unknown] = 0;
    next[p + g.fresh] = get(state, p + g.swapFresh);
    advanceCommit(next, n, bounds);
  } else if (bounds.without === '2-loser-reads-again' || !holds(state, n)) stepDown(next, n);
  else next[p + g.fresh] = 1;
  return next;
}

/** The Lease names this gateway and its epoch. */
function holds(state: State, n: number): boolean {
  const p = part(n);
  return (
    get(state, at.leaseHolder) === n &&
    get(state, at.leaseHolderInc) === get(state, p + g.inc) &&
    get(state, at.leaseEpoch) === get(state, p + g.epoch)
  );
}

/** Discards all state: a new incarnation. */
export function stepDown(state: State, n: number): void {
  const inc = get(state, part(n) + g.inc) + 1;
  clearGateway(state, n, role.standby);
  state[part(n) + g.inc] = inc;
}

/** The outcome of the write stays unknown: the larger set commits until a later write succeeds (rule 2). */
function giveUp(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  const phase = get(state, p + g.swap);
  if (phase === swap.none || get(state, at.giveUps) >= bounds.giveUps) return undefined;
  const next = state.slice();
  next[at.giveUps] = get(state, at.giveUps) + 1;
  if (phase === swap.sent && get(state, p + g.swapFresh) === 1) {
    next[p + g.lateFresh] = 1;
    next[p + g.lateSet] = get(state, p + g.swapSet);
  }
  next[p + g.swap] = swap.none;
  next[p + g.swapFresh] = 0;
  next[p + g.swapSet] = 0;
  next[p + g.fresh] = 0;
  next[p + g.unknown] = 1;
  return next;
}

/** A primary looks at the Lease: it steps down, or learns the version to write on. */
function primaryReads(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  if (!isPrimary(state, n)) return undefined;
  const next = state.slice();
  if (!holds(state, n)) {
    stepDown(next, n);
    return next;
  }
  if (get(state, p + g.swap) !== swap.none || get(state, p + g.fresh) === 1) return undefined;
  next[p + g.fresh] = 1;
  if (bounds.without === '2-settled-by-write-only' && get(state, p + g.unknown) === 1) {
    const set = get(state, at.leaseSet + 1 - n);
    next[p + g.confirmed] = set;
    next[p + g.required] = set;
    next[p + g.unknown] = 0;
    advanceCommit(next, n, bounds);
  }
  return next;
}

export const replicationSteps: readonly (readonly [string, GatewayStep])[] = [
  ['primary attaches the standby', attach],
  ['primary sends a snapshot', sendSnapshot],
  ['primary replicates an entry', replicate],
  ['backup acknowledges', acknowledge],
  ['primary receives an acknowledgement', receiveAcknowledgement],
  ['primary asks to add the member', askToAdd],
  ['primary asks to remove the member', askToRemove],
  ['primary goes on alone on its own word', removeAlone],
  ['primary hears of its write', receiveSwapReply],
  ['primary gives up on its write', giveUp],
  ['primary reads the Lease', primaryReads],
];
