import { spawnSync } from 'node:child_process';
import { type HelmResult, helm, helmProgram } from './helm.ts';

/** helm and kubectl against one API server. */
export class ChartCluster {
  #helm = helmProgram(process.env);
  #kubeconfig: string;

  constructor(kubeconfig: string) {
    this.#kubeconfig = kubeconfig;
  }

  helm(...args: readonly string[]): HelmResult {
    return helm(this.#helm, [...args, '--kubeconfig', this.#kubeconfig]);
  }

  /** Renders the operator's chart as for a cluster of this version. */
  render(sets: readonly string[]): HelmResult {
    const flags = sets.flatMap((set) => ['--set-json', set]);
    const where = ['--namespace', 'gatesvr-system', '--kube-version', '1.34.0'];
    return helm(this.#helm, ['template', 'gatesvr', 'charts/gatesvr', ...where, ...flags]);
  }

  kubectl(args: readonly string[], input = ''): HelmResult {
    const { status, stdout, stderr } = spawnSync('kubectl', ['--kubeconfig', this.#kubeconfig, ...args], {
      encoding: 'utf8',
      input,
    });
    return { status: status ?? 1, stdout, stderr };
  }

  /** @throws Error with what it said */
  must(args: readonly string[], input = ''): string {
    const { status, stdout, stderr } = this.kubectl(args, input);
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}

/** Kinds of others that the charts make objects of, without what these fields mean. */
export const monitoringKinds = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule']
  .map((kind) => {
    const plural = `${kind.toLowerCase()}s`;
    return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: ${plural}.monitoring.coreos.com }
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: { kind: ${kind}, plural: ${plural}, singular: ${kind.toLowerCase()}, listKind: ${kind}List }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
`;
  })
  .join('---\n');
