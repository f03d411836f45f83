import {
  isInSync,
  type MemberView,
  membersOf,
  type PairView,
  peerOf,
  podOf,
  type StatefulSetView,
  servingPrimary,
} from './pair-view.ts';

export type RolloutDecision =
  /** Everything is as it should be, or it is not this pair's turn. */
  | { readonly kind: 'none' }
  | { readonly kind: 'wait'; readonly reason: string; readonly untilMs: number | undefined }
  /** The StatefulSet gets the desired template, or the one that was good before. */
  | { readonly kind: 'template'; readonly member: MemberView; readonly which: 'desired' | 'last-good' }
  /** What runs is good: the StatefulSet remembers its template. */
  | { readonly kind: 'mark-good'; readonly member: MemberView }
  /** The desired template did not work here: it is not tried again, and the last good one comes back. */
  | { readonly kind: 'reject'; readonly member: MemberView; readonly reason: string }
  | { readonly kind: 'delete-pod'; readonly member: MemberView; readonly uid: string; readonly reason: string }
  /** A template was rejected; the old version serves. */
  | { readonly kind: 'stopped'; readonly reason: string };

const none: RolloutDecision = { kind: 'none' };

function wait(reason: string, untilMs?: number): RolloutDecision {
  return { kind: 'wait', reason, untilMs };
}

/**
 * The next step that brings the pods of a pair to the desired template: the backup first, the primary once it is none any more.
 * Which member is which is read anew each time, so a failover in the middle changes only who is next.
 */
export function planRollout(view: PairView): RolloutDecision {
  if (view.settings.paused || view.surplus) return none;
  const members = membersOf(view);
  if (members.some(({ statefulSet }) => statefulSet === undefined || statefulSet.deleting)) return none;
  if (members.some(({ statefulSet }) => statefulSet?.rejectedHash === view.desiredHash)) return goBack(view);
  if (view.settings.onDelete) {
    const member = members.find(({ statefulSet }) => statefulSet?.templateHash !== view.desiredHash);
    return member === undefined ? none : { kind: 'template', member, which: 'desired' };
  }
  if (!view.mayUpdate) return none;
  const primary = servingPrimary(view);
  if (primary === undefined) return whileNobodyServes(view);
  const backup = peerOf(view, primary);
  return updateBackup(view, primary, backup) ?? updatePrimary(view, primary) ?? none;
}

function isOutdated(view: PairView, { statefulSet, pod }: MemberView): boolean {
  const stale = pod !== undefined && pod.templateHash !== view.desiredHash;
  return stale || statefulSet?.templateHash !== view.desiredHash;
}

/** @returns undefined when the backup is as desired and proven */
function updateBackup(view: PairView, primary: MemberView, backup: MemberView): RolloutDecision | undefined {
  const step = updateMember(view, backup);
  if (step !== undefined) return step;
  if (!isInSync(view, backup)) return awaitSync(view, primary, backup);
  return backup.statefulSet?.lastGoodHash === view.desiredHash ? undefined : { kind: 'mark-good', member: backup };
}

function updateMember(view: PairView, member: MemberView): RolloutDecision | undefined {
  const { pod, statefulSet, podName } = member;
  if (statefulSet?.templateHash !== view.desiredHash) return { kind: 'template', member, which: 'desired' };
  if (pod === undefined || pod.deleting) return wait(`waiting for the new pod ${podName}`);
  if (pod.templateHash === view.desiredHash) return undefined;
  return { kind: 'delete-pod', member, uid: pod.uid, reason: 'it has an older template' };
}

/** The new pod must be in-sync before anything else goes; if it never is, the update stops. */
function awaitSync(view: PairView, primary: MemberView, backup: MemberView): RolloutDecision {
  const { pod, podName, statefulSet } = backup;
  const { progressDeadlineMs } = view.settings;
  const dueMs = (pod?.seenMs ?? view.nowMs) + progressDeadlineMs;
  const proven = statefulSet?.lastGoodHash === view.desiredHash;
  const canGoBack = statefulSet !== undefined && statefulSet.lastGoodHash !== '' && !proven;
  const trouble = pod?.trouble ?? '';
  if (canGoBack && trouble !== '') return { kind: 'reject', member: backup, reason: trouble };
  if (canGoBack && view.nowMs >= dueMs) {
    const reason = `${podName} was not in sync with ${primary.podName} within update.progressDeadline`;
    return { kind: 'reject', member: backup, reason };
  }
  if (proven && !isOutdated(view, primary)) return none;
  return wait(trouble === '' ? `waiting for ${podName} to be in sync` : trouble, canGoBack ? dueMs : undefined);
}

