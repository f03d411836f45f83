/** What the operator sees of one pair at one moment: pure data, from which the plans follow. Times are monotonic unless named wall. */

export type MemberName = 'a' | 'b';

export const memberNames: readonly MemberName[] = ['a', 'b'];

/** What the Lease says. */
export interface LeaseView {
  readonly resourceVersion: string;
  readonly epoch: number;
  /** Names the state since it last began empty. */
  readonly history: string;
  /** Incarnation of the primary. */
  readonly holder: string;
  /** Incarnations that hold all that was committed. */
  readonly inSync: readonly string[];
  /** When this operator first saw it name this holder and this set. */
  readonly seenMs: number;
}

export interface PodView {
  readonly uid: string;
  /** '' before it has one. */
  readonly ip: string;
  /** '' before it is scheduled. */
  readonly nodeName: string;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  readonly ready: boolean;
  readonly deleting: boolean;
  /** It was deleted by force and is only waited for. */
  readonly deletedByForce: boolean;
  /** The role label; '' for none. */
  readonly role: string;
  /** Of the template it was made from. */
  readonly templateHash: string;
  readonly fenced: boolean;
  /** Why it does not start, in words for people; '' while nothing is known to be wrong. */
  readonly trouble: string;
  /** Why it waits, when that may pass by itself; '' otherwise. */
  readonly note: string;
  /** When this operator first saw this pod. */
  readonly seenMs: number;
}

export interface NodeView {
  /** Its topology zone; '' when it has none. */
  readonly zone: string;
  readonly reachable: boolean;
  /** Why pods should leave it (cordoned, drained); '' when they may stay. */
  readonly leaving: string;
}

/** `connecting`: never heard since this pod's link was made, which is not a loss. */
export type LinkState = 'none' | 'connecting' | 'connected' | 'reset' | 'silent';

/** The operator's own watch of one gateway. */
export interface LinkView {
  readonly state: LinkState;
  /** Of the state. */
  readonly sinceMs: number;
  /** When the gateway was last heard. */
  readonly lastBeatMs: number;
  /** As last heard; '' before. */
  readonly incarnation: string;
  readonly role: string;
  readonly epoch: number;
  readonly history: string;
  /** In-sync set as the gateway knows it. */
  readonly inSync: readonly string[];
  readonly ready: boolean;
  readonly draining: boolean;
  readonly peerLost: boolean;
  /** Why a primary cannot commit anything any more (rule 15); '' when it can. */
  readonly blocked: string;
  /** It holds sessions of the shard, whole or in part. */
  readonly holdsState: boolean;
  /** It said goodbye in its stream before that ended: the process is gone. */
  readonly tookLeave: boolean;
}

export interface StatefulSetView {
  /** Of the template its next pod is made from. */
  readonly templateHash: string;
  /** Of a template that never became healthy here, and is not tried again; '' for none. */
  readonly rejectedHash: string;
  /** Of the template it can go back to; '' for none. */
  readonly lastGoodHash: string;
  readonly deleting: boolean;
}

export interface MemberView {
  readonly name: MemberName;
  /** Also the gateway's server_id. */
  readonly podName: string;
  readonly pod: PodView | undefined;
  /** The pod's node, as far as it is known. */
  readonly node: NodeView | undefined;
  readonly link: LinkView;
  readonly statefulSet: StatefulSetView | undefined;
}

/** What the GateSvr's status said of this pair when it was read. */
export interface PairStatusView {
  readonly currentPrimary: string;
  readonly targetPrimary: string;
  readonly epoch: number;
}

export interface PairSettings {
  /** Wait this long after a loss without evidence of death. */
  readonly delayMs: number;
  /** Between promotions without evidence of death. */
  readonly cooldownMs: number;
  readonly resetAfterMs: number;
  readonly switchoverDeadlineMs: number;
  /** How long an updated member may take to be in-sync. */
  readonly progressDeadlineMs: number;
  /** Templates are given to both at once, and pods are replaced when somebody deletes them. */
  readonly onDelete: boolean;
  /** `gatesvr.io/reconcile: paused`: nothing but failover and what follows from the Lease. */
  readonly paused: boolean;
  /** The whole GateSvr is fenced. */
  readonly fenced: boolean;
  /** The pod a person wants to be primary; '' for none. */
  readonly requestedPrimary: string;
}

/** A handing over that this operator has asked for and that is still under way. */
export interface SwitchoverUnderWay {
  readonly successor: string;
  readonly sinceMs: number;
}

