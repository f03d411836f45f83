import type { KubeClient, KubeObject, Resource } from './kube-api.ts';
import { LeaderElection } from './leader-election.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/log.ts';
import type { OperatorMetrics } from './metrics.ts';
import type { ObjectStore } from './object-store.ts';
import { type Reflected, Reflections } from './reflections.ts';
import type { WorkQueue } from './work-queue.ts';

/** What is done with the objects: work queues, and which of their keys a change concerns. */
export interface Controllers {
  readonly queues: ReadonlyMap<string, WorkQueue>;
  changed(resource: Resource, object: KubeObject | undefined, previous: KubeObject | undefined): void;
  /** It came or went: what only the leader does is to be looked at again. */
  leadershipChanged(): void;
  stop(): void;
}

export interface RuntimeView {
  storeOf<T extends KubeObject>(resource: Resource): ObjectStore<T> | undefined;
  isLeader(): boolean;
}

export interface LeaseChoice {
  readonly namespace: string;
  readonly name: string;
}

export interface RuntimeOptions {
  readonly client: KubeClient;
  /** With deadlines that leave time for several attempts before leadership is lost. */
  readonly electionClient: KubeClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: OperatorMetrics;
  /** Names this process; never the same twice. */
  readonly identity: string;
  readonly namespaces: readonly string[];
  readonly reflected: readonly Reflected[];
  /** undefined: it leads without asking. */
  readonly lease: LeaseChoice | undefined;
  readonly makeControllers: (view: RuntimeView) => Controllers;
  /** Another operator may lead now: this process must end. */
  readonly onLost: () => void;
}

/** Reflectors, queues and leadership put together, started and stopped in order. */
export class Runtime {
  #options: RuntimeOptions;
  #reflections: Reflections;
  #election: LeaderElection | undefined;
  #controllers: Controllers;
  #state: 'new' | 'running' | 'stopping' = 'new';

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#reflections = new Reflections({
      ...options,
      onChange: (resource, object, previous) => this.#controllers.changed(resource, object, previous),
    });
    this.#election = options.lease === undefined ? undefined : this.#makeElection(options.lease);
    this.#controllers = options.makeControllers({
      storeOf: (resource) => this.#reflections.storeOf(resource),
      isLeader: () => this.isLeader,
    });
    this.#observe(options.lease?.name ?? '');
  }

  get isLeader(): boolean {
    return this.#state === 'running' && (this.#election?.isLeader ?? true);
  }

  start(): void {
    this.#state = 'running';
    this.#reflections.start();
    this.#election?.start();
  }

  /** Ends what is under way, then gives leadership back: the next leader does not meet this one's work. */
  async stop(): Promise<void> {
    if (this.#state === 'stopping') return;
    // Until the queues have ended this process still holds the Lease, but begins nothing.
    this.#state = 'stopping';
    await Promise.all([...this.#controllers.queues.values()].map((queue) => queue.stop()));
    this.#controllers.stop();
    await Promise.all([this.#election?.stop(), this.#reflections.stop()]);
  }

  /** What only a restart of the process can mend. */
  healthProblems(): string[] {
    const nowMs = this.#options.clock.nowMs();
    const wedged = this.#reflections.wedged(nowMs).map((plural) => `watch of ${plural}: wedged`);
    const stuck = [...this.#controllers.queues].flatMap(([name, queue]) =>
      queue.stuckKeys(nowMs).map((key) => `queue ${name}: ${key}: stuck`),
    );
    return [...wedged, ...stuck];
  }

  /** Why it cannot do its work now. One that does not lead is ready too: it promotes backups, and leads when it must. */
  readyProblems(): string[] {
    if (this.#state !== 'running') return [this.#state === 'new' ? 'not started' : 'stopping'];
    return this.#reflections.unsynced().map((plural) => `${plural}: not listed yet`);
  }

  #makeElection(lease: LeaseChoice): LeaderElection {
    const { electionClient, identity, clock, random, log, onLost } = this.#options;
    return new LeaderElection({
      ...lease,
      client: electionClient,
      identity,
      clock,
      random,
      log,
      onElected: () => this.#controllers.leadershipChanged(),
      onLost,
    });
  }

  #observe(leaseName: string): void {
    const { metrics, clock } = this.#options;
    const runtime = this;
    const source = {
      get isLeader() {
        return runtime.isLeader;
      },
      stores: () => this.#reflections.figures(clock.nowMs()),
      running: () => this.#running(),
    };
    metrics.observe(source, leaseName);
  }

  *#running(): Iterable<readonly [string, readonly number[]]> {
    const nowMs = this.#options.clock.nowMs();
    for (const [name, queue] of this.#controllers.queues) yield [name, queue.runningMs(nowMs)];
  }
}
