/** A Kubernetes cluster to test on, whoever made it. */
export interface Cluster {
  /** Which provider made it. */
  readonly provider: ProviderName;
  /** By which the provider finds it again. */
  readonly name: string;
  readonly kubeconfigPath: string;
  /** The kubectl to use: a program and what comes first. */
  readonly kubectl: readonly [string, ...string[]];
  /** Puts an image archive (`docker save`) into every node; absent when the user has to see to it. */
  loadImage?(archivePath: string): Promise<void>;
  /** What can be done to its nodes; absent when the nodes are not ours. */
  readonly faults?: NodeFaults;
  /** Ends the cluster and removes everything of it. */
  down(): Promise<void>;
}

/** Nodes by the names that Kubernetes gives them. */
export interface NodeFaults {
  /** Nobody reaches the node's pods and kubelet any more, and they nobody; all of them run on. */
  cutNode(node: string): Promise<void>;
  joinNode(node: string): Promise<void>;
  /** Sends a signal to the first process of a container. */
  signalContainer(node: string, containerId: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
}

/** @throws Error when the cluster's nodes are not ours */
export function faultsOf({ provider, faults }: Cluster): NodeFaults {
  if (faults === undefined) throw new Error(`this test needs the cluster's nodes, which ${provider} does not give`);
  return faults;
}

export const providerNames = ['kind', 'existing', 'local'] as const;
export type ProviderName = (typeof providerNames)[number];

export interface Provider {
  readonly name: ProviderName;
  /** @returns what is missing, in one line; undefined when it can be used here */
  missing(): Promise<string | undefined>;
  /** Makes a cluster, with all nodes ready. @param keep it outlives this process */
  up(keep: boolean): Promise<Cluster>;
  /** One that was made before, by another process. @throws Error when it is gone */
  attach(name: string): Promise<Cluster>;
}

const startedMs = performance.now();

/** Says what takes long, with the seconds since the start. */
export function progress(text: string): void {
  process.stderr.write(`e2e ${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
}

/** Polls until `isDone` says true. @throws Error naming `what` */
export async function poll(what: string, deadlineMs: number, isDone: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + deadlineMs;
  while (!(await isDone())) {
    if (performance.now() > untilMs) throw new Error(`not within ${deadlineMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}
