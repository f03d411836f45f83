import { setTimeout as passed } from 'node:timers/promises';
import { errorMessage } from '../lib/errors.ts';
import type { Arbiter, ArbiterAnswer, ArbiterRequest, Lease } from './arbiter.ts';
import { type LeaseApi, LeaseHttpError, type LeaseWatchEvent } from './lease-http.ts';
import { type LeaseObject, leaseObjectFor, leaseObjectOf, leaseOf, tokenOf } from './lease-object.ts';

/** How long an answer waits after failures in a row, so that a server in trouble is not asked more and more. */
const backoffMs = { first: 50, max: 1_000 };
/** Two writers meet now and then; a write that is refused more often than this in a row has another reason. */
const conflictsUsual = 3;
/** The same for the watch, which may stay away longer: the Lease is read now and then as well. */
const watchBackoffMs = { first: 100, max: 5_000 };

export interface KubernetesArbiterOptions {
  readonly api: LeaseApi;
  readonly namespace: string;
  readonly name: string;
  /** The Lease changed, or may have while nobody watched: it should be read. */
  readonly changed: () => void;
  /** What does not work, once for each reason; '' when it works again. */
  readonly onProblem: (problem: string) => void;
  /** From 0 to 1. */
  readonly random: () => number;
}

/**
 * The Lease of one shard in Kubernetes: every change is a compare-and-swap on its resourceVersion. Without an answer
 * the outcome of a write is unknown (design §5, rule 2); whatever was written by hand into the Lease is an error that is
 * told, and then nothing is known.
 */
export class KubernetesArbiter implements Arbiter {
  #options: KubernetesArbiterOptions;
  /** As last read or written; undefined when there was none, or none that can be understood. */
  #object: LeaseObject | undefined;
  #lease: Lease | undefined;
  #failures = 0;
  #conflicts = 0;
  #problems = { call: '', watch: '' };
  #told = '';
  #stopped = new AbortController();

  constructor(options: KubernetesArbiterOptions) {
    this.#options = options;
  }

  ask(request: ArbiterRequest, answered: (answer: ArbiterAnswer) => void): void {
    void this.#answer(request).then(answered);
  }

  /** Watches the Lease until `stop`. */
  start(): void {
    void this.#watch();
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #answer(request: ArbiterRequest): Promise<ArbiterAnswer> {
    try {
      const answer = request.kind === 'read' ? await this.#read() : await this.#swap(request);
      this.#failures = 0;
      if (answer.kind === 'swapped') this.#conflicts = 0;
      if (this.#conflicts === 0) this.#tell('call', '');
      return answer;
    } catch (error) {
      if (isRefusedWrite(error, request)) return this.#refused(errorMessage(error));
      this.#tell('call', errorMessage(error));
      await this.#pause(this.#failures, backoffMs);
      this.#failures += 1;
      return { kind: 'unknown' };
    }
  }

  async #read(): Promise<ArbiterAnswer> {
    const read = await this.#options.api.read();
    this.#take(undefined);
    if (read !== undefined) this.#take(leaseObjectOf(read));
    return { kind: 'lease', lease: this.#lease };
  }

  async #swap({ expected, next }: ArbiterRequest & { kind: 'swap' }): Promise<ArbiterAnswer> {
    // Another version was seen since: this write would be refused.
    if (expected?.token !== this.#lease?.token) return { kind: 'conflict' };
    const written = leaseObjectOf(await this.#options.api.write(leaseObjectFor(this.#options, this.#object, next)));
    this.#take(written);
    if (this.#lease === undefined) throw new LeaseHttpError('the Lease that was written came back empty', 0);
    return { kind: 'swapped', lease: this.#lease };
  }

  /** @throws LeaseContentError; then nothing is held to be known. */
  #take(object: LeaseObject | undefined): void {
    this.#object = undefined;
    this.#lease = undefined;
    if (object === undefined) return;
    this.#lease = leaseOf(object);
    this.#object = object;
  }

  async #refused(why: string): Promise<ArbiterAnswer> {
    this.#conflicts += 1;
    if (this.#conflicts > conflictsUsual) {
      this.#tell('call', why);
      await this.#pause(this.#conflicts - conflictsUsual, backoffMs);
    }
    return { kind: 'conflict' };
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopped;
    let version = '';
    let failures = 0;
    const onEvent = (event: LeaseWatchEvent) => {
      failures = 0;
      this.#tell('watch', '');
      version = versionOf(event) ?? version;
      if (event.type !== 'BOOKMARK' && !this.#isKnown(event)) this.#options.changed();
    };
    while (!signal.aborted) {
      try {
        await this.#options.api.watch(version, onEvent, signal);
        await this.#pause(0, watchBackoffMs);
      } catch (error) {
        if (signal.aborted) return;
        // 410: what was last seen is no longer kept; the present object comes first then.
        if (error instanceof LeaseHttpError && error.status === 410) version = '';
        else this.#tell('watch', errorMessage(error));
        await this.#pause(failures, watchBackoffMs);
        failures += 1;
        this.#options.changed();
      }
    }
  }

  /** Our own write, or what was read already. */
  #isKnown({ type, object }: LeaseWatchEvent): boolean {
    if (type === 'DELETED') return this.#object === undefined;
    try {
      return this.#object !== undefined && tokenOf(leaseObjectOf(object)) === tokenOf(this.#object);
    } catch {
      return false;
    }
  }

  async #pause(failures: number, { first, max }: { first: number; max: number }): Promise<void> {
    const delayMs = Math.min(max, first * 2 ** Math.min(failures, 10)) * (0.5 + this.#options.random() / 2);
    await passed(delayMs, undefined, { signal: this.#stopped.signal, ref: false }).catch(() => {});
  }

  #tell(about: 'call' | 'watch', problem: string): void {
    this.#problems = { ...this.#problems, [about]: problem };
    const { namespace, name, onProblem } = this.#options;
    const said = this.#problems.call || this.#problems.watch;
    if (said === this.#told) return;
    this.#told = said;
    onProblem(said === '' ? '' : `Lease ${namespace}/${name}: ${said}`);
  }
}

/** The API server says that this write did not happen: another version (409), gone (404), there already (422: without a version). */
function isRefusedWrite(error: unknown, { kind }: ArbiterRequest): boolean {
  return kind === 'swap' && error instanceof LeaseHttpError && [404, 409, 422].includes(error.status);
}

function versionOf({ object }: LeaseWatchEvent): string | undefined {
  const version = (object as { metadata?: { resourceVersion?: unknown } } | undefined)?.metadata?.resourceVersion;
  return typeof version === 'string' ? version : undefined;
}
