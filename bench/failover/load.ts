import { createClientHub, type GatesvrClient, type GatesvrClientHub } from '../../gateway/client/client.ts';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import { type PushProducer, ZoneServer } from '../../gateway/zone-server/zone-server.ts';
import { allZoneIds } from '../lib/gateways.ts';

const hubCount = 4;
const connectsAtOnce = 25;
const tickMs = 10;
const pushesPerTick = 2;
/** One request for so many pushes. */
const pushesPerRequest = 4;

/** What one kill cost, in milliseconds since it. */
export interface Outage {
  /** The first message that an application got from the other gateway. */
  readonly firstMessageMs: number;
  /** Of each session, sorted. */
  readonly resumedMs: readonly number[];
}

interface Watch {
  readonly sinceMs: number;
  readonly endpoint: string;
  firstMessageMs: number;
  readonly resumedMs: Map<string, number>;
}

/** Sessions under light load: some pushes and requests a second, whichever gateway is primary. */
export class FailoverLoad {
  resets = 0;
  /** Why clients ended for good: none should. */
  readonly ended: string[] = [];
  failures = 0;
  #zones: ZoneServer[] = [];
  #producers = new Map<string, PushProducer>();
  #hubs: GatesvrClientHub[] = [];
  #clients: { readonly openid: string; readonly client: GatesvrClient }[] = [];
  #watch: Watch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;

  static async start(zoneEndpoints: readonly string[], clientEndpoints: readonly string[], sessions: number) {
    const load = new FailoverLoad();
    await Promise.all(allZoneIds.map((zoneId) => load.#startZone(zoneId, zoneEndpoints)));
    for (let hub = 0; hub < hubCount; hub += 1) load.#hubs.push(await createClientHub({ trust: { insecure: true } }));
    for (let first = 0; first < sessions; first += connectsAtOnce) {
      const count = Math.min(connectsAtOnce, sessions - first);
      await Promise.all(Array.from({ length: count }, (_, index) => load.#connect(first + index, clientEndpoints)));
    }
    load.#timer = setInterval(() => load.#tick(), tickMs);
    return load;
  }

  get connected(): number {
    return this.#clients.filter(({ client }) => client.state === 'connected').length;
  }

  /** How many clients are in which state, for a failure's message. */
  get states(): string {
    const counts = new Map<string, number>();
    for (const { client } of this.#clients) {
      const state = `${client.state} ${client.endpoint}`;
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return [...[...counts].map(([state, count]) => `${count} ${state}`), ...this.ended].join(', ');
  }

  /** From now on it is noted who resumes at `endpoint`, and when. Call it right before the kill. */
  watch(endpoint: string): void {
    this.#watch = { sinceMs: performance.now(), endpoint, firstMessageMs: Number.NaN, resumedMs: new Map() };
  }

  get allResumed(): boolean {
    return this.#watch?.resumedMs.size === this.#clients.length && !Number.isNaN(this.#watch.firstMessageMs);
  }

  outage(): Outage {
    if (this.#watch === undefined) throw new Error('nothing is watched');
    const { firstMessageMs, resumedMs } = this.#watch;
    return { firstMessageMs, resumedMs: [...resumedMs.values()].sort((a, b) => a - b) };
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#hubs.map((hub) => hub.shutdown()));
    await Promise.all(this.#clients.map(({ client }) => client.close()));
    await Promise.all(this.#zones.map((zone) => zone.stop(1_000)));
  }

  async #startZone(zoneId: string, gateways: readonly string[]): Promise<void> {
    const zone = new ZoneServer({ zoneId, address: '127.0.0.1:0', gateways, handler: ({ data }) => ({ data }) });
    this.#zones.push(zone);
    await zone.start();
    await zone.whenRegistered();
    this.#producers.set(zoneId, zone.openProducer());
  }

  async #connect(number: number, endpoints: readonly string[]): Promise<void> {
    const openid = `user-${number}`;
    const client: GatesvrClient | undefined = await this.#hubs[number % hubCount]?.connect({
      endpoints,
      openid,
      connectDeadlineMs: 60_000,
      onPush: () => this.#served(client?.endpoint),
      onStateChange: (state, { endpoint, resumed }) => {
        const watch = this.#watch;
        if (watch === undefined || state !== 'connected' || resumed !== true || endpoint !== watch.endpoint) return;
        if (!watch.resumedMs.has(openid)) watch.resumedMs.set(openid, performance.now() - watch.sinceMs);
      },
      onSessionReset: () => {
        this.resets += 1;
      },
    });
    if (client === undefined) return;
    this.#clients.push({ openid, client });
    client.closed.then((error) => {
      if (error !== undefined) this.ended.push(`${openid}: ${error.codeName}: ${error.message}`);
    });
  }

  #served(endpoint: string | undefined): void {
    const watch = this.#watch;
    if (watch === undefined || endpoint !== watch.endpoint || !Number.isNaN(watch.firstMessageMs)) return;
    watch.firstMessageMs = performance.now() - watch.sinceMs;
  }

  #tick(): void {
    for (let push = 0; push < pushesPerTick; push += 1) {
      this.#turn += 1;
      const user = this.#clients[this.#turn % this.#clients.length];
      if (user === undefined) return;
      const producer = this.#producers.get(zoneOf(user.openid, allZoneIds.length));
      producer?.push(user.openid, `push ${this.#turn}`).catch(() => {
        this.failures += 1;
      });
      if (this.#turn % pushesPerRequest === 0) this.#request(user.client);
    }
  }

  #request(client: GatesvrClient): void {
    client.request('echo', `request ${this.#turn}`, { timeoutMs: 30_000 }).then(
      () => this.#served(client.endpoint),
      () => {
        this.failures += 1;
      },
    );
  }
}
