import type { KubeClient, KubeObject, Resource, WatchEvent } from './kube-api.ts';
import { KubeApiError } from './kube-api.ts';
import { backoffMs } from './lib/backoff.ts';
import { type Clock, sleep } from './lib/clock.ts';
import { errorMessage, type Logger, silentLogger } from './lib/log.ts';
import { Silence } from './lib/silence.ts';
import { type ObjectStore, objectKey, ReflectedStore } from './object-store.ts';

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly resource: Resource;
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly log?: Logger;
  /**
   * Called after the store has changed; `object` is undefined when it is gone, `previous` when it was not there. It should only
   * put keys on a queue. If it throws it is called again for this key, a little later.
   */
  readonly onChange: (key: string, object: T | undefined, previous: T | undefined) => void;
}

const pageItems = 500;
const relistMs = 600_000;
const watchSecondsMin = 240;
const watchSecondsMax = 480;
const errorBackoff = { firstMs: 200, maxMs: 30_000 };
/** A watch that ends sooner without any event has failed: to open it again at once would be a tight loop. */
const shortWatchMs = 1000;
const handlerRetryMs = 1000;
/** The longest a list may take, all pages together with their deadlines, before the loop counts as wedged. */
const listMs = 120_000;

/** Keeps a store equal to what the API server has, by list and watch, through everything that can happen to either. */
export class Reflector<T extends KubeObject> {
  #options: ReflectorOptions<T>;
  #log: Logger;
  #store = new ReflectedStore<T>();
  #stop = new AbortController();
  #running: Promise<void> | undefined;
  #failures = 0;
  /** Where the watch goes on; undefined: list first. */
  #resourceVersion: string | undefined;
  #relistAtMs = 0;
  /** Until then the loop does something by itself, or it is wedged. */
  #aliveUntilMs = Number.POSITIVE_INFINITY;
  /** Keys whose handler threw, with the object that it last was told of. */
  #untold = new Map<string, T | undefined>();
  #cancelRetell: () => void = () => {};

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
  }

  get store(): ObjectStore<T> {
    return this.#store;
  }

  get resource(): Resource {
    return this.#options.resource;
  }

  /** Begins to list and watch. */
  start(): void {
    this.#running ??= this.#loop();
  }

  /** @returns when nothing is under way any more */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancelRetell();
    await this.#running;
  }

  /** The loop has not come round in the longest time it may take: only a restart of the process helps. */
  wedged(nowMs: number): boolean {
    return nowMs > this.#aliveUntilMs;
  }

  async #loop(): Promise<void> {
    const { clock, random, resource } = this.#options;
    const signal = this.#stop.signal;
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined || clock.nowMs() >= this.#relistAtMs) await this.#list();
        await this.#watch();
        this.#failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.#failures += 1;
        if (needsList(error)) this.#resourceVersion = undefined;
        const asked = error instanceof KubeApiError ? error.retryAfterMs : 0;
        const waitMs = Math.max(asked, backoffMs(errorBackoff, this.#failures, random()));
        const fields = { resource: resource.plural, error: errorMessage(error), failures: this.#failures, waitMs };
        this.#log[this.#failures > 1 ? 'warn' : 'debug'](fields, 'list or watch failed');
        this.#aliveFor(waitMs);
        await sleep(clock, waitMs, signal);
      }
    }
  }

  async #list(): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector, clock, random } = this.#options;
    this.#aliveFor(0);
    const selection = { ...given({ namespace, labelSelector, fieldSelector }) };
    const items: T[] = [];
    let page = await client.list<T>(resource, { ...selection, limit: pageItems });
    items.push(...page.items);
    while (page.continueToken !== '' && !this.#stop.signal.aborted) {
      try {
        page = await client.list<T>(resource, { ...selection, limit: pageItems, continueToken: page.continueToken });
      } catch (error) {
        if (!(error instanceof KubeApiError && error.status === 410)) throw error;
        // The pages took longer than the server remembers: all in one, or it would happen again.
        items.length = 0;
        page = await client.list<T>(resource, selection);
      }
      items.push(...page.items);
    }
    if (this.#stop.signal.aborted) return;
    this.#resourceVersion = page.resourceVersion;
    this.#relistAtMs = clock.nowMs() + relistMs * (1 + random() / 10);
    this.#store.confirm(clock.nowMs());
    this.#replace(items);
  }

  #replace(items: readonly T[]): void {
    const gone = new Set(this.#store.keys());
    const changed: [string, T | undefined][] = [];
    for (const item of items) {
      const key = objectKey(item);
      const previous = this.#store.byKey(key);
      gone.delete(key);
      if (previous?.metadata.resourceVersion === item.metadata.resourceVersion) continue;
      this.#store.set(key, slim(item));
      changed.push([key, previous]);
    }
    for (const key of gone) {
      changed.push([key, this.#store.byKey(key)]);
      this.#store.delete(key);
    }
    for (const [key, previous] of changed) this.#tell(key, previous);
  }

  async #watch(): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector, clock, random } = this.#options;
    if (this.#stop.signal.aborted || this.#resourceVersion === undefined) return;
    const timeoutSeconds = Math.round(watchSecondsMin + random() * (watchSecondsMax - watchSecondsMin));
    const startedMs = clock.nowMs();
    const silence = new Silence(clock, this.#stop.signal, timeoutSeconds * 1500);
    const cancelRelist = clock.after(this.#relistAtMs - startedMs, () => silence.end());
    this.#aliveFor(timeoutSeconds * 1500);
    let events = 0;
    try {
      const options = { ...given({ namespace, labelSelector, fieldSelector }), timeoutSeconds };
      const from = { ...options, resourceVersion: this.#resourceVersion };
      for await (const event of client.watch<T>(resource, from, silence.signal)) {
        if (this.#stop.signal.aborted) return;
        events += 1;
        this.#failures = 0;
        this.#aliveFor(timeoutSeconds * 1500);
        silence.heard(event.type === 'BOOKMARK');
        this.#take(event);
      }
    } catch (error) {
      // One that was ended here goes on at once; so does none that the server refuses.
      if (!silence.ended || needsList(error)) throw error;
      if (silence.silent) this.#log.warn({ resource: resource.plural, events }, 'watch was silent, connecting again');
      return;
    } finally {
      cancelRelist();
      silence.end();
    }
    if (events === 0 && clock.nowMs() - startedMs < shortWatchMs) throw new ShortWatchError();
    this.#store.confirm(clock.nowMs());
  }

  #take(event: WatchEvent<T>): void {
    this.#store.confirm(this.#options.clock.nowMs());
    if (event.type === 'BOOKMARK') {
      this.#resourceVersion = event.resourceVersion;
      return;
    }
    const key = objectKey(event.object);
    const previous = this.#store.byKey(key);
    if (event.type === 'DELETED') this.#store.delete(key);
    else this.#store.set(key, slim(event.object));
    this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion;
    this.#tell(key, previous);
  }

  /** A handler that throws must not lose the change: it is told again what it missed. */
  #tell(key: string, previous: T | undefined): void {
    const before = this.#untold.has(key) ? this.#untold.get(key) : previous;
    try {
      this.#options.onChange(key, this.#store.byKey(key), before);
      this.#untold.delete(key);
    } catch (error) {
      this.#log.error({ resource: this.#options.resource.plural, key, error: errorMessage(error) }, 'handler failed');
      this.#untold.set(key, before);
      this.#cancelRetell();
      this.#cancelRetell = this.#options.clock.after(handlerRetryMs, () => {
        for (const [each, seen] of [...this.#untold]) this.#tell(each, seen);
      });
    }
  }

  #aliveFor(ms: number): void {
    this.#aliveUntilMs = this.#options.clock.nowMs() + ms + listMs;
  }
}

/** The options that have a value. */
function given(options: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Who manages which field is a third of an object, and nobody here reads it. */
function slim<T extends KubeObject>(object: T): T {
  const metadata: Record<string, unknown> = { ...object.metadata };
  delete metadata['managedFields'];
  return { ...object, metadata };
}

/** After no answer at all, or being told to wait, a watch may go on where it was; after anything else the server's word counts. */
function needsList(error: unknown): boolean {
  if (error instanceof ShortWatchError) return false;
  return !(error instanceof KubeApiError && (error.status === 0 || error.status === 429));
}

class ShortWatchError extends Error {
  override readonly name = 'ShortWatchError';

  constructor() {
    super('the watch ended at once without an event');
  }
}
