import type { GateSvr } from '../api/gatesvr.ts';
import { durationMs } from '../lib/duration.ts';
import { advertisedAddress } from './fleet-map.ts';
import { configFileName, configMap, paths } from './gateway-config.ts';
import { hashOf, type MemberName, namesOf, podHost, ports, selectorLabels, templateHashKey } from './names.ts';
import { overlaid } from './overlay.ts';

/** What desired objects depend on besides the GateSvr. */
export interface DesiredInputs {
  /** Image of gateways when the GateSvr names none: of the operator's own version. */
  readonly defaultImage: string;
  /** Pairs beyond `spec.pairs` that still have sessions; gateways hear of them as leaving. */
  readonly drainingPairs?: readonly number[];
}

/** Of the image's user. */
const userId = 65532;
/** Group and owner may read secrets. */
const secretMode = 0o440;
/** For the switchover before a drain, and for closing after it. */
const graceBeyondDrainSeconds = 15;
const containerName = 'gateway';

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: unknown;
}

/** Names the template that the pods of a GateSvr should have; the same for all of them, and for nothing else. */
export function templateHash(gateSvr: GateSvr, inputs: DesiredInputs): string {
  return new PodTemplates(gateSvr, inputs).hash;
}

/** The templates of one GateSvr; what they share is worked out once. */
export class PodTemplates {
  /** The same for all members. */
  readonly hash: string;
  #common: Common;

  constructor(gateSvr: GateSvr, { defaultImage }: DesiredInputs) {
    this.#common = {
      gateSvr,
      image: gateSvr.spec.image ?? defaultImage,
      volumes: volumes(gateSvr, configMap(gateSvr).metadata.name),
    };
    this.hash = hashOf(templateOf(this.#common, 0, 'a'));
  }

  of(index: number, member: MemberName): PodTemplate {
    const template = templateOf(this.#common, index, member);
    const annotations = { ...template.metadata.annotations, [templateHashKey]: this.hash };
    return { ...template, metadata: { ...template.metadata, annotations } };
  }
}

interface Common {
  readonly gateSvr: GateSvr;
  readonly image: string;
  readonly volumes: readonly Volume[];
}

function templateOf(common: Common, index: number, member: MemberName): PodTemplate {
  const { gateSvr } = common;
  const { podTemplate: changes } = gateSvr.spec;
  const labels = {
    ...changes.labels,
    ...selectorLabels(gateSvr, index, member),
    'app.kubernetes.io/name': 'gatesvr',
    'app.kubernetes.io/component': 'gateway',
  };
  const spec = podSpec(common, index, member);
  return {
    metadata: { labels, annotations: { ...changes.annotations } },
    spec: changes.spec === undefined ? spec : overlaid(spec, changes.spec),
  };
}

function podSpec(common: Common, index: number, member: MemberName): object {
  const { gateSvr } = common;
  const { scheduling, update, imagePullSecrets } = gateSvr.spec;
  return {
    serviceAccountName: namesOf(gateSvr).pair(index),
    automountServiceAccountToken: true,
    // Variables of a Service named gatesvr would look like configuration.
    enableServiceLinks: false,
    terminationGracePeriodSeconds: Math.ceil(durationMs(update.drainTimeout) / 1000) + graceBeyondDrainSeconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: userId,
      runAsGroup: userId,
      fsGroup: userId,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    affinity: { podAntiAffinity: antiAffinity(gateSvr, index) },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: scheduling.spreadKey,
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: selectorLabels(gateSvr) },
      },
    ],
    ...(scheduling.nodeSelector === undefined ? {} : { nodeSelector: scheduling.nodeSelector }),
    ...(scheduling.tolerations === undefined ? {} : { tolerations: scheduling.tolerations }),
    ...(scheduling.priorityClassName === undefined ? {} : { priorityClassName: scheduling.priorityClassName }),
    ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }),
    containers: [container(common, index, member)],
    volumes: common.volumes,
  };
}

/** The two of a pair apart from each other. */
function antiAffinity(gateSvr: GateSvr, index: number): object {
  const { antiAffinity: wish, topologyKey } = gateSvr.spec.scheduling;
  const term = { topologyKey, labelSelector: { matchLabels: selectorLabels(gateSvr, index) } };
  return wish === 'Required'
    ? { requiredDuringSchedulingIgnoredDuringExecution: [term] }
    : { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] };
}

