import type { GatewayStep } from './replication-steps.ts';
import { stepDown } from './replication-steps.ts';
import type { ModelBounds } from './rules.ts';
import {
  advanceCommit,
  at,
  bumpVersion,
  clearGateway,
  g,
  get,
  holdsLease,
  part,
  role,
  type State,
  swap,
} from './state.ts';

/** The write of gateway `n` reaches the arbiter. */
function swapArrives(state: State, n: number): State | undefined {
  const p = part(n);
  if (get(state, p + g.swap) !== swap.sent) return undefined;
  const next = state.slice();
  if (get(state, p + g.swapFresh) === 0) next[p + g.swap] = swap.refused;
  else {
    bumpVersion(next);
    next[at.leaseSet + 1 - n] = get(state, p + g.swapSet);
    next[p + g.swap] = swap.done;
    next[p + g.swapFresh] = 1;
  }
  return next;
}

/** A write that its sender gave up on arrives after all. */
function lateSwapArrives(state: State, n: number): State | undefined {
  const p = part(n);
  if (get(state, p + g.lateFresh) === 0) return undefined;
  const next = state.slice();
  bumpVersion(next);
  next[at.leaseSet + 1 - n] = get(state, p + g.lateSet);
  return next;
}

/** What gateway `n`'s heartbeats say of the holder: gone, or somebody else at its address (rule 13). */
function holderIsDead(state: State, bounds: ModelBounds): boolean {
  const p = part(get(state, at.leaseHolder));
  if (get(state, p + g.role) === role.down) return true;
  if (bounds.without === '13-heartbeat-names-incarnation') return false;
  return get(state, p + g.inc) !== get(state, at.leaseHolderInc);
}

function isPromotable(state: State, n: number): boolean {
  const inc = get(state, part(n) + g.inc);
  return get(state, at.leaseSet + n) === inc && get(state, at.leaseHolder) !== n;
}

/** An in-sync backup that has lost the primary sends the promoting write itself (rule 13). */
function askToPromote(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  if (bounds.without === '13-backup-promotes-itself' || get(state, p + g.role) !== role.following) return undefined;
  if (!isPromotable(state, n) || get(state, p + g.promoting) !== 0) return undefined;
  if (get(state, at.link) === 1 && !holderIsDead(state, bounds)) return undefined;
  const next = state.slice();
  next[p + g.promoting] = get(state, p + g.inc);
  return next;
}

/** Rule 3: one compare-and-swap: epoch + 1, holder, in-sync = {holder}. */
function writePromotion(state: State, n: number, inc: number): void {
  bumpVersion(state);
  state[at.leaseEpoch] = get(state, at.leaseEpoch) + 1;
  state[at.leaseHolder] = n;
  state[at.leaseHolderInc] = inc;
  state[at.leaseSet + n] = inc;
  state[at.leaseSet + 1 - n] = 0;
}

function promotionArrives(state: State, n: number): State | undefined {
  const inc = get(state, part(n) + g.promoting);
  if (inc === 0) return undefined;
  const next = state.slice();
  writePromotion(next, n, inc);
  return next;
}

/** The operator decides when the backup has lost the primary and its own watch of the primary is lost. */
function operatorDecides(state: State, n: number, bounds: ModelBounds): State | undefined {
  if (get(state, at.operator) === 0 || get(state, at.operatorTarget) !== 0) return undefined;
  if (get(state, part(n) + g.role) === role.down || !isPromotable(state, n)) return undefined;
  // A watch can be lost while its target lives; only the link between the pair says more.
  if (get(state, at.link) === 1 && !holderIsDead(state, bounds)) return undefined;
  const next = state.slice();
  next[at.operatorTarget] = n + 1;
  next[at.operatorInc] = get(state, part(n) + g.inc);
  next[at.operatorFresh] = 1;
  return next;
}

function operatorWrites(state: State, n: number, bounds: ModelBounds): State | undefined {
  if (get(state, at.operatorTarget) !== n + 1) return undefined;
  const next = state.slice();
  next.fill(0, at.operatorTarget, at.operatorFresh + 1);
  if (get(state, at.operatorFresh) === 1 || bounds.without === '3-promotion-on-version-seen') {
    writePromotion(next, n, get(state, at.operatorInc));
  }
  return next;
}

