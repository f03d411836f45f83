import { holderOf, isFenced, type MemberView, membersOf, type PairView } from './pair-view.ts';

/** The pod that the Services lead to. */
export interface PrimaryAddress {
  readonly podName: string;
  readonly podUid: string;
  readonly ip: string;
  readonly nodeName: string;
}

/** What follows from the Lease for the rest of the cluster. */
export interface Projection {
  readonly epoch: number;
  /** Undefined while nobody can be led to. */
  readonly primary: PrimaryAddress | undefined;
  /** The pair goes: no new flows, those that are there stay until they have left. */
  readonly draining: boolean;
}

export interface RoleLabel {
  readonly podName: string;
  readonly podUid: string;
  readonly role: 'primary' | 'backup';
}

/** Undefined without a Lease: then what is there stays as it is. */
export function projectionOf(view: PairView): Projection | undefined {
  const { lease } = view;
  if (lease === undefined) return undefined;
  const holder = holderOf(view);
  return { epoch: lease.epoch, primary: holder && addressOf(view, holder), draining: view.surplus };
}

/** A pod whose process has died keeps its place until the Lease names another: a Service without endpoints is worse for UDP. */
function addressOf(view: PairView, member: MemberView): PrimaryAddress | undefined {
  const { pod, podName } = member;
  if (pod === undefined || pod.ip === '' || pod.phase !== 'Running' || isFenced(view, member)) return undefined;
  return { podName, podUid: pod.uid, ip: pod.ip, nodeName: pod.nodeName };
}

/**
 * Role labels that are wrong, in the order they are to be written. Nothing is routed by them, the EndpointSlices are; so the new
 * primary gets its label before the old one loses it, and the disruption budget never selects nobody.
 */
export function labelsToWrite(view: PairView): readonly RoleLabel[] {
  if (view.lease === undefined) return [];
  const holder = holderOf(view);
  const wrong: RoleLabel[] = [];
  for (const member of membersOf(view)) {
    const { pod, podName } = member;
    const role = member === holder ? 'primary' : 'backup';
    if (pod !== undefined && pod.role !== role) wrong.push({ podName, podUid: pod.uid, role });
  }
  return wrong.toSorted((one, other) => other.role.localeCompare(one.role));
}