export interface PairView {
  readonly nowMs: number;
  readonly wallMs: number;
  /** When this operator began to watch the pair. */
  readonly watchedSinceMs: number;
  /** Holds the operators' own Lease: the others only swap and project. */
  readonly leader: boolean;
  readonly shard: string;
  /** Undefined when there is none, or one that says nothing that can be understood. */
  readonly lease: LeaseView | undefined;
  /** resourceVersion of the Lease object, whatever it says; undefined when there is none. */
  readonly leaseVersion: string | undefined;
  /** Since when there is no Lease that says anything, as this operator saw it. */
  readonly leaseMissingSinceMs: number;
  /** When an incarnation that the Lease calls in-sync was last heard by this operator, or since when it has listened. */
  readonly inSyncHeardMs: number;
  readonly members: Readonly<Record<MemberName, MemberView>>;
  readonly status: PairStatusView;
  /** Epoch that the EndpointSlices were written for; 0 for none. */
  readonly projectedEpoch: number;
  /** When this operator last saw an unplanned promotion, on its own clock; undefined if it has seen none. */
  readonly lastFailoverMs: number | undefined;
  /** When the last unplanned promotion was, as status says; 0 for never. */
  readonly lastFailoverWallMs: number;
  readonly switchover: SwitchoverUnderWay | undefined;
  /** Do not ask for a switchover before this moment: the last one failed. */
  readonly switchoverNotBeforeMs: number;
  readonly settings: PairSettings;
  /** Of the template that members should have. */
  readonly desiredHash: string;
  /** It is this pair's turn to be updated. */
  readonly mayUpdate: boolean;
  /** The pair is one too many: it is drained and removed. */
  readonly surplus: boolean;
}

/** An incarnation is named POD/ID. */
export function podOf(incarnation: string): string {
  const at = incarnation.lastIndexOf('/');
  return at < 0 ? incarnation : incarnation.slice(0, at);
}

export function membersOf(view: PairView): readonly MemberView[] {
  return memberNames.map((name) => view.members[name]);
}

/** The member whose pod has this name. */
export function memberByPod(view: PairView, podName: string): MemberView | undefined {
  return membersOf(view).find((member) => member.podName === podName);
}

/** The member that holds the Lease. */
export function holderOf(view: PairView): MemberView | undefined {
  return view.lease === undefined ? undefined : memberByPod(view, podOf(view.lease.holder));
}

export function peerOf(view: PairView, member: MemberView): MemberView {
  return view.members[member.name === 'a' ? 'b' : 'a'];
}

/** The operator hears this very incarnation now. */
export function isHeard(member: MemberView, incarnation: string): boolean {
  return member.link.state === 'connected' && member.link.incarnation === incarnation;
}

export function isFenced(view: PairView, member: MemberView): boolean {
  return view.settings.fenced || member.pod?.fenced === true;
}

/** The primary by its Lease is heard, so the pair serves. */
export function servingPrimary(view: PairView): MemberView | undefined {
  const holder = holderOf(view);
  return holder !== undefined && view.lease !== undefined && isHeard(holder, view.lease.holder) ? holder : undefined;
}

/** A new operator has not heard from gateways that run, which may take this long: what it would say of them is worth nothing. */
const introductionMs = 3_000;

/** When to believe the links; 0: now. */
export function introducedAtMs(view: PairView): number {
  const untilMs = view.watchedSinceMs + introductionMs;
  const waits = membersOf(view).some(({ link, pod }) => pod?.phase === 'Running' && link.state === 'connecting');
  return waits && view.nowMs < untilMs ? untilMs : 0;
}

/** Heard, and named in-sync by the Lease: may be promoted (I4) unless it is fenced. */
export function isInSync(view: PairView, member: MemberView): boolean {
  const { incarnation, state } = member.link;
  return state === 'connected' && view.lease?.inSync.includes(incarnation) === true;
}

/**
 * Why an incarnation is certainly dead, '' when that is not known (rule 13).
 * @param seenMs since when the Lease names it: what was heard before proves nothing
 */
export function deathOf(member: MemberView, incarnation: string, seenMs: number): string {
  const { link, pod, node } = member;
  const heard = link.incarnation;
  if (link.state === 'connected' && heard !== '') {
    if (heard === incarnation || link.lastBeatMs < seenMs) return '';
    return `${member.podName} runs as ${heard} now`;
  }
  if (link.tookLeave && heard === incarnation) return `${incarnation} has taken its leave`;
  if (pod === undefined) return `pod ${member.podName} is gone`;
  if (pod.phase === 'Pending' && !pod.deleting) return `pod ${member.podName} was made anew`;
  const ended = pod.phase === 'Failed' || pod.phase === 'Succeeded';
  if (ended && node?.reachable === true) return `pod ${member.podName} has ended (${pod.phase})`;
  return '';
}
