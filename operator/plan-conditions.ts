import { membersOf, type PairView, servingPrimary } from './pair-view.ts';
import { progressOf } from './plan-rollout.ts';
import type { ConditionReport } from './status.ts';

/** Something that keeps the desired state from being reached: which field or object, what was found, what to do. */
export interface Problem {
  readonly reason: 'ReferenceMissing' | 'ObjectRefused' | 'NameTaken' | 'Secrets' | 'SpecInvalid';
  readonly message: string;
}

export interface FleetView {
  readonly pairs: readonly { readonly name: string; readonly view: PairView }[];
  readonly problems: readonly Problem[];
  readonly paused: boolean;
}

export interface FleetSummary {
  readonly conditions: readonly ConditionReport[];
  /** Pairs that serve. */
  readonly serving: number;
  readonly updated: number;
}

/** What is said of a GateSvr as a whole. */
export function summaryOf(fleet: FleetView): FleetSummary {
  const wanted = fleet.pairs.filter(({ view }) => !view.surplus);
  const progress = wanted.map(({ name, view }) => progressOf(name, view));
  const unserved = wanted.filter(({ view }) => servingPrimary(view) === undefined).map(({ name }) => name);
  const alone = progress.filter(({ healthy }) => !healthy).map(({ name }) => name);
  const failures = failuresOf(fleet);
  const trouble = failures[0];
  return {
    serving: wanted.length - unserved.length,
    updated: progress.filter(({ outdated }) => !outdated).length,
    conditions: [
      {
        type: 'Available',
        ...(unserved.length === 0
          ? yes('AllPairsServe', `${wanted.length} of ${wanted.length} pairs serve`)
          : no('PairsWithoutPrimary', `no primary serves in ${unserved.join(', ')}${because(trouble)}`)),
      },
      {
        type: 'Ready',
        ...(alone.length === 0
          ? yes('AllPairsReady', 'every pair serves and has a backup in sync')
          : no(
              trouble?.reason ?? (unserved.length === 0 ? 'BackupNotInSync' : 'PairsWithoutPrimary'),
              `not ready: ${alone.join(', ')}${because(trouble)}`,
            )),
      },
      { type: 'Progressing', ...progressing(fleet, progress) },
      {
        type: 'Degraded',
        ...(trouble === undefined
          ? no('AsExpected', 'nothing is known to be wrong')
          : yes(trouble.reason, failures.map(({ message }) => message).join('; '))),
      },
    ],
  };
}

type Verdict = Omit<ConditionReport, 'type'>;

function yes(reason: string, message: string): Verdict {
  return { status: 'True', reason, message };
}

function no(reason: string, message: string): Verdict {
  return { status: 'False', reason, message };
}

function because(trouble: { readonly message: string } | undefined): string {
  return trouble === undefined ? '' : `: ${trouble.message}`;
}

function failuresOf({ pairs, problems }: FleetView): { readonly reason: string; readonly message: string }[] {
  const members = pairs.flatMap(({ view }) => membersOf(view).map((member) => ({ member, view })));
  const pods = members.flatMap(({ member: { pod } }) => {
    if (pod === undefined) return [];
    if (pod.trouble !== '')
      return [{ reason: 'PodFailure', message: `${pod.trouble}; check spec.image and the pod's log` }];
    return pod.note === '' ? [] : [{ reason: 'PodPending', message: pod.note }];
  });
  const rejected = members.find(({ member, view }) => member.statefulSet?.rejectedHash === view.desiredHash);
  const stopped =
    rejected === undefined ? [] : [{ reason: 'RolloutStopped', message: `${stoppedMessage(rejected.member.podName)}` }];
  return [...problems, ...stopped, ...pods];
}

function stoppedMessage(podName: string): string {
  return `the update was stopped: ${podName} did not work with it and has its former template back; change the spec (spec.image first)`;
}

function progressing({ pairs, paused }: FleetView, progress: readonly ReturnType<typeof progressOf>[]): Verdict {
  if (paused) return no('Paused', 'metadata.annotations[gatesvr.io/reconcile] is "paused": only failover goes on');
  const rejected = progress.filter((pair) => pair.rejected).map(({ name }) => name);
  if (rejected.length > 0) return no('RolloutStopped', `the update was stopped by ${rejected.join(', ')}`);
  const outdated = progress.filter((pair) => pair.outdated).map(({ name }) => name);
  const surplus = pairs.filter(({ view }) => view.surplus).map(({ name }) => name);
  const young = progress.filter((pair) => !pair.healthy).map(({ name }) => name);
  if (outdated.length > 0) return yes('Updating', `to be updated: ${outdated.join(', ')}`);
  if (surplus.length > 0) return yes('ScalingDown', `draining: ${surplus.join(', ')}`);
  return young.length > 0
    ? yes('WaitingForPairs', `not in sync: ${young.join(', ')}`)
    : no('UpToDate', 'nothing to do');
}