/** The primary itself is never replaced: a switchover makes it the backup first. */
function updatePrimary(view: PairView, primary: MemberView): RolloutDecision | undefined {
  const { statefulSet, pod } = primary;
  if (pod !== undefined && pod.templateHash !== view.desiredHash)
    return wait(`waiting for ${primary.podName} to hand over`);
  if (statefulSet?.templateHash !== view.desiredHash) return { kind: 'template', member: primary, which: 'desired' };
  return statefulSet.lastGoodHash === view.desiredHash ? undefined : { kind: 'mark-good', member: primary };
}

/** With nobody to protect both are updated at once, unless somebody who holds the state may still come back. */
function whileNobodyServes(view: PairView): RolloutDecision {
  const { lease } = view;
  for (const member of membersOf(view)) {
    const { pod, link } = member;
    if (!isOutdated(view, member) || link.state === 'connected') continue;
    const named = lease?.inSync.some((incarnation) => podOf(incarnation) === member.podName) === true;
    const dueMs = Math.max(view.watchedSinceMs, link.lastBeatMs, pod?.seenMs ?? 0) + view.settings.resetAfterMs;
    if (named && view.nowMs < dueMs && pod?.phase !== 'Pending') return wait(`${member.podName} may come back`, dueMs);
    const step = updateMember(view, member);
    if (step !== undefined && step.kind !== 'wait') return step;
  }
  return membersOf(view).some((member) => isOutdated(view, member)) ? wait('no primary serves') : none;
}

/** The desired template was rejected: members that have it get the last good one back. */
function goBack(view: PairView): RolloutDecision {
  const primary = servingPrimary(view);
  for (const member of membersOf(view)) {
    const { statefulSet, pod } = member;
    if (statefulSet === undefined || member === primary) continue;
    if (canGoBack(view, statefulSet)) return { kind: 'template', member, which: 'last-good' };
    if (pod === undefined || pod.deleting || pod.templateHash === statefulSet.templateHash) continue;
    if (pod.templateHash !== view.desiredHash || isInSync(view, member)) continue;
    return { kind: 'delete-pod', member, uid: pod.uid, reason: 'its template was rejected' };
  }
  return { kind: 'stopped', reason: `the update to template ${view.desiredHash} has stopped` };
}

function canGoBack(view: PairView, { templateHash, lastGoodHash }: StatefulSetView): boolean {
  return templateHash === view.desiredHash && lastGoodHash !== '' && lastGoodHash !== view.desiredHash;
}

/** One pair as the pacing sees it. */
export interface PairProgress {
  readonly name: string;
  /** Some pod or StatefulSet has not the desired template. */
  readonly outdated: boolean;
  /** Some StatefulSet has it. */
  readonly begun: boolean;
  /** It serves, with a backup in sync. */
  readonly healthy: boolean;
  /** The desired template failed here. */
  readonly rejected: boolean;
}

/**
 * Which pairs may be updated now. Those that have begun go on; a rejected template stops all others, and a pair that is
 * updated but not healthy yet takes the place of one that is under way.
 */
export function pairsToUpdate(pairs: readonly PairProgress[], parallelMax: number): ReadonlySet<string> {
  const under = pairs.filter(({ begun, outdated, healthy }) => begun && (outdated || !healthy));
  const chosen = new Set(under.map(({ name }) => name));
  for (const { name, outdated, begun } of pairs) if (!outdated && begun) chosen.add(name);
  if (pairs.some(({ rejected }) => rejected)) return chosen;
  let free = parallelMax - under.length;
  for (const { name, outdated } of pairs) {
    if (free <= 0 || chosen.has(name) || !outdated) continue;
    chosen.add(name);
    free -= 1;
  }
  return chosen;
}

/** How far a pair is, from what is seen of it. */
export function progressOf(name: string, view: PairView): PairProgress {
  const members = membersOf(view);
  const primary = servingPrimary(view);
  return {
    name,
    outdated: members.some((member) => isOutdated(view, member)),
    begun: members.some(({ statefulSet }) => statefulSet?.templateHash === view.desiredHash),
    healthy: primary !== undefined && isInSync(view, peerOf(view, primary)),
    rejected: members.some(({ statefulSet }) => statefulSet?.rejectedHash === view.desiredHash),
  };
}
