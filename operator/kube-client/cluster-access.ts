/** How to reach the API server right now. */
export interface Connection {
  readonly tls: TlsSettings;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TlsSettings {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface ClusterAccess {
  readonly server: URL;
  /** The namespace that is meant where none is named: the pod's own, or the one of the kubeconfig's context. */
  readonly namespace: string;
  /** Files are read again when they may have changed: tokens and certificates rotate while the process runs. */
  connection(): Promise<Connection>;
  /** The API server took the credentials for wrong: the next `connection()` reads them anew. */
  refused(): void;
}

/** The file system and what else of the world is needed to find the cluster. */
export interface AccessEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws when there is no such file. */
  readonly readFile: (path: string) => Buffer;
  readonly nowMs: () => number;
}

/** What is wrong with a kubeconfig or a service account's files. */
export class ClusterAccessError extends Error {
  override readonly name = 'ClusterAccessError';
}
