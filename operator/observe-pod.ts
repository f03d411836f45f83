import { labelKeys, templateHashKey } from './desired/names.ts';
import type { Condition, Node, Pod } from './kube-objects.ts';
import type { NodeView, PodView } from './pair-view.ts';

export const fencedKey = 'gatesvr.io/fenced';

/** Waiting for one of these does not end by itself: the template is wrong, or the image is. */
const hopelessReasons: readonly string[] = [
  'CrashLoopBackOff',
  'CreateContainerConfigError',
  'CreateContainerError',
  'ErrImageNeverPull',
  'ImagePullBackOff',
  'InvalidImageName',
  'RunContainerError',
];

/** Taints of those that are about to take a node away. */
const leavingTaints: readonly string[] = [
  'ToBeDeletedByClusterAutoscaler',
  'karpenter.sh/disrupted',
  'karpenter.sh/disruption',
  'node.kubernetes.io/out-of-service',
];

/** @param seenMs when this operator first saw the pod */
export function podView(pod: Pod, seenMs: number): PodView {
  const { metadata, status } = pod;
  return {
    uid: metadata.uid ?? '',
    ip: status?.podIP ?? '',
    nodeName: pod.spec?.nodeName ?? '',
    phase: phaseOf(status?.phase),
    ready: isTrue(status?.conditions, 'Ready'),
    deleting: metadata.deletionTimestamp !== undefined,
    deletedByForce: metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0,
    role: metadata.labels?.[labelKeys.role] ?? '',
    templateHash: metadata.annotations?.[templateHashKey] ?? '',
    fenced: metadata.annotations?.[fencedKey] === 'true',
    trouble: troubleOf(pod),
    note: noteOf(pod),
    seenMs,
  };
}

function phaseOf(phase: string | undefined): PodView['phase'] {
  switch (phase) {
    case 'Running':
    case 'Succeeded':
    case 'Failed':
    case 'Unknown':
      return phase;
    default:
      return 'Pending';
  }
}

function troubleOf({ metadata, status }: Pod): string {
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { reason = '', message = '' } = container.state?.waiting ?? {};
    if (!hopelessReasons.includes(reason)) continue;
    const said = message === '' || message === reason ? '' : `: ${message}`;
    return `pod ${metadata.name}, container ${container.name}, image ${container.image}: ${reason}${said}`;
  }
  return '';
}

function noteOf({ metadata, status }: Pod): string {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status !== 'False') return '';
  return `pod ${metadata.name}: ${scheduled.reason ?? 'not scheduled'}: ${scheduled.message ?? ''}`;
}

function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditions?.find((condition) => condition.type === type)?.status === 'True';
}

/** @param node undefined: the pod's node is no more */
export function nodeView(name: string, node: Node | undefined): NodeView {
  if (node === undefined) return { zone: '', reachable: false, leaving: '' };
  const zone = node.metadata.labels?.['topology.kubernetes.io/zone'] ?? '';
  return { zone, reachable: isTrue(node.status?.conditions, 'Ready'), leaving: reasonToLeave(name, node) };
}

function reasonToLeave(name: string, { spec }: Node): string {
  const taint = spec?.taints?.find(({ key }) => leavingTaints.includes(key));
  if (taint !== undefined) return `node ${name} has the taint ${taint.key}`;
  return spec?.unschedulable === true ? `node ${name} is cordoned` : '';
}
