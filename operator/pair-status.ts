import type { GatewayStatus } from '../proto/gen/admin.ts';
import type { GateSvrStatusPair, GateSvrStatusPairMember } from './api/gatesvr.ts';
import type { PromotionReason } from './lease-content.ts';
import { holderOf, isHeard, type MemberView, memberNames, type PairView } from './pair-view.ts';

export interface Promotion {
  readonly reason: PromotionReason;
  readonly wallMs: number;
}

function timeOf(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

/**
 * The entry of a pair in the GateSvr's status: the Lease and the links as people read them.
 * @param target pod that is to be primary, when it is another than the Lease names
 * @param promotion of the Lease's epoch, when it is new
 */
export function pairStatus(
  view: PairView,
  before: GateSvrStatusPair | undefined,
  options: {
    readonly name: string;
    readonly target: string | undefined;
    readonly failing: boolean;
    readonly promotion: Promotion | undefined;
    readonly statusOf: (podName: string) => GatewayStatus | undefined;
  },
): GateSvrStatusPair {
  const { lease } = view;
  const { name, target, failing, promotion } = options;
  const current = holderOf(view)?.podName;
  const since = before?.currentPrimaryFailingSince ?? timeOf(view.wallMs);
  const promoted =
    promotion === undefined
      ? { lastPromotionTime: before?.lastPromotionTime, lastPromotionReason: before?.lastPromotionReason }
      : { lastPromotionTime: timeOf(promotion.wallMs), lastPromotionReason: promotion.reason };
  const entry = {
    name,
    currentPrimary: current,
    targetPrimary: target ?? current,
    currentPrimaryFailingSince: failing ? since : undefined,
    epoch: lease?.epoch,
    inSync: lease?.inSync,
    ...promoted,
    members: memberNames.map((each) => memberStatus(view.members[each], options.statusOf(view.members[each].podName))),
  };
  return defined(entry) as GateSvrStatusPair;
}

function memberStatus(member: MemberView, status: GatewayStatus | undefined): GateSvrStatusPairMember {
  const { name, podName, pod, link } = member;
  const heard = isHeard(member, link.incarnation) && link.incarnation !== '';
  const entry = {
    name,
    pod: pod === undefined ? undefined : podName,
    node: pod === undefined || pod.nodeName === '' ? undefined : pod.nodeName,
    role: heard ? link.role : undefined,
    ready: heard && link.ready,
    incarnation: heard ? link.incarnation : undefined,
    version: heard ? status?.version : undefined,
    templateHash: pod === undefined || pod.templateHash === '' ? undefined : pod.templateHash,
    zonesRevision: heard && status !== undefined ? Number(status.zonesRevision) : undefined,
  };
  return defined(entry) as GateSvrStatusPairMember;
}

function defined(entry: object): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}
