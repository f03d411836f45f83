import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
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
import type { Clock } from '../lib/clock.ts';
import { sleep } from '../lib/clock.ts';
import { apiVersionOf } from '../resources.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { type Call, Requester, unanswered } from './requester.ts';
import { resourcePath } from './resource-path.ts';
import { errorOf } from './status-error.ts';
import { watchEvents } from './watch-stream.ts';

/** rest_client_requests_total */
export interface RequestMetrics {
  /** @param code the HTTP status, or '<error>' when no answer came, as client-go says it */
  requested(method: string, code: string): void;
}

export interface HttpKubeClientOptions {
  readonly access: ClusterAccess;
  readonly clock: Clock;
  readonly metrics: RequestMetrics;
  readonly fieldManager: string;
  readonly userAgent: string;
  /** For each call, whatever happens in it. */
  readonly callTimeoutMs?: number;
}

const callTimeoutMs = 10_000;
const applyType = 'application/apply-patch+yaml';
const mergeType = 'application/merge-patch+json';

/** The API server over HTTP. */
export class HttpKubeClient implements KubeClient {
  #requester: Requester;
  #options: HttpKubeClientOptions;
  #timeoutMs: number;

  constructor(options: HttpKubeClientOptions) {
    this.#options = options;
    this.#requester = new Requester(options.access, options.userAgent);
    this.#timeoutMs = options.callTimeoutMs ?? callTimeoutMs;
  }

  async get<T extends KubeObject>(resource: Resource, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await this.#call<T>({ method: 'GET', path: resourcePath(resource, { namespace, name }) });
    } catch (error) {
      if (error instanceof KubeApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list<T extends KubeObject>(resource: Resource, options: ListOptions): Promise<ListPage<T>> {
    const { namespace, labelSelector, fieldSelector, limit, continueToken, resourceVersion } = options;
    const query = { labelSelector, fieldSelector, limit, continue: continueToken, resourceVersion };
    const path = resourcePath(resource, { namespace }, query);
    const list = await this.#call<RawList<T>>({ method: 'GET', path });
    const { apiVersion, kind } = { apiVersion: apiVersionOf(resource), kind: resource.kind };
    return {
      // Items of a list do not say what they are.
      items: (list.items ?? []).map((item) => ({ ...item, apiVersion, kind })),
      resourceVersion: list.metadata?.resourceVersion ?? '',
      continueToken: list.metadata?.continue ?? '',
    };
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds } = options;
    const query = {
      labelSelector,
      fieldSelector,
      resourceVersion,
      timeoutSeconds,
      watch: true,
      allowWatchBookmarks: true,
    };
    const call: Call = { method: 'GET', path: resourcePath(resource, { namespace }, query) };
    const abort = new AbortController();
    const outer = (): void => abort.abort(signal.reason);
    if (signal.aborted) outer();
    signal.addEventListener('abort', outer);
    const cancel = this.#options.clock.after(this.#timeoutMs, () => abort.abort(timeoutError(this.#timeoutMs)));
    try {
      const answer = await this.#send(call, abort.signal, true);
      cancel();
      if (answer.statusCode !== 200) throw await this.#refusal(call, answer);
      yield* watchEvents<T>(answer, call, abort.signal);
    } finally {
      cancel();
      signal.removeEventListener('abort', outer);
      abort.abort();
    }
  }

  create<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    const path = resourcePath(resource, { namespace: object.metadata.namespace }, this.#manager());
    return this.#call({ method: 'POST', path, body: object });
  }

  replace<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    return this.#call({ method: 'PUT', path: resourcePath(resource, object.metadata, this.#manager()), body: object });
  }

  apply<T extends KubeObject>(resource: Resource, object: T): Promise<T> {
    const path = resourcePath(resource, object.metadata, { ...this.#manager(), force: true });
    return this.#call({ method: 'PATCH', path, body: object, contentType: applyType });
  }

  applyStatus<T extends KubeObject>(resource: Resource, object: T, manager?: string): Promise<T> {
    const query = { ...this.#manager(manager), force: true };
    const path = resourcePath(resource, { ...object.metadata, subresource: 'status' }, query);
    return this.#call({ method: 'PATCH', path, body: object, contentType: applyType });
  }

  patch<T extends KubeObject>(resource: Resource, namespace: string, name: string, patch: object): Promise<T> {
    const path = resourcePath(resource, { namespace, name }, this.#manager());
    return this.#call({ method: 'PATCH', path, body: patch, contentType: mergeType });
  }

  async delete(resource: Resource, namespace: string, name: string, options: DeleteOptions = {}): Promise<void> {
    const { uid, resourceVersion, gracePeriodSeconds } = options;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      gracePeriodSeconds,
      preconditions: uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion },
    };
    try {
      await this.#call({ method: 'DELETE', path: resourcePath(resource, { namespace, name }), body });
    } catch (error) {
      if (!(error instanceof KubeApiError && error.status === 404)) throw error;
    }
  }

  /** Closes all connections; calls under way fail. */
  close(): void {
    this.#requester.close();
  }

  #manager(part?: string): { readonly fieldManager: string } {
    const { fieldManager } = this.#options;
    return { fieldManager: part === undefined ? fieldManager : `${fieldManager}/${part}` };
  }

  /** One call with its deadline. Being told to wait is obeyed as long as the deadline allows; nothing was written then. */
  async #call<T>(call: Call): Promise<T> {
    const { clock } = this.#options;
    const abort = new AbortController();
    const untilMs = clock.nowMs() + this.#timeoutMs;
    const cancel = clock.after(this.#timeoutMs, () => abort.abort(timeoutError(this.#timeoutMs)));
    try {
      for (;;) {
        const answer = await this.#send(call, abort.signal, false);
        if (isSuccess(answer)) return await this.#body<T>(call, answer, abort.signal);
        const error = await this.#refusal(call, answer);
        const mayAgain = error.status === 429 && clock.nowMs() + error.retryAfterMs < untilMs;
        if (!mayAgain || error.retryAfterMs === 0) throw error;
        await sleep(clock, error.retryAfterMs, abort.signal);
      }
    } finally {
      cancel();
    }
  }

  async #send(call: Call, signal: AbortSignal, isWatch: boolean): Promise<IncomingMessage> {
    const { metrics } = this.#options;
    try {
      const answer = await this.#requester.send(call, signal, isWatch);
      metrics.requested(call.method, String(answer.statusCode));
      return answer;
    } catch (error) {
      metrics.requested(call.method, '<error>');
      throw error;
    }
  }

  async #body<T>(call: Call, answer: IncomingMessage, signal: AbortSignal): Promise<T> {
    try {
      return JSON.parse(await text(answer));
    } catch (error) {
      throw unanswered(call, error, signal);
    }
  }

  async #refusal(call: Call, answer: IncomingMessage): Promise<KubeApiError> {
    if (answer.statusCode === 401) this.#requester.refused();
    return errorOf(call, answer, await text(answer).catch(() => ''));
  }
}

interface RawList<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[];
}

function isSuccess({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

function timeoutError(ms: number): Error {
  return new Error(`not within ${ms} ms`);
}
