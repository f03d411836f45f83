import { gatewayImage } from '../images.ts';

export interface Container {
  readonly name?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly object[];
  readonly readinessProbe?: object;
  readonly livenessProbe?: object;
  readonly startupProbe?: object;
  readonly image?: string;
  readonly volumeMounts?: readonly object[];
}

export interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly restartPolicy?: 'Always' | 'Never';
  readonly volumes?: readonly object[];
}

/** A pod of the gateway's image, as the restricted Pod Security level wants it, and with a read-only root. */
export function restrictedPod(name: string, containers: readonly Container[], options: PodOptions = {}): object {
  const { labels = {}, restartPolicy = 'Always', volumes = [] } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name, ...labels } },
    spec: {
      restartPolicy,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: containers.map((container) => ({
        name: 'main',
        image: gatewayImage,
        imagePullPolicy: 'IfNotPresent',
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        ...container,
      })),
      volumes,
    },
  };
}