/** Only without rule 3: the target obeys Promote before anything is written. */
function obeyPromote(state: State, n: number, bounds: ModelBounds): State | undefined {
  if (bounds.without !== '3-promote-is-a-hint' || get(state, at.operatorTarget) !== n + 1) return undefined;
  if (get(state, part(n) + g.role) !== role.following) return undefined;
  if (get(state, at.operatorInc) !== get(state, part(n) + g.inc)) return undefined;
  const next = state.slice();
  becomePrimary(next, n, get(state, at.leaseEpoch) + 1, get(state, at.leaseHistory), bounds);
  return next;
}

function becomePrimary(state: State, n: number, epoch: number, history: number, bounds: ModelBounds): void {
  const p = part(n);
  const length = get(state, p + g.length);
  state[p + g.role] = role.primary;
  state[p + g.epoch] = epoch;
  state[p + g.history] = history;
  state[p + g.fresh] = 1;
  if (epoch >= 2) state[p + g.ends + epoch - 2] = length + 1;
  advanceCommit(state, n, bounds);
}

/** A gateway that is not primary looks at the Lease. */
function othersRead(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  const now = get(state, p + g.role);
  if (now === role.down || now === role.primary) return undefined;
  if (holdsLease(state, n)) {
    if (now === role.syncing) return undefined;
    const next = state.slice();
    becomePrimary(next, n, get(state, at.leaseEpoch), get(state, at.leaseHistory), bounds);
    return next;
  }
  if (now === role.standby || get(state, p + g.epoch) >= get(state, at.leaseEpoch)) return undefined;
  const next = state.slice();
  stepDown(next, n);
  return next;
}

/** Rule 14: every in-sync incarnation is known dead, or could not be reached for `failover.resetAfter`. */
function beginAnew(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  const o = 1 - n;
  if (bounds.without === '14-new-history' || get(state, p + g.role) !== role.standby) return undefined;
  if (get(state, at.leaseSet + n) === get(state, p + g.inc)) return undefined;
  const other = get(state, at.leaseSet + o);
  const otherGone =
    get(state, part(o) + g.role) === role.down || (get(state, at.link) === 1 && get(state, part(o) + g.inc) !== other);
  if (other !== 0 && !otherGone) return undefined;
  const next = state.slice();
  if (get(state, at.crashes) === 0) next[at.violation] = 8;
  writePromotion(next, n, get(state, p + g.inc));
  if (bounds.without !== '14-history-has-new-name') next[at.leaseHistory] = get(state, at.leaseHistory) + 1;
  return next;
}

function crash(state: State, n: number, bounds: ModelBounds): State | undefined {
  if (get(state, part(n) + g.role) === role.down || get(state, at.crashes) >= bounds.crashes) return undefined;
  const next = state.slice();
  next[at.crashes] = get(state, at.crashes) + 1;
  clearGateway(next, n, role.down);
  return next;
}

function restart(state: State, n: number): State | undefined {
  if (get(state, part(n) + g.role) !== role.down) return undefined;
  const next = state.slice();
  stepDown(next, n);
  return next;
}

export const arbiterSteps: readonly (readonly [string, GatewayStep])[] = [
  ['its write reaches the arbiter', swapArrives],
  ['its write reaches the arbiter late', lateSwapArrives],
  ['backup sends the promoting write', askToPromote],
  ['its promoting write arrives', promotionArrives],
  ['operator decides to promote it', operatorDecides],
  ['operator writes its promotion', operatorWrites],
  ['obeys Promote', obeyPromote],
  ['reads the Lease', othersRead],
  ['begins a new history', beginAnew],
  ['crashes', crash],
  ['starts again', restart],
];

/** Faults of what exists once. */
export const worldSteps: readonly (readonly [string, GatewayStep])[] = [
  [
    'the link between the gateways is cut',
    (state, _n, bounds) => {
      if (get(state, at.link) === 0 || get(state, at.cuts) >= bounds.cuts) return undefined;
      const next = state.slice();
      next[at.link] = 0;
      next[at.cuts] = get(state, at.cuts) + 1;
      return next;
    },
  ],
  [
    'the link is healed',
    (state) => {
      if (get(state, at.link) === 1) return undefined;
      const next = state.slice();
      next[at.link] = 1;
      return next;
    },
  ],
  [
    'the operator dies for good',
    (state, _n, bounds) => {
      if (!bounds.operatorMayDie || get(state, at.operator) === 0) return undefined;
      const next = state.slice();
      next[at.operator] = 0;
      next.fill(0, at.operatorTarget, at.operatorFresh + 1);
      return next;
    },
  ],
];
