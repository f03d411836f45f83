import type { Applier } from './apply.ts';
import type { DesiredInputs } from './desired/pod-template.ts';
import type { EventRecorder } from './events.ts';
import type { FailoverMetrics } from './failover-metrics.ts';
import type { KubeClient } from './kube-api.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { PairObserver } from './observe-pair.ts';
import type { StatusWriter } from './status.ts';
import type { Templates } from './templates.ts';
import type { WrittenObjects } from './written-objects.ts';

/** What the reconcilers work with. */
export interface OperatorContext {
  readonly client: KubeClient;
  readonly objects: WrittenObjects;
  readonly observer: PairObserver;
  readonly applier: Applier;
  readonly status: StatusWriter;
  readonly events: EventRecorder;
  readonly metrics: FailoverMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly inputs: DesiredInputs;
  readonly templates: Templates;
  /** An id that nothing had before. */
  readonly newId: () => string;
  /** Puts a pair ("NAMESPACE/NAME/pN") or a GateSvr ("NAMESPACE/NAME") on its queue. */
  readonly enqueuePair: (key: string) => void;
  readonly enqueueGateSvr: (key: string) => void;
}

/** What one step of a reconcile brought: look again at once, look again later, or nothing more to do. */
export type Step = 'again' | 'done' | { readonly requeueAfterMs: number };
