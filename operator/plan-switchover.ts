import {
  holderOf,
  isFenced,
  isInSync,
  type MemberView,
  memberByPod,
  type PairView,
  peerOf,
  servingPrimary,
} from './pair-view.ts';

export type SwitchoverDecision =
  | { readonly kind: 'none' }
  /** One is under way, or the last one failed and it is not time to ask again. */
  | { readonly kind: 'wait'; readonly untilMs: number | undefined }
  /** The primary should go, and nobody can take over yet. */
  | { readonly kind: 'delayed'; readonly reason: string }
  | {
      readonly kind: 'switchover';
      readonly holder: MemberView;
      readonly successor: MemberView;
      readonly reason: string;
    };

const none: SwitchoverDecision = { kind: 'none' };

/** Whether a healthy primary should hand over, and to whom (rule 16); asking twice does no harm. */
export function planSwitchover(view: PairView): SwitchoverDecision {
  const holder = servingPrimary(view);
  if (holder === undefined || view.settings.paused || view.surplus) return none;
  const mustLeave = reasonToLeave(view, holder);
  const reason = mustLeave === '' && isDueForUpdate(view, holder) ? `${holder.podName} is to be updated` : mustLeave;
  if (reason === '') return none;
  const successor = peerOf(view, holder);
  const hindrance = whyNot(view, holder, successor);
  // An update just waits: it says so itself.
  if (hindrance !== '') return mustLeave === '' ? none : { kind: 'delayed', reason: `${reason}, but ${hindrance}` };
  if (view.switchover !== undefined) return { kind: 'wait', untilMs: undefined };
  if (view.nowMs < view.switchoverNotBeforeMs) return { kind: 'wait', untilMs: view.switchoverNotBeforeMs };
  return { kind: 'switchover', holder, successor, reason };
}

function reasonToLeave(view: PairView, holder: MemberView): string {
  const { pod, node, link } = holder;
  if (isFenced(view, holder)) return `${holder.podName} is fenced`;
  if (pod?.deleting === true) return `pod ${holder.podName} is being deleted`;
  if (link.draining) return `${holder.podName} drains`;
  if (node !== undefined && node.leaving !== '') return node.leaving;
  const wanted = view.settings.requestedPrimary;
  if (wanted !== '' && wanted !== holder.podName && memberByPod(view, wanted) !== undefined)
    return `asked for ${wanted}`;
  return link.role === 'primary' && !link.ready ? `${holder.podName} is not ready` : '';
}

function isDueForUpdate(view: PairView, holder: MemberView): boolean {
  const { pod, statefulSet } = holder;
  const peer = peerOf(view, holder);
  const rejected = [statefulSet, peer.statefulSet].some((each) => each?.rejectedHash === view.desiredHash);
  const peerIsNew = peer.pod?.templateHash === view.desiredHash;
  return view.mayUpdate && pod !== undefined && pod.templateHash !== view.desiredHash && peerIsNew && !rejected;
}

/** Why `successor` cannot take over now; '' when it can. */
function whyNot(view: PairView, holder: MemberView, successor: MemberView): string {
  const { podName, pod, node, link } = successor;
  if (!isInSync(view, successor)) return `${podName} is not in sync`;
  if (isFenced(view, successor)) return `${podName} is fenced`;
  if (pod === undefined || pod.deleting) return `${podName} is going too`;
  if (!link.ready) return `${podName} is not ready`;
  // Only from a primary that goes for certain: between two nodes that are emptied it would go to and fro.
  const mustGo = holder.pod?.deleting === true || isFenced(view, holder) || holder.link.draining;
  return node !== undefined && node.leaving !== '' && !mustGo ? `${node.leaving} too` : '';
}

/** A pod that will not come back by itself, and that the Lease excludes: its StatefulSet may only replace it once it is deleted. */
export function podToForceDelete(view: PairView): MemberView | undefined {
  const { lease } = view;
  if (lease === undefined || view.settings.paused) return undefined;
  const holder = holderOf(view);
  return Object.values(view.members).find((member) => {
    if (member === holder || member.pod === undefined || member.node?.reachable !== false) return false;
    if (member.pod.deletedByForce) return false;
    const named = lease.inSync.some((incarnation) => incarnation.startsWith(`${member.podName}/`));
    return !named && member.link.state !== 'connected';
  });
}
