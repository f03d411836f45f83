import { follows, type GatewayStep } from './replication-steps.ts';
import type { ModelBounds } from './rules.ts';
import { at, epochMax, g, get, holdsLease, part, positionOf, pushes, role, type State } from './state.ts';

const isPrimary = (state: State, n: number): boolean => get(state, part(n) + g.role) === role.primary;

/** A START is answered only after an entry appended after it is committed (I3). */
function canCommit(state: State, n: number): boolean {
  const p = part(n);
  if (get(state, p + g.required) === 0) return true;
  return (
    get(state, at.link) === 1 &&
    get(state, p + g.required) === get(state, p + g.member) &&
    follows(state, 1 - n, n) &&
    get(state, p + g.acked) === get(state, p + g.length) + 1
  );
}

/** The client received more under the epoch it names than this gateway's state kept of that epoch. */
function isBeyondEnd(state: State, n: number): boolean {
  const p = part(n);
  for (let epoch = get(state, at.clientEpoch) + 1; epoch <= epochMax; epoch += 1) {
    const end = get(state, p + g.ends + epoch - 2);
    if (end !== 0 && get(state, at.clientLength) > end - 1) return true;
  }
  return get(state, at.clientLength) > get(state, p + g.length);
}

function start(state: State, n: number, bounds: ModelBounds): State | undefined {
  const p = part(n);
  if (get(state, at.clientOn) !== 0 || !isPrimary(state, n) || !canCommit(state, n)) return undefined;
  if (get(state, p + g.epoch) < get(state, at.clientEpoch)) return undefined;
  const next = state.slice();
  next[at.clientOn] = n + 1;
  const known = get(state, at.clientHistory);
  const otherHistory = known !== 0 && known !== get(state, p + g.history);
  const reset =
    (otherHistory && bounds.without !== '5-place-names-session') ||
    (!otherHistory && bounds.without !== '5-place-names-epoch' && isBeyondEnd(state, n));
  if (reset) next.fill(0, at.clientLength, at.clientGot + pushes);
  next[at.clientHistory] = get(state, p + g.history);
  next[at.clientEpoch] = get(state, p + g.epoch);
  for (let i = 0; i < get(next, at.clientLength); i += 1) {
    if (get(next, at.clientGot + i) !== get(state, p + g.log + i)) next[at.violation] = 4;
  }
  return next;
}

function leave(state: State, n: number): State | undefined {
  // It may leave a good primary too, but nothing follows from that.
  if (get(state, at.clientOn) !== n + 1 || holdsLease(state, n)) return undefined;
  const next = state.slice();
  next[at.clientOn] = 0;
  return next;
}

function deliver(state: State, n: number): State | undefined {
  const p = part(n);
  const length = get(state, at.clientLength);
  if (get(state, at.clientOn) !== n + 1 || !isPrimary(state, n) || length >= get(state, p + g.committed))
    return undefined;
  const id = get(state, p + g.log + length);
  const next = state.slice();
  for (let i = 0; i < length; i += 1) if (get(state, at.clientGot + i) === id) next[at.violation] = 5;
  next[at.clientGot + length] = id;
  next[at.clientLength] = length + 1;
  return next;
}

/** The zone pushes `id`; again with the same push_id as often as it likes. */
function push(id: number): GatewayStep {
  return (state, n, bounds) => {
    const p = part(n);
    const length = get(state, p + g.length);
    if (id > bounds.pushes || !isPrimary(state, n) || length >= pushes || positionOf(state, n, id) !== 0)
      return undefined;
    // The pushes are alike: the second is never the first one taken.
    if (id > 1 && positionOf(state, 0, id - 1) === 0 && positionOf(state, 1, id - 1) === 0) return undefined;
    const next = state.slice();
    next[p + g.log + length] = id;
    next[p + g.length] = length + 1;
    if (get(state, p + g.required) === 0) next[p + g.committed] = length + 1;
    return next;
  };
}

/** The zone hears of push `id`, with its level. */
function answer(id: number): GatewayStep {
  return (state, n, bounds) => {
    const p = part(n);
    const slot = at.answers + 3 * (id - 1);
    if (!isPrimary(state, n) || get(state, slot) !== 0) return undefined;
    const position = positionOf(state, n, id);
    if (position === 0) return undefined;
    if (position > get(state, p + g.committed) && bounds.without !== '4-repeat-waits') return undefined;
    const next = state.slice();
    next[slot] = position <= get(state, p + g.full) ? 2 : 1;
    next[slot + 1] = get(state, p + g.history);
    next[slot + 2] = position;
    return next;
  };
}

export const clientSteps: readonly (readonly [string, GatewayStep])[] = [
  ['accepts the client', start],
  ['is left by the client', leave],
  ['delivers the next message', deliver],
  ['takes push 1', push(1)],
  ['answers push 1', answer(1)],
  ['takes push 2', push(2)],
  ['answers push 2', answer(2)],
];

/** Safety that can be read off a state; the number of a violation, 0 when there is none. */
export function violationOf(state: State, standalone: boolean): number {
  const flagged = get(state, at.violation);
  if (flagged !== 0) return flagged;
  if (isPrimary(state, 0) && isPrimary(state, 1) && get(state, part(0) + g.epoch) === get(state, part(1) + g.epoch))
    return 3;
  const holder = get(state, at.leaseHolder);
  if (standalone || !holdsLease(state, holder)) return 0;
  const p = part(holder);
  const now = get(state, p + g.role);
  if (now === role.down) return 0;
  if (now === role.syncing) return 7;
  const history = get(state, at.leaseHistory);
  const empty = now === role.standby ? 0 : get(state, p + g.length);
  for (let id = 1; id <= pushes; id += 1) {
    const slot = at.answers + 3 * (id - 1);
    if (get(state, slot) === 0 || get(state, slot + 1) !== history) continue;
    const index = get(state, slot + 2);
    if (index > empty || get(state, p + g.log + index - 1) !== id) return 1;
  }
  if (get(state, at.clientHistory) !== history) return 0;
  for (let i = 0; i < get(state, at.clientLength); i += 1) {
    if (get(state, at.clientGot + i) !== get(state, p + g.log + i) || i >= empty) return 2;
  }
  return 0;
}

/** Service: the holder serves the client, every push was answered, and all was delivered. */
export function isServing(state: State, bounds: ModelBounds): boolean {
  const holder = get(state, at.leaseHolder);
  const p = part(holder);
  if (!holdsLease(state, holder) || !isPrimary(state, holder) || get(state, at.clientOn) !== holder + 1) return false;
  for (let id = 1; id <= bounds.pushes; id += 1) if (get(state, at.answers + 3 * (id - 1)) === 0) return false;
  const length = get(state, p + g.length);
  return get(state, at.clientLength) === length && get(state, p + g.committed) === length && length === bounds.pushes;
}
