import type { ModelBounds } from './rules.ts';

/**
 * The state of the small model of design §5, packed into one byte array so that millions fit.
 * Lease versions are not numbers here: whoever knows the newest one is `fresh`, and every write makes the others stale.
 */
export type State = Uint8Array;

/** Roles of a gateway in the model. */
export const role = { down: 0, standby: 1, syncing: 2, following: 3, primary: 4 } as const;

/** Where a write of the Lease stands: on its way, done, refused. */
export const swap = { none: 0, sent: 1, done: 2, refused: 3 } as const;

/** Offsets within one gateway's part. `acked` is one more than the index acknowledged, 0 before the first. */
export const g = {
  inc: 0,
  role: 1,
  epoch: 2,
  history: 3,
  length: 4,
  log: 5, // two entries
  committed: 7,
  fresh: 8,
  required: 9, // incarnation of the other gateway that commits wait for
  confirmed: 10, // incarnation of the other gateway that the Lease is known to name
  member: 11, // incarnation of the other gateway that is attached
  acked: 12,
  swap: 13,
  swapFresh: 14,
  swapSet: 15, // incarnation of the other gateway in the set asked for
  unknown: 16,
  lateFresh: 17, // a write its sender gave up on and that can still arrive
  lateSet: 18,
  promoting: 19, // incarnation in a promoting write under way
  full: 20, // index up to which commits were by two in-sync members
  ends: 21, // one more than the length at the promotion to epochs 2..6
} as const;
export const epochMax = 6;
const gatewayBytes = 26;

const base = 2 * gatewayBytes;
/** Offsets of what exists once. */
export const at = {
  leaseEpoch: base,
  leaseHolder: base + 1, // gateway number
  leaseHolderInc: base + 2,
  leaseHistory: base + 3,
  leaseSet: base + 4, // one incarnation a gateway, 0 for none
  link: base + 6,
  ackTo: base + 7, // gateway number + 1
  ackInc: base + 8,
  ackEpoch: base + 9,
  ackHistory: base + 10,
  ackIndex: base + 11, // one more than the index
  operator: base + 12,
  operatorTarget: base + 13, // gateway number + 1
  operatorInc: base + 14,
  operatorFresh: base + 15,
  clientOn: base + 16, // gateway number + 1
  clientHistory: base + 17,
  clientEpoch: base + 18,
  clientLength: base + 19,
  clientGot: base + 20, // two entries
  answers: base + 22, // for each push: level, history, index
  crashes: base + 28,
  cuts: base + 29,
  giveUps: base + 30,
  violation: base + 31,
} as const;
const stateBytes = base + 32;

/** Offset of gateway `n`'s part. */
export function part(n: number): number {
  return n * gatewayBytes;
}

/** One byte; every offset used is within the state. */
export function get(state: State, offset: number): number {
  return state[offset] ?? 0;
}

export const violations = [
  '',
  'a committed push is lost',
  'what the client received is not what the holder has',
  'two primaries of one epoch',
  'the client was let past a silent gap',
  'the client received a push twice',
  'COMMITTED was answered without two in-sync members that hold it',
  'a promoted gateway is not the one the Lease names in-sync',
  'a history was given up though no process died',
] as const;

/** Pushes in the model: also the length of a log. */
export const pushes = 2;

/** Gateway 0 is primary of epoch 1 and alone; gateway 1 has just started; no client yet. */
export function initialState(): State {
  const state = new Uint8Array(stateBytes);
  state[g.inc] = 1;
  state[g.role] = role.primary;
  state[g.epoch] = 1;
  state[g.history] = 1;
  state[g.fresh] = 1;
  state[part(1) + g.inc] = 1;
  state[part(1) + g.role] = role.standby;
  state[at.leaseEpoch] = 1;
  state[at.leaseHolderInc] = 1;
  state[at.leaseHistory] = 1;
  state[at.leaseSet] = 1;
  state[at.link] = 1;
  state[at.operator] = 1;
  return state;
}

/** The gateway forgets all but its incarnation. */
export function clearGateway(state: State, n: number, newRole: number): void {
  const p = part(n);
  const inc = get(state, p + g.inc);
  const promoting = get(state, p + g.promoting);
  let lateFresh = get(state, p + g.lateFresh);
  let lateSet = get(state, p + g.lateSet);
  if (get(state, p + g.swap) === swap.sent && get(state, p + g.swapFresh) === 1) {
    lateFresh = 1;
    lateSet = get(state, p + g.swapSet);
  }
  state.fill(0, p, p + gatewayBytes);
  state[p + g.inc] = inc;
  state[p + g.role] = newRole;
  state[p + g.lateFresh] = lateFresh;
  state[p + g.lateSet] = lateSet;
  state[p + g.promoting] = promoting;
  if (get(state, at.clientOn) === n + 1) state[at.clientOn] = 0;
}

/** A write of the Lease succeeded: nobody's knowledge of its version holds any longer. */
export function bumpVersion(state: State): void {
  for (const p of [part(0), part(1)]) {
    state[p + g.fresh] = 0;
    state[p + g.swapFresh] = 0;
    state[p + g.lateFresh] = 0;
    state[p + g.lateSet] = 0;
    state[p + g.promoting] = 0;
  }
  state[at.operatorFresh] = 0;
}

/** Moves the commit index as far as the required member's acknowledgements allow. */
export function advanceCommit(state: State, n: number, bounds: ModelBounds): void {
  const p = part(n);
  if (get(state, p + g.role) !== role.primary) return;
  const required = get(state, p + g.required);
  const length = get(state, p + g.length);
  if (required === 0) state[p + g.committed] = length;
  else if (get(state, p + g.member) === required) {
    const acked = Math.min(length, get(state, p + g.acked) - 1);
    if (acked > get(state, p + g.committed)) commitByBoth(state, n, acked, bounds);
  }
}

/** COMMITTED is said of what was committed while the member's place in the Lease was beyond doubt. */
function commitByBoth(state: State, n: number, index: number, bounds: ModelBounds): void {
  const p = part(n);
  state[p + g.committed] = index;
  const required = get(state, p + g.required);
  const leaving = get(state, p + g.swap) !== swap.none && get(state, p + g.swapSet) !== required;
  const doubtful = leaving || get(state, p + g.unknown) === 1;
  if (get(state, p + g.confirmed) !== required) return;
  if (doubtful && bounds.without !== '1-level-beyond-doubt') return;
  state[p + g.full] = index;
  const sameEpoch = get(state, at.leaseEpoch) === get(state, p + g.epoch) && holdsLease(state, n);
  if (sameEpoch && !bounds.standalone && get(state, at.leaseSet + 1 - n) !== required) state[at.violation] = 6;
}

/** Position of push `id` in the gateway's log, from 1; 0 when it is not there. */
export function positionOf(state: State, n: number, id: number): number {
  const p = part(n);
  for (let i = 0; i < get(state, p + g.length); i += 1) if (get(state, p + g.log + i) === id) return i + 1;
  return 0;
}

/** The Lease names this gateway's present incarnation as holder. */
export function holdsLease(state: State, n: number): boolean {
  return get(state, at.leaseHolder) === n && get(state, at.leaseHolderInc) === get(state, part(n) + g.inc);
}
