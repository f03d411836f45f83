/** What the operator needs of the Kubernetes API; `kube-client.ts` is the adapter to the client library. */

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  /** 0: deleted by force. */
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** A resource of the API, for example `{ group: 'apps', version: 'v1', kind: 'StatefulSet', plural: 'statefulsets', namespaced: true }`. */
export interface Resource {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continueToken?: string;
  readonly resourceVersion?: string;
}

export interface ListPage<T extends KubeObject> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** '' on the last page. */
  readonly continueToken: string;
}

export interface WatchOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion: string;
  readonly timeoutSeconds: number;
}

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface DeleteOptions {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
}

/**
 * Every call has a deadline of its own and throws `KubeApiError`; a call that got no answer throws one with status 0 (the
 * write may have happened).
 */
export interface KubeClient {
  /** @returns undefined when there is no such object */
  get<T extends KubeObject>(resource: Resource, namespace: string, name: string): Promise<T | undefined>;
  list<T extends KubeObject>(resource: Resource, options: ListOptions): Promise<ListPage<T>>;
  /** Ends when the server ends it; throws on an ERROR event (its status, 410 among them) and on a cut stream. */
  watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: Resource, object: T): Promise<T>;
  /** Writes the whole object; with `metadata.resourceVersion` it is a compare-and-swap (409 when somebody was faster). */
  replace<T extends KubeObject>(resource: Resource, object: T): Promise<T>;
  /**
   * Server-side apply with the operator's field manager, forced; with `metadata.resourceVersion` it is a compare-and-swap
   * too.
   */
  apply<T extends KubeObject>(resource: Resource, object: T): Promise<T>;
  /**
   * Server-side apply on the status subresource. Parts of a status that are written apart (a pair's, a condition's) have a
   * field manager each: an apply removes what its manager applied before and now leaves out.
   * @param manager appended to the operator's field manager: `gatesvr-operator/p0`
   */
  applyStatus<T extends KubeObject>(resource: Resource, object: T, manager?: string): Promise<T>;
  /** Merge patch (RFC 7386). */
  patch<T extends KubeObject>(resource: Resource, namespace: string, name: string, patch: object): Promise<T>;
  /** An object that is already gone is no error. */
  delete(resource: Resource, namespace: string, name: string, options?: DeleteOptions): Promise<void>;
}

/** An answer of the API server that is not success; status 0: none came. */
export class KubeApiError extends Error {
  readonly status: number;
  /** As in `metav1.Status`: 'Conflict', 'NotFound', 'AlreadyExists', 'Expired', …; '' when none came. */
  readonly reason: string;
  readonly retryAfterMs: number;

  constructor(message: string, options: { status: number; reason?: string; retryAfterMs?: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'KubeApiError';
    this.status = options.status;
    this.reason = options.reason ?? '';
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}
