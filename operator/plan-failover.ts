import {
  deathOf,
  holderOf,
  isFenced,
  isHeard,
  isInSync,
  type LeaseView,
  type MemberView,
  memberByPod,
  membersOf,
  type PairView,
  peerOf,
  podOf,
} from './pair-view.ts';

/** What the Lease becomes; the compare-and-swap names the version that the decision was made on. */
export interface NextLease {
  readonly epoch: number;
  /** '' asks for a new one: the state begins empty. */
  readonly history: string;
  readonly holder: string;
  readonly inSync: readonly string[];
}

export type FailoverDecision =
  /** @property trouble what a person should know although nothing can be done about it here; '' for nothing */
  | { readonly kind: 'none'; readonly trouble: Trouble | undefined }
  | { readonly kind: 'wait'; readonly reason: string; readonly untilMs: number | undefined }
  | {
      readonly kind: 'promote';
      readonly member: MemberView;
      readonly expected: string;
      readonly next: NextLease;
      /** The primary's process is known to be dead, so no cool-down was needed. */
      readonly evidence: string;
      readonly reason: string;
      /** When the primary was last heard. */
      readonly lostMs: number;
    }
  | {
      readonly kind: 'begin';
      readonly why: 'Bootstrap' | 'Reset' | 'LeaseLost';
      readonly member: MemberView;
      /** Version of the Lease object that the decision rests on; undefined: there is none, and it is created. */
      readonly expected: string | undefined;
      readonly next: NextLease;
      readonly reason: string;
    };

export interface Trouble {
  readonly reason: 'LinkBroken';
  readonly message: string;
}

const quiet: FailoverDecision = { kind: 'none', trouble: undefined };

function wait(reason: string, untilMs?: number): FailoverDecision {
  return { kind: 'wait', reason, untilMs };
}

/**
 * What to do about the Lease of a pair (design §5, rules 3 and 13 to 15, "Who decides in Kubernetes"). It rests on the Lease
 * alone: what status says is never read, so that a crash between two writes changes nothing about the next decision.
 */
export function planFailover(view: PairView): FailoverDecision {
  const { lease } = view;
  if (lease === undefined) return planBeginning(view);
  const holder = holderOf(view);
  if (holder === undefined) return planReset(view, lease, `the Lease names ${lease.holder}, which is no member`);
  const death = deathOf(holder, lease.holder, lease.seenMs);
  if (death !== '') return promoteDead(view, lease, holder, death);
  if (isHeard(holder, lease.holder)) return whileHeard(view, lease, holder);
  const { state } = holder.link;
  const successor = successorOf(view, holder);
  if (successor === undefined) return planReset(view, lease, `${lease.holder} is lost and no in-sync member is heard`);
  if (state !== 'reset' && state !== 'silent') return wait(`waiting to hear ${holder.podName}`);
  if (!successor.link.peerLost) {
    const message = `the operator has lost ${lease.holder}, ${successor.podName} has not: no promotion`;
    return { kind: 'none', trouble: { reason: 'LinkBroken', message } };
  }
  return promoteLost(view, lease, holder, successor, `${lease.holder} is lost (${state})`);
}

/** The in-sync member that may take over from `holder`. */
function successorOf(view: PairView, holder: MemberView): MemberView | undefined {
  const peer = peerOf(view, holder);
  return isInSync(view, peer) && !isFenced(view, peer) ? peer : undefined;
}

function promoteDead(view: PairView, lease: LeaseView, holder: MemberView, death: string): FailoverDecision {
  const successor = successorOf(view, holder);
  if (successor === undefined) return planReset(view, lease, death);
  return promotion(lease, holder, successor, { evidence: death, reason: death });
}

/** The operator hears the primary: whatever the backup says, it lives; but it may be unable to go on. */
function whileHeard(view: PairView, lease: LeaseView, holder: MemberView): FailoverDecision {
  const successor = successorOf(view, holder);
  const { blocked } = holder.link;
  if (successor === undefined) return quiet;
  if (blocked !== '') return promoteLost(view, lease, holder, successor, `${lease.holder} is blocked: ${blocked}`);
  if (!successor.link.peerLost) return quiet;
  const message = `${successor.podName} has lost ${lease.holder}, the operator has not: no promotion`;
  return { kind: 'none', trouble: { reason: 'LinkBroken', message } };
}

/** Without evidence of a death the primary may be back at any moment: the delay and the cool-down keep it from flapping. */
function promoteLost(
  view: PairView,
  lease: LeaseView,
  holder: MemberView,
  successor: MemberView,
  reason: string,
): FailoverDecision {
  const { delayMs, cooldownMs } = view.settings;
  const dueMs = holder.link.sinceMs + delayMs;
  const heard = isHeard(holder, lease.holder);
  if (!heard && view.nowMs < dueMs) return wait(`${reason}; failover.delay`, dueMs);
  const coolMs = cooldownMs - sinceFailoverMs(view);
  if (coolMs > 0) return wait(`${reason}; failover.cooldown`, view.nowMs + coolMs);
  return promotion(lease, holder, successor, { evidence: '', reason });
}

