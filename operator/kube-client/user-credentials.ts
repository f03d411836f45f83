import type { RequestOptions } from 'node:https';
import type { Cluster, User } from '@kubernetes/client-node/dist/config_types.js';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { type AccessEnvironment, ClusterAccessError, type Connection, type TlsSettings } from './cluster-access.ts';
import { WatchedFile } from './watched-file.ts';

/** The file that holds the user's token, where it has one. */
export function tokenFileOf(user: User): string | undefined {
  const file: unknown = user.authProvider?.config?.tokenFile;
  return typeof file === 'string' ? file : undefined;
}

/** What a kubeconfig's user proves itself with. */
export class UserCredentials {
  #cluster: Cluster;
  #user: User;
  #ca: WatchedFile | Buffer | undefined;
  #cert: WatchedFile | Buffer | undefined;
  #key: WatchedFile | Buffer | undefined;
  #token: WatchedFile | undefined;
  #exec = new ExecAuth();

  /** @throws ClusterAccessError when a file cannot be read */
  constructor(cluster: Cluster, user: User, environment: AccessEnvironment) {
    const source = (file: string | undefined, data: string | undefined): WatchedFile | Buffer | undefined => {
      if (file) return new WatchedFile(file, environment);
      return data ? Buffer.from(data, 'base64') : undefined;
    };
    this.#cluster = cluster;
    this.#user = user;
    this.#ca = source(cluster.caFile, cluster.caData);
    this.#cert = source(user.certFile, user.certData);
    this.#key = source(user.keyFile, user.keyData);
    const tokenFile = tokenFileOf(user);
    if (tokenFile !== undefined) this.#token = new WatchedFile(tokenFile, environment);
  }

  async connection(): Promise<Connection> {
    const { skipTLSVerify, tlsServerName } = this.#cluster;
    const plugin = await this.#fromPlugin();
    const tls: Record<keyof TlsSettings, unknown> = {
      ca: contents(this.#ca),
      cert: plugin.cert ?? contents(this.#cert),
      key: plugin.key ?? contents(this.#key),
      servername: tlsServerName,
      rejectUnauthorized: skipTLSVerify ? false : undefined,
    };
    return {
      tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
      headers: { ...this.#headers(), ...plugin.headers },
    };
  }

  refused(): void {
    for (const source of [this.#ca, this.#cert, this.#key, this.#token]) {
      if (source instanceof WatchedFile) source.expire();
    }
    this.#exec = new ExecAuth();
  }

  #headers(): Record<string, string> {
    const { token, username, password, impersonateUser } = this.#user;
    const headers: Record<string, string> = {};
    if (impersonateUser) headers['impersonate-user'] = impersonateUser;
    const bearer = token ?? contents(this.#token)?.toString('utf8').trim();
    if (bearer) headers['authorization'] = `Bearer ${bearer}`;
    else if (username) {
      headers['authorization'] = `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
    }
    return headers;
  }

  /** What the credential plugin gives; it is asked again only when that expires. */
  async #fromPlugin(): Promise<{ cert?: Buffer; key?: Buffer; headers: Record<string, string> }> {
    const given: RequestOptions = {};
    if (!this.#user.exec) return { headers: {} };
    try {
      await this.#exec.applyAuthentication(this.#user, given);
    } catch (error) {
      const why = error instanceof Error ? error.message.trim() : String(error);
      throw new ClusterAccessError(`${this.#user.exec.command}: ${why}`);
    }
    const authorization = (given.headers as Record<string, string> | undefined)?.['Authorization'];
    return {
      ...(given.cert === undefined ? {} : { cert: Buffer.from(String(given.cert)) }),
      ...(given.key === undefined ? {} : { key: Buffer.from(String(given.key)) }),
      headers: authorization === undefined ? {} : { authorization },
    };
  }
}

function contents(source: WatchedFile | Buffer | undefined): Buffer | undefined {
  return source instanceof WatchedFile ? source.contents() : source;
}
