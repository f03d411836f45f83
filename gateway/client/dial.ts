import { errorMessage } from '../lib/errors.ts';
import type { ConnectionId } from '../transport/transport.ts';
import type { ClientHub, ConnectionOwner } from './client-hub.ts';
import type { ResolvedEndpoint } from './resolve.ts';

/** RFC 8305, section 5: the next address gets its chance when the ones before have not answered for this long. */
const nextAddressMs = 250;

export interface DialResult {
  /** Only the owner given to `hub.handOver` hears of the connection from now on. */
  opened(connection: ConnectionId): void;
  failed(reason: string): void;
}

/** One try to reach an endpoint: resolves its name, dials its addresses one after the other, keeps the first that answers. */
export class Dial {
  readonly #hub: ClientHub;
  readonly #result: DialResult;
  readonly #pending = new Set<ConnectionId>();
  #untried: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  /** @param serverName for certificate verification; empty: the endpoint's host. */
  constructor(hub: ClientHub, endpoint: string, serverName: string, result: DialResult) {
    this.#hub = hub;
    this.#result = result;
    hub.resolver.resolve(endpoint).then(
      (resolved) => this.#begin(resolved, serverName),
      (error) => this.#fail(errorMessage(error)),
    );
  }

  /** Gives up; the result hears nothing. */
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const connection of this.#pending) this.#hub.close(connection, 0, '');
    this.#pending.clear();
  }

  #begin(resolved: ResolvedEndpoint, serverName: string): void {
    if (this.#over) return;
    this.#untried = [...resolved.addresses];
    this.#next(resolved.port, serverName === '' ? resolved.host : serverName);
  }

  #next(port: number, serverName: string): void {
    clearTimeout(this.#timer);
    const address = this.#untried.shift();
    if (address === undefined) return;
    if (this.#untried.length > 0) this.#timer = setTimeout(() => this.#next(port, serverName), nextAddressMs);
    try {
      this.#pending.add(this.#hub.connect(address, port, serverName, this.#owner(port, serverName)));
    } catch (error) {
      this.#lost(`${address}: ${errorMessage(error)}`, port, serverName);
    }
  }

  #owner(port: number, serverName: string): ConnectionOwner {
    return {
      opened: (connection) => {
        this.#pending.delete(connection);
        this.cancel();
        this.#result.opened(connection);
      },
      closed: (connection, cause) => {
        this.#pending.delete(connection);
        this.#lost(cause.reason || cause.origin, port, serverName);
      },
      frame: () => {},
      writable: () => {},
    };
  }

  #lost(reason: string, port: number, serverName: string): void {
    if (this.#untried.length > 0) this.#next(port, serverName);
    else if (this.#pending.size === 0) this.#fail(reason);
  }

  #fail(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#result.failed(reason);
  }
}