/** By the clock that says more: a wall clock that was set back must not hold a failover up, nor must a restart of the operator. */
function sinceFailoverMs(view: PairView): number {
  const monotonic = view.lastFailoverMs === undefined ? Number.POSITIVE_INFINITY : view.nowMs - view.lastFailoverMs;
  if (view.lastFailoverWallMs === 0) return monotonic;
  const wall = view.wallMs - view.lastFailoverWallMs;
  const watched = view.nowMs - view.watchedSinceMs;
  return Math.max(wall, view.lastFailoverMs === undefined ? watched : monotonic);
}

function promotion(
  lease: LeaseView,
  holder: MemberView,
  successor: MemberView,
  why: { readonly evidence: string; readonly reason: string },
): FailoverDecision {
  const { incarnation } = successor.link;
  const next = { epoch: lease.epoch + 1, history: lease.history, holder: incarnation, inSync: [incarnation] };
  const lostMs = holder.link.lastBeatMs;
  return { kind: 'promote', member: successor, expected: lease.resourceVersion, next, ...why, lostMs };
}

/** Rule 14: when nobody is left who holds all that was committed, a new history begins. */
function planReset(view: PairView, lease: LeaseView, reason: string): FailoverDecision {
  const deaths = lease.inSync.map((incarnation) => {
    const member = memberByPod(view, podOf(incarnation));
    return member === undefined ? '' : deathOf(member, incarnation, lease.seenMs);
  });
  const allDead = deaths.every((death) => death !== '');
  const witness = membersOf(view).find(({ link }) => link.state === 'connected' && !link.peerLost);
  if (!allDead && witness !== undefined) return wait(`${reason}; ${witness.podName} hears its peer`);
  const dueMs = view.inSyncHeardMs + view.settings.resetAfterMs;
  if (!allDead && membersOf(view).some((member) => isInSync(view, member))) return wait(`${reason}; it is fenced`);
  if (!allDead && view.nowMs < dueMs) return wait(`${reason}; failover.resetAfter`, dueMs);
  const member = beginner(view);
  if (member === undefined) return wait(`${reason}; no gateway is heard`);
  const why = allDead ? deaths.join(', ') : `nobody in-sync was heard for ${view.settings.resetAfterMs} ms`;
  const next = beginningWith(member, Math.max(lease.epoch, highestHeard(view)) + 1);
  return { kind: 'begin', why: 'Reset', member, expected: lease.resourceVersion, next, reason: why };
}

/** There is no Lease: the first one, or one that was lost and is made again above every known epoch. */
function planBeginning(view: PairView): FailoverDecision {
  const members = membersOf(view);
  const heard = members.filter(({ link }) => link.state === 'connected');
  const primary = heard
    .filter(({ link }) => link.role === 'primary' && link.history !== '')
    .reduce<MemberView | undefined>(
      (best, each) => (best && best.link.epoch >= each.link.epoch ? best : each),
      undefined,
    );
  const epoch = Math.max(Math.floor(view.wallMs / 1000), highestHeard(view) + 1);
  if (primary !== undefined) {
    const { incarnation, history } = primary.link;
    // The set it reports may be older than its last write: only itself is certain.
    const next = { epoch, history, holder: incarnation, inSync: [incarnation] };
    const reason = `the Lease is gone, ${incarnation} leads`;
    return { kind: 'begin', why: 'LeaseLost', member: primary, expected: view.leaseVersion, next, reason };
  }
  const dueMs = view.leaseMissingSinceMs + view.settings.resetAfterMs;
  const late = view.nowMs >= dueMs;
  if (heard.length < members.length && !late) return wait('no Lease yet: waiting for both gateways', dueMs);
  if (heard.some(({ link }) => link.holdsState) && !late) return wait('no Lease, but a copy of the state', dueMs);
  const member = beginner(view);
  if (member === undefined) return wait('no Lease yet: no gateway is heard');
  const next = beginningWith(member, epoch);
  const reason = late ? `no primary within ${view.settings.resetAfterMs} ms` : 'both gateways are new';
  return { kind: 'begin', why: 'Bootstrap', member, expected: view.leaseVersion, next, reason };
}

function beginningWith(member: MemberView, epoch: number): NextLease {
  const { incarnation } = member.link;
  return { epoch, history: '', holder: incarnation, inSync: [incarnation] };
}

/** Who begins empty: one that is empty already, else it must discard its state first; on a node it may stay on. */
function beginner(view: PairView): MemberView | undefined {
  const cost = ({ link, pod, node }: MemberView): number =>
    (link.holdsState ? 4 : 0) + (pod?.deleting === true ? 2 : 0) + (node === undefined || node.leaving === '' ? 0 : 1);
  return membersOf(view)
    .filter((member) => member.link.state === 'connected' && !isFenced(view, member) && member.link.incarnation !== '')
    .toSorted((one, other) => cost(one) - cost(other))[0];
}

function highestHeard(view: PairView): number {
  return Math.max(view.status.epoch, view.projectedEpoch, ...membersOf(view).map(({ link }) => link.epoch));
}
