import type {
  DeleteOptions,
  KubeClient,
  KubeObject,
  ListOptions,
  ListPage,
  Resource,
  WatchEvent,
  WatchOptions,
} from '../kube-api.ts';
import { KubeApiError } from '../kube-api.ts';
import { ApiStore } from './api-store.ts';

export type WriteVerb = 'create' | 'replace' | 'apply' | 'applyStatus' | 'patch' | 'delete';

export interface Write {
  /** From 1, of this client. */
  readonly number: number;
  readonly verb: WriteVerb;
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  /** What is to be written; nothing for a delete. */
  readonly body: object | undefined;
}

export interface MemoryKubeOptions {
  /** Shared by all who are to see the same cluster; a new one when absent. */
  readonly store?: ApiStore;
  readonly fieldManager?: string;
  /** Throws, or never resolves, where the write is not to happen. */
  readonly beforeWrite?: (write: Write) => Promise<void> | void;
  /** Throws, or never resolves, where the write is to happen without an answer. */
  readonly afterWrite?: (write: Write) => Promise<void> | void;
  /** Before a get, list or watch. */
  readonly beforeRead?: (verb: 'get' | 'list' | 'watch', resource: Resource) => Promise<void> | void;
}

/** A Kubernetes API in this process, for one client; several can share a store. */
export class MemoryKube implements KubeClient {
  readonly store: ApiStore;
  /** All that was written through this client, those that failed too. */
  readonly writes: Write[] = [];
  #options: MemoryKubeOptions;
  #manager: string;
  #dead = false;

  constructor(options: MemoryKubeOptions = {}) {
    this.#options = options;
    this.store = options.store ?? new ApiStore();
    this.#manager = options.fieldManager ?? 'gatesvr-operator';
  }

  /** The process that used this client has died: no call that is under way, and none that comes, ever ends. */
  kill(): void {
    this.#dead = true;
  }

  get killed(): boolean {
    return this.#dead;
  }

  async get<T extends KubeObject>(resource: Resource, namespace: string, name: string): Promise<T | undefined> {
    await this.#beforeRead('get', resource);
    return this.#answer(this.store.get<T>(resource, namespace, name));
  }

  async list<T extends KubeObject>(resource: Resource, options: ListOptions): Promise<ListPage<T>> {
    await this.#beforeRead('list', resource);
    return this.#answer(this.store.list<T>(resource, options));
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    await this.#beforeRead('watch', resource);
    const waiting: WatchEvent<T>[] = [];
    let wake = (): void => {};
    const abort = (): void => wake();
    signal.addEventListener('abort', abort);
    const cancel = this.store.subscribe(resource, options, (event) => {
      waiting.push(event as WatchEvent<T>);
      wake();
    });
    try {
      for (;;) {
        if (signal.aborted) throw new KubeApiError('watch: aborted', { status: 0, cause: signal.reason });
        const next = waiting.shift();
        if (next !== undefined && !this.#dead) yield next;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      cancel();
      signal.removeEventListener('abort', abort);
    }
  }

  create<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    return this.#write('create', resource, object, () => this.store.create(resource, object), object);
  }

  replace<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    return this.#write('replace', resource, object, () => this.store.replace(resource, object), object);
  }

  apply<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    return this.#write('apply', resource, object, () => this.store.apply(resource, object, this.#manager), object);
  }

  applyStatus<T extends KubeObject>(resource: Resource, object: T, part?: string): Promise<T> {
    const manager = part === undefined ? this.#manager : `${this.#manager}/${part}`;
    const run = () => this.store.apply(resource, object, manager, 'status');
    return this.#write('applyStatus', resource, object, run, object);
  }

  patch<T extends KubeObject>(resource: Resource, namespace: string, name: string, patch: object): Promise<T> {
    const target = { metadata: { namespace, name } };
    return this.#write('patch', resource, target, () => this.store.patch<T>(resource, namespace, name, patch), patch);
  }

  async delete(resource: Resource, namespace: string, name: string, options: DeleteOptions = {}): Promise<void> {
    const remove = (): void => {
      try {
        this.store.delete(resource, namespace, name, options);
      } catch (error) {
        if (!(error instanceof KubeApiError && error.status === 404)) throw error;
      }
    };
    await this.#write('delete', resource, { metadata: { namespace, name } }, remove, undefined);
  }

  async #beforeRead(verb: 'get' | 'list' | 'watch', resource: Resource): Promise<void> {
    // Even the quickest answer comes in a later turn.
    await this.#answer(undefined);
    await this.#options.beforeRead?.(verb, resource);
  }

  async #write<T>(
    verb: WriteVerb,
    resource: Resource,
    { metadata }: { readonly metadata: { readonly namespace?: string; readonly name: string } },
    run: () => T,
    body: object | undefined,
  ): Promise<T> {
    await this.#answer(undefined);
    const { name, namespace = '' } = metadata;
    const write: Write = { number: this.writes.length + 1, verb, resource, namespace, name, body };
    this.writes.push(write);
    await this.#options.beforeWrite?.(write);
    await this.#answer(undefined);
    const result = run();
    await this.#options.afterWrite?.(write);
    return this.#answer(result);
  }

  #answer<T>(value: T): Promise<T> {
    return this.#dead ? new Promise(() => {}) : Promise.resolve(value);
  }
}