function container({ gateSvr, image, volumes }: Common, index: number, member: MemberName): object {
  const { imagePullPolicy, resources } = gateSvr.spec;
  return {
    name: containerName,
    image,
    imagePullPolicy,
    args: args(gateSvr, index, member),
    env: environment(gateSvr),
    envFrom: [{ configMapRef: { name: namesOf(gateSvr).limits } }],
    ports: [
      { name: 'quic', containerPort: ports.quic, protocol: 'UDP' },
      { name: 'http', containerPort: ports.http, protocol: 'TCP' },
      { name: 'grpc', containerPort: ports.grpc, protocol: 'TCP' },
      { name: 'metrics', containerPort: ports.metrics, protocol: 'TCP' },
      { name: 'heartbeat', containerPort: ports.heartbeat, protocol: 'TCP' },
      { name: 'sync', containerPort: ports.sync, protocol: 'TCP' },
    ],
    resources,
    // Often while it starts, so that a start of a second is seen as one.
    startupProbe: { ...probe('/health'), periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 2 },
    livenessProbe: { ...probe('/health'), periodSeconds: 5, failureThreshold: 6, timeoutSeconds: 5 },
    readinessProbe: { ...probe('/ready'), periodSeconds: 2, failureThreshold: 2, timeoutSeconds: 2 },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: volumes.map(({ name }) => ({ name, mountPath: mountPaths[name], readOnly: true })),
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

function probe(path: string): object {
  return { httpGet: { path, port: 'http' } };
}

/** What differs between the pods of a fleet. */
function args(gateSvr: GateSvr, index: number, member: MemberName): string[] {
  const peer = podHost(gateSvr, index, member === 'a' ? 'b' : 'a');
  const { advertise } = gateSvr.spec.quic;
  return [
    'gateway',
    `--config=${paths.config}/${configFileName}`,
    '--backup-server-id=$(POD_NAME)',
    // The first wish of a pair that has never run.
    `--backup-mode=${member === 'a' ? 'primary' : 'backup'}`,
    `--backup-heartbeat-peer-addr=${peer}:${ports.heartbeat}`,
    `--backup-sync-peer-addr=${peer}:${ports.sync}`,
    `--backup-kubernetes-lease-name=${namesOf(gateSvr).pair(index)}`,
    '--backup-kubernetes-namespace=$(POD_NAMESPACE)',
    '--backup-kubernetes-pod-uid=$(POD_UID)',
    `--fleet-pair-id=p${index}`,
    ...(advertise === undefined ? [] : [`--advertise-addr=${advertisedAddress(advertise, index)}`]),
  ];
}

/** What the operator sets stays, so it comes last and a variable of the same name is left out. */
function environment(gateSvr: GateSvr): object[] {
  const fields = {
    POD_NAME: 'metadata.name',
    POD_NAMESPACE: 'metadata.namespace',
    POD_UID: 'metadata.uid',
    POD_IP: 'status.podIP',
    NODE_NAME: 'spec.nodeName',
  };
  const own = Object.entries(fields).map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { fieldPath } } }));
  const added = (gateSvr.spec.podTemplate.env ?? []).filter(({ name }) => !(name in fields));
  return [...own, ...added];
}

type VolumeName = 'config' | 'fleet' | 'tls' | 'quic-tls' | 'pair' | 'auth' | 'redis';

const mountPaths: Readonly<Record<VolumeName, string>> = {
  config: paths.config,
  fleet: paths.fleet,
  tls: paths.grpcTls,
  'quic-tls': paths.quicTls,
  pair: paths.pair,
  auth: paths.auth,
  redis: paths.redis,
};

interface Volume {
  readonly name: VolumeName;
  readonly [source: string]: unknown;
}

function volumes(gateSvr: GateSvr, configName: string): Volume[] {
  const names = namesOf(gateSvr);
  const { quic, auth, directory } = gateSvr.spec;
  const secret = (name: VolumeName, secretName: string, items?: object[]) => ({
    name,
    secret: { secretName, defaultMode: secretMode, ...(items === undefined ? {} : { items }) },
  });
  const fromConfigMap = (name: VolumeName, configMapName: string, items?: object[]) => ({
    name,
    configMap: { name: configMapName, defaultMode: secretMode, ...(items === undefined ? {} : { items }) },
  });
  const password = directory.redis?.passwordSecret;
  const hmac = auth.mode === 'hmac' ? auth.hmac?.secret : undefined;
  const jwks = auth.mode === 'jwt' ? auth.jwt?.jwksConfigMap : undefined;
  return [
    fromConfigMap('config', configName),
    fromConfigMap('fleet', names.fleet),
    secret('tls', names.gatewayTls),
    secret('quic-tls', quic.tlsSecret?.name ?? names.clientTls),
    secret('pair', names.pairSecret, [{ key: 'secret', path: 'secret' }]),
    ...(hmac === undefined ? [] : [secret('auth', hmac.name, [{ key: hmac.key, path: 'secret' }])]),
    ...(jwks === undefined ? [] : [fromConfigMap('auth', jwks.name, [{ key: jwks.key, path: 'jwks.json' }])]),
    ...(password === undefined ? [] : [secret('redis', password.name, [{ key: password.key, path: 'password' }])]),
  ];
}
