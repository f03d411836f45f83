import { parse } from 'yaml';
import { parseAddress } from '../lib/address.ts';
import { type Candidate, Rendezvous } from './rendezvous.ts';

const pairsMax = 1_000;
const endpointsMax = 16;
const weightMax = 1_000;
/** Also part of session ids, so that whoever has one knows where it began; no dot. */
const pairIdPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** active: owns its share of the users. draining: owns none, and keeps what it has until that has moved. */
export type PairState = 'active' | 'draining';

export interface FleetPair extends Candidate {
  readonly id: string;
  /** Where clients find its gateways, the likely primary first. */
  readonly clientEndpoints: readonly string[];
  /** Where zones and other gateways find them (gRPC). */
  readonly zoneEndpoints: readonly string[];
  readonly state: PairState;
}

/** A fleet map that cannot be used: says where, what it found, and what was expected. */
class FleetMapError extends Error {
  override readonly name = 'FleetMapError';
}

/** The pairs of one service, as of one version; never changed. */
export class FleetMap {
  readonly version: number;
  readonly pairs: readonly FleetPair[];
  #byId: ReadonlyMap<string, FleetPair>;
  #rendezvous: Rendezvous<FleetPair>;

  /** @throws FleetMapError */
  constructor(version: number, pairs: readonly FleetPair[]) {
    checkMap(version, pairs);
    this.version = version;
    this.pairs = pairs;
    this.#byId = new Map(pairs.map((pair) => [pair.id, pair]));
    this.#rendezvous = new Rendezvous(pairs.filter(({ state }) => state === 'active'));
  }

  pair(id: string): FleetPair | undefined {
    return this.#byId.get(id);
  }

  /** The pair that a user without a session belongs to. */
  ownerOf(openid: string): FleetPair {
    // There is always an active one: checkMap saw to it.
    return this.#rendezvous.ownerOf(openid) as FleetPair;
  }

  /** Whether both say the same of the same version. */
  equals(other: FleetMap): boolean {
    return this.version === other.version && JSON.stringify(this.pairs) === JSON.stringify(other.pairs);
  }
}

function checkMap(version: number, pairs: readonly FleetPair[]): void {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new FleetMapError(`version: ${version}: expected a whole number from 1`);
  }
  if (pairs.length === 0 || pairs.length > pairsMax) {
    throw new FleetMapError(`pairs: ${pairs.length}: expected 1 to ${pairsMax}`);
  }
  const seen = new Set<string>();
  pairs.forEach((pair, index) => {
    const at = `pairs[${index}]`;
    checkPair(pair, at);
    if (seen.has(pair.id)) throw new FleetMapError(`${at}.id: ${pair.id}: given twice`);
    seen.add(pair.id);
  });
  if (!pairs.some(({ state }) => state === 'active')) {
    throw new FleetMapError('pairs: expected at least one that is active');
  }
}

function checkPair({ id, weight, clientEndpoints, zoneEndpoints }: FleetPair, at: string): void {
  if (!pairIdPattern.test(id)) {
    throw new FleetMapError(
      `${at}.id: ${JSON.stringify(id)}: expected lower case letters, digits and dashes, such as p0`,
    );
  }
  if (!Number.isInteger(weight) || weight < 1 || weight > weightMax) {
    throw new FleetMapError(`${at}.weight: ${weight}: expected a whole number from 1 to ${weightMax}`);
  }
  checkEndpoints(clientEndpoints, `${at}.client_endpoints`);
  checkEndpoints(zoneEndpoints, `${at}.zone_endpoints`);
}

function checkEndpoints(endpoints: readonly string[], at: string): void {
  if (endpoints.length === 0 || endpoints.length > endpointsMax) {
    throw new FleetMapError(`${at}: ${endpoints.length}: expected 1 to ${endpointsMax}`);
  }
  endpoints.forEach((endpoint, index) => {
    const address = parseAddress(endpoint);
    if (address !== undefined && address.host !== '' && address.port !== 0) return;
    throw new FleetMapError(`${at}[${index}]: ${JSON.stringify(endpoint)}: expected HOST:PORT`);
  });
}

/**
 * Reads a map from YAML, which JSON is too: `version`, and `pairs` with `id`, `client_endpoints`, `zone_endpoints`, and if
 * wanted `weight` (1) and `state` (active).
 * @throws FleetMapError
 */
export function parseFleetMap(text: string): FleetMap {
  const root = recordOf(readYaml(text), 'fleet map', ['version', 'pairs']);
  if (!Array.isArray(root['pairs'])) throw new FleetMapError('pairs: expected a list');
  const pairs = root['pairs'].map((pair: unknown, index) => readPair(pair, `pairs[${index}]`));
  return new FleetMap(readNumber(root['version'], 'version'), pairs);
}

function readYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new FleetMapError(`fleet map: ${error instanceof Error ? error.message : error}`);
  }
}

function readPair(value: unknown, at: string): FleetPair {
  const names = ['id', 'client_endpoints', 'zone_endpoints', 'weight', 'state'];
  const pair = recordOf(value, at, names);
  const state = pair['state'] ?? 'active';
  if (state !== 'active' && state !== 'draining') {
    throw new FleetMapError(`${at}.state: ${JSON.stringify(state)}: expected active or draining`);
  }
  return {
    id: readText(pair['id'], `${at}.id`),
    clientEndpoints: readTexts(pair['client_endpoints'], `${at}.client_endpoints`),
    zoneEndpoints: readTexts(pair['zone_endpoints'], `${at}.zone_endpoints`),
    weight: readNumber(pair['weight'] ?? 1, `${at}.weight`),
    state,
  };
}

function recordOf(value: unknown, at: string, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FleetMapError(`${at}: expected a mapping with ${names.join(', ')}`);
  }
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new FleetMapError(`${at}: ${unknown}: expected ${names.join(', ')}`);
  return value as Record<string, unknown>;
}

function readText(value: unknown, at: string): string {
  if (typeof value !== 'string') throw new FleetMapError(`${at}: ${JSON.stringify(value)}: expected text`);
  return value;
}

function readNumber(value: unknown, at: string): number {
  if (typeof value !== 'number') throw new FleetMapError(`${at}: ${JSON.stringify(value)}: expected a number`);
  return value;
}

function readTexts(value: unknown, at: string): string[] {
  if (!Array.isArray(value)) throw new FleetMapError(`${at}: ${JSON.stringify(value)}: expected a list of HOST:PORT`);
  return value.map((item: unknown, index) => readText(item, `${at}[${index}]`));
}
