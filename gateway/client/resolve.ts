import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { parseAddress } from '../lib/address.ts';

export interface ResolvedEndpoint {
  /** The name or address before the port, for certificate verification. */
  readonly host: string;
  readonly port: number;
  /** IP addresses in the order to try. */
  readonly addresses: readonly string[];
}

export type Lookup = (host: string) => Promise<readonly string[]>;

const addressesMax = 4;
const keepMs = 5_000;
const keepEntriesMax = 1_024;

/** The system's resolver, both families. */
export const systemLookup: Lookup = async (host) => {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
};

/** Turns endpoints into addresses; answers are kept for a moment, because many clients of one process ask the same. */
export class Resolver {
  readonly #lookup: Lookup;
  readonly #nowMs: () => number;
  readonly #known = new Map<string, { readonly untilMs: number; readonly addresses: Promise<readonly string[]> }>();

  constructor(lookup: Lookup, nowMs: () => number) {
    this.#lookup = lookup;
    this.#nowMs = nowMs;
  }

  /** @throws Error when the endpoint is not "host:port", or the name is unknown. */
  async resolve(endpoint: string): Promise<ResolvedEndpoint> {
    const parsed = parseAddress(endpoint);
    if (parsed === undefined || parsed.port === 0) throw new Error(`${endpoint}: expected host:port`);
    const { host, port } = parsed;
    // An empty host listens everywhere; who dials it means this machine.
    if (host === '') return { host: 'localhost', port, addresses: ['127.0.0.1', '::1'] };
    if (isIP(host) !== 0) return { host, port, addresses: [host] };
    const addresses = (await this.#addressesOf(host)).slice(0, addressesMax);
    if (addresses.length === 0) throw new Error(`${host}: no address`);
    return { host, port, addresses };
  }

  #addressesOf(host: string): Promise<readonly string[]> {
    const nowMs = this.#nowMs();
    const known = this.#known.get(host);
    if (known !== undefined && known.untilMs > nowMs) return known.addresses;
    if (this.#known.size >= keepEntriesMax) this.#known.clear();
    const addresses = this.#lookup(host);
    this.#known.set(host, { untilMs: nowMs + keepMs, addresses });
    addresses.catch(() => this.#known.delete(host));
    return addresses;
  }
}
