/** An address that serves a zone. */
export interface Endpoint {
  /** "host:port". */
  readonly address: string;
  /** Share of the zone's load against its siblings; 0 (not given) counts as 1. */
  readonly weight: number;
  /** Another instance at the same address starts with a clean record. */
  readonly instanceId: string;
}

/** `unknown` until the first check after a connect: used only while no endpoint is healthy. */
export type EndpointHealth = 'unknown' | 'healthy' | 'unhealthy';

export interface EndpointPolicy {
  /** Requests queued or unanswered at one endpoint. */
  readonly inFlightMax: number;
  /** Bytes not yet written to one endpoint. */
  readonly queuedBytesMax: number;
  /** Failures in a row after which an endpoint is ejected, if another can take over. */
  readonly failuresToEject: number;
  readonly ejectMs: number;
  readonly ejectMaxMs: number;
}

/** What is known of one endpoint. The link to it counts `inFlight` and `queuedBytes`; the rest changes through its set. */
export class EndpointState {
  readonly address: string;
  weight: number;
  instanceId: string;
  health: EndpointHealth = 'unknown';
  inFlight = 0;
  queuedBytes = 0;
  failuresInRow = 0;
  ejections = 0;
  /** 0 while not ejected. */
  ejectedUntilMs = 0;
  /** When it last answered anything; 0 for never. */
  lastSeenMs = 0;

  constructor(endpoint: Endpoint) {
    this.address = endpoint.address;
    this.weight = Math.max(1, endpoint.weight);
    this.instanceId = endpoint.instanceId;
  }

  get ejected(): boolean {
    return this.ejectedUntilMs !== 0;
  }

  get usable(): boolean {
    return this.health === 'healthy' && !this.ejected;
  }
}

/** The endpoint to use, or why there is none: all that could serve are at their limits, or none can serve. */
export type Choice = EndpointState | 'full' | 'none';

/** The endpoints of one zone: which one is next, which one is out. Pure: time comes in. */
export class EndpointSet {
  #policy: EndpointPolicy;
  /** By address, so that ties fall the same way everywhere. */
  #states: EndpointState[] = [];

  constructor(policy: EndpointPolicy) {
    this.#policy = policy;
  }

  get states(): readonly EndpointState[] {
    return this.#states;
  }

  /** Replaces the set; known addresses keep their record unless the instance changed. A repeated address counts once, the last wins. */
  update(endpoints: readonly Endpoint[]): { added: EndpointState[]; removed: EndpointState[] } {
    const wanted = new Map(endpoints.map((endpoint) => [endpoint.address, endpoint]));
    const removed = this.#states.filter((state) => !wanted.has(state.address));
    const added: EndpointState[] = [];
    const next = this.#states.filter((state) => wanted.has(state.address));
    for (const state of next) {
      const endpoint = wanted.get(state.address);
      if (endpoint === undefined) continue;
      wanted.delete(state.address);
      state.weight = Math.max(1, endpoint.weight);
      if (state.instanceId !== endpoint.instanceId) forgive(state, endpoint.instanceId);
    }
    for (const endpoint of wanted.values()) added.push(new EndpointState(endpoint));
    next.push(...added);
    this.#states = next.sort((a, b) => (a.address < b.address ? -1 : 1));
    return { added, removed };
  }

  /** Some endpoint is healthy, or may yet turn out to be. */
  get available(): boolean {
    return this.#states.some((state) => state.health !== 'unhealthy');
  }

  /**
   * The least loaded healthy endpoint by (in flight + 1) / weight; ties go to the lower address. Without one: an endpoint not
   * known to be unhealthy; and when all that are healthy are ejected, one of them, because nothing is better.
   * @param tried addresses that are out for this request.
   */
  choose(tried: readonly string[]): Choice {
    let choice = this.#best('healthy', false, tried);
    if (choice === 'none') choice = this.#best('unknown', false, tried);
    if (choice === 'none' && !this.#states.some((state) => state.usable)) choice = this.#best('healthy', true, tried);
    return choice;
  }

  #best(health: EndpointHealth, ejected: boolean, tried: readonly string[]): Choice {
    let best: EndpointState | undefined;
    let full = false;
    for (const state of this.#states) {
      if (state.health !== health || state.ejected !== ejected || tried.includes(state.address)) continue;
      if (state.inFlight >= this.#policy.inFlightMax || state.queuedBytes >= this.#policy.queuedBytesMax) full = true;
      else if (best === undefined || lessLoaded(state, best)) best = state;
    }
    return best ?? (full ? 'full' : 'none');
  }

  /** An answer of any kind came. */
  succeeded(state: EndpointState, nowMs: number): void {
    state.failuresInRow = 0;
    state.lastSeenMs = nowMs;
  }

  /** A request failed for the endpoint's sake: no answer, a broken stream, its own word that it is unavailable. */
  failed(state: EndpointState, nowMs: number): void {
    state.failuresInRow += 1;
    if (state.failuresInRow < this.#policy.failuresToEject || state.ejectedUntilMs !== 0) return;
    if (!this.#states.some((other) => other !== state && other.usable)) return;
    const backoffMs = Math.min(this.#policy.ejectMs * 2 ** state.ejections, this.#policy.ejectMaxMs);
    state.ejections += 1;
    state.ejectedUntilMs = nowMs + backoffMs;
  }

  /** What a health check or connecting brought; an ejected endpoint comes back with a good check after its backoff. */
  checked(state: EndpointState, health: EndpointHealth, nowMs: number): void {
    state.health = health;
    if (health !== 'healthy') return;
    state.lastSeenMs = nowMs;
    if (state.ejectedUntilMs !== 0 && nowMs >= state.ejectedUntilMs) {
      state.ejectedUntilMs = 0;
      state.failuresInRow = 0;
    } else if (state.ejectedUntilMs === 0 && state.failuresInRow === 0 && state.ejections > 0) {
      state.ejections -= 1;
    }
  }
}

function forgive(state: EndpointState, instanceId: string): void {
  state.instanceId = instanceId;
  state.failuresInRow = 0;
  state.ejections = 0;
  state.ejectedUntilMs = 0;
}

function lessLoaded(a: EndpointState, b: EndpointState): boolean {
  return (a.inFlight + 1) * b.weight < (b.inFlight + 1) * a.weight;
}
