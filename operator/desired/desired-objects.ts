import type { GateSvr } from '../api/gatesvr.ts';
import type { KubeObject } from '../kube-api.ts';
import { disruptionBudget, networkPolicy, pairAccess } from './access.ts';
import { issuedCertificates } from './cert-manager.ts';
import { fleetMap } from './fleet-map.ts';
import { configMap, limitsConfigMap } from './gateway-config.ts';
import {
  type DesiredObject,
  type MemberName,
  memberNames,
  metadataOf,
  namesOf,
  selectorLabels,
  templateHashKey,
} from './names.ts';
import { type DesiredInputs, PodTemplates } from './pod-template.ts';
import { services } from './services.ts';

const revisionsKept = 3;

/**
 * Everything a GateSvr consists of, in the order in which it is to be written, but the EndpointSlices (`desiredPairSlices`), which
 * depend on who serves, and the Secrets (`SecretKeeper`), which are made once. Pure: the same for the same input.
 */
export function desiredObjects(gateSvr: GateSvr, inputs: DesiredInputs): KubeObject[] {
  const pairs = Array.from({ length: gateSvr.spec.pairs }, (_, index) => index);
  const templates = new PodTemplates(gateSvr, inputs);
  return [
    configMap(gateSvr),
    limitsConfigMap(gateSvr),
    fleetMap(gateSvr, inputs.drainingPairs ?? []),
    ...issuedCertificates(gateSvr),
    ...services(gateSvr),
    ...(gateSvr.spec.networkPolicy.enabled ? [networkPolicy(gateSvr)] : []),
    ...pairs.flatMap((index) => pairObjects(gateSvr, templates, index)),
  ];
}

/** What belongs to one pair alone. */
function pairObjects(gateSvr: GateSvr, templates: PodTemplates, index: number): DesiredObject[] {
  return [
    ...pairAccess(gateSvr, index),
    disruptionBudget(gateSvr, index),
    ...memberNames.map((member) => statefulSet(gateSvr, templates, index, member)),
  ];
}

/**
 * One pod. Two StatefulSets of one pod each: an update touches one member of a pair, and a member that fails meanwhile gets
 * the template back that it had.
 */
export function statefulSet(
  gateSvr: GateSvr,
  templates: PodTemplates,
  index: number,
  member: MemberName,
): DesiredObject {
  const names = namesOf(gateSvr);
  const labels = selectorLabels(gateSvr, index, member);
  const annotations = { [templateHashKey]: templates.hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metadataOf(gateSvr, names.statefulSet(index, member), { labels, annotations }),
    spec: {
      replicas: 1,
      serviceName: names.peers,
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      revisionHistoryLimit: revisionsKept,
      selector: { matchLabels: labels },
      template: templates.of(index, member),
    },
  };
}
