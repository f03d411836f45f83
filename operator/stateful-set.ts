import { templateHashKey } from './desired/names.ts';
import type { KubeObject } from './kube-api.ts';
import type { PodTemplate, StatefulSet } from './kube-objects.ts';
import type { StatefulSetView } from './pair-view.ts';

/** The template that was last seen healthy, as JSON: what a failed update goes back to. */
const lastGoodKey = 'gatesvr.io/last-good-template';
/** Hash of a template that never became healthy. */
const rejectedKey = 'gatesvr.io/rejected-template';

export function statefulSetView(set: StatefulSet): StatefulSetView {
  return {
    templateHash: hashOf(set.spec?.template),
    rejectedHash: set.metadata.annotations?.[rejectedKey] ?? '',
    lastGoodHash: hashOf(lastGoodOf(set)),
    deleting: set.metadata.deletionTimestamp !== undefined,
  };
}

function hashOf(template: PodTemplate | undefined): string {
  return template?.metadata?.annotations?.[templateHashKey] ?? '';
}

function lastGoodOf(set: StatefulSet): PodTemplate | undefined {
  try {
    return JSON.parse(set.metadata.annotations?.[lastGoodKey] ?? '') as PodTemplate;
  } catch {
    return undefined;
  }
}

/** What to change of a StatefulSet beyond repairing it. `reject` goes back too. */
export type SetChange = 'none' | 'desired-template' | 'last-good-template' | 'mark-good' | 'reject';

/**
 * The StatefulSet to apply: as desired, but with the template that this member is to have now, which the rollout decides.
 * @param observed undefined: it is made for the first time, with the desired template
 */
export function statefulSetToApply(
  desired: KubeObject,
  observed: StatefulSet | undefined,
  change: SetChange,
): KubeObject {
  const wanted = desired as StatefulSet;
  if (observed === undefined) return desired;
  const lastGood = lastGoodOf(observed);
  const kept = observed.spec?.template;
  const goesBack = change === 'last-good-template' || change === 'reject';
  const template = change === 'desired-template' ? wanted.spec?.template : goesBack ? lastGood : kept;
  // While the hash is the same the desired template repairs what somebody has changed.
  const repaired = hashOf(template) === hashOf(wanted.spec?.template) ? wanted.spec?.template : template;
  const good = change === 'mark-good' ? repaired : lastGood;
  const rejected =
    change === 'reject' ? hashOf(wanted.spec?.template) : (observed.metadata.annotations?.[rejectedKey] ?? '');
  const annotations = {
    ...desired.metadata.annotations,
    [templateHashKey]: hashOf(repaired),
    ...(good === undefined ? {} : { [lastGoodKey]: JSON.stringify(good) }),
    ...(rejected === hashOf(wanted.spec?.template) ? { [rejectedKey]: rejected } : {}),
  };
  return {
    ...desired,
    metadata: { ...desired.metadata, annotations },
    spec: { ...wanted.spec, template: repaired },
  } as KubeObject;
}
