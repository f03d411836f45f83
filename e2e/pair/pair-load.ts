import { until } from '../../bench/lib/pair.ts';
import {
  createClientHub,
  type GatesvrClient,
  type GatesvrClientHub,
  GatesvrError,
  type HubOptions,
} from '../../gateway/client/client.ts';
import type { Random } from '../../gateway/testing/random.ts';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import {
  PushError,
  type PushLevelName,
  type PushProducer,
  ZoneServer,
  type ZoneServerOptions,
} from '../../gateway/zone-server/zone-server.ts';
import { PairLedger } from './pair-ledger.ts';

const zoneIds = ['001', '002', '003', '004', '005', '006'];
const hubCount = 4;
const connectsAtOnce = 10;
/** Nobody else pushes to this user, so that a single push tells what pushes are worth now. */
const probed = 'user-0';
const requestTimeoutMs = 60_000;
const stopMs = 1_000;
/** Shown of what is missing. */
const findingsMax = 50;

export interface PairLoadOptions {
  readonly clientEndpoints: readonly string[];
  readonly zoneEndpoints: readonly string[];
  readonly clients: number;
  /** Mean pause of a user between two pushes, and of a client between two requests. */
  readonly pushPauseMs: number;
  readonly requestPauseMs: number;
  readonly random: Random;
  /** Where a zone listens and how it proves itself; a free port of loopback, in plaintext, when absent. */
  readonly zone?: (zoneId: string) => Pick<ZoneServerOptions, 'address' | 'advertiseAddress' | 'credentials'>;
  /** Whom clients trust and how they prove who they are; everybody, and nothing, when absent. */
  readonly login?: { readonly trust: HubOptions['trust']; readonly tokenOf: (openid: string) => string };
}

interface User {
  readonly openid: string;
  readonly client: GatesvrClient;
}

/** Requests as their clients and zones saw them. */
export interface RequestVerdict {
  readonly asked: number;
  readonly answered: number;
  /** By the error's name. */
  readonly failed: Readonly<Record<string, number>>;
  /** Answers to something else than was asked. */
  readonly wrong: readonly string[];
  /** Idempotency keys that a zone carried out more than once. */
  readonly carriedOutTwice: number;
}

/** Clients that ask and zones that push, one after the other for each user, with a ledger of both. */
export class PairLoad {
  readonly ledger = new PairLedger();
  readonly levels = new Map<PushLevelName, number>();
  reconnects = 0;
  resets = 0;
  /** When an application was last handed a push or an answer. */
  lastServedMs = 0;
  /** The longest time since `watchService` in which no application was handed anything. */
  #gapMs = 0;
  #options: PairLoadOptions;
  #zones: ZoneServer[] = [];
  #producers = new Map<string, PushProducer>();
  #hubs: GatesvrClientHub[] = [];
  #users: User[] = [];
  #loops: Promise<void>[] = [];
  #running = false;
  #carriedOut = new Map<string, number>();
  #asked = 0;
  #answered = 0;
  #wrong: string[] = [];
  #failed: Record<string, number> = {};

  private constructor(options: PairLoadOptions) {
    this.#options = options;
  }

  /** Zones registered, clients connected; nothing flows yet. */
  static async start(options: PairLoadOptions): Promise<PairLoad> {
    const load = new PairLoad(options);
    await Promise.all(zoneIds.map((zoneId) => load.#startZone(zoneId)));
    const trust = options.login?.trust ?? { insecure: true };
    for (let hub = 0; hub < hubCount; hub += 1) load.#hubs.push(await createClientHub({ trust }));
    for (let first = 0; first < options.clients; first += connectsAtOnce) {
      const last = Math.min(first + connectsAtOnce, options.clients);
      await Promise.all(Array.from({ length: last - first }, (_, index) => load.#connect(first + index)));
    }
    return load;
  }

  get running(): boolean {
    return this.#running;
  }

  get connected(): number {
    return this.#users.filter(({ client }) => client.state === 'connected').length;
  }

  get clients(): number {
    return this.#users.length;
  }

  /** Pushes and requests flow until `quiet`. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    for (const user of this.#users) {
      if (user.openid !== probed) this.#loops.push(this.#pushLoop(user.openid));
      this.#loops.push(this.#requestLoop(user));
    }
  }

  /** Waits until everything that was accepted has been delivered, or told of. @throws Error with what is missing. */
  async delivered(): Promise<void> {
    const missing = () => this.ledger.findings().slice(0, findingsMax).join('\n');
    await until('all that was accepted is delivered', () => this.ledger.complete, missing);
  }

  /** No new pushes and requests; resolves when all have been judged. */
  async quiet(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops.splice(0));
  }

  /** One push to a user who gets no others. @returns what its zone was told. @throws PushError */
  async probe(): Promise<PushLevelName> {
    const word = await this.#push(probed, true);
    if (word instanceof PushError) throw word;
    return word;
  }

  watchService(): void {
    this.#gapMs = 0;
    this.lastServedMs = performance.now();
  }

  /** The longest time without service since `watchService`. */
  get longestGapMs(): number {
    return Math.max(this.#gapMs, performance.now() - this.lastServedMs);
  }

  requests(): RequestVerdict {
    return {
      asked: this.#asked,
      answered: this.#answered,
      failed: this.#failed,
      wrong: this.#wrong,
      carriedOutTwice: [...this.#carriedOut.values()].filter((count) => count > 1).length,
    };
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#users.map(({ client }) => client.close()));
    await Promise.all(this.#hubs.map((hub) => hub.shutdown()));
    await Promise.all(this.#zones.map((zone) => zone.stop(stopMs)));
    await Promise.all(this.#loops);
  }

  async #startZone(zoneId: string): Promise<void> {
    const zone = new ZoneServer({
      zoneId,
      address: '127.0.0.1:0',
      ...this.#options.zone?.(zoneId),
      gateways: this.#options.zoneEndpoints,
      handler: ({ sessionId, clientSeqId, data }) => {
        const key = `${sessionId}/${clientSeqId}`;
        this.#carriedOut.set(key, (this.#carriedOut.get(key) ?? 0) + 1);
        return { data };
      },
    });
    this.#zones.push(zone);
    await zone.start();
    await zone.whenRegistered();
    this.#producers.set(zoneId, zone.openProducer());
  }

  async #connect(number: number): Promise<void> {
    const openid = `user-${number}`;
    const hub = this.#hubs[number % hubCount];
    if (hub === undefined) throw new Error('no hub');
    const { login } = this.#options;
    const client = await hub.connect({
      ...(login === undefined ? {} : { token: () => login.tokenOf(openid) }),
      endpoints: this.#options.clientEndpoints,
      openid,
      heartbeatTimeoutMs: 1_500,
      backoffMaxMs: 1_000,
      onPush: (data) => {
        this.#served();
        this.ledger.seen(openid, Number(Buffer.from(data).toString()));
      },
      onStateChange: (state) => {
        if (state === 'reconnecting') this.reconnects += 1;
      },
      onSessionReset: () => {
        this.resets += 1;
        this.ledger.reset(openid);
      },
    });
    this.#users.push({ openid, client });
  }

  async #pushLoop(openid: string): Promise<void> {
    while (this.#running) {
      await this.#push(openid);
      await this.#pause(this.#options.pushPauseMs);
    }
  }

  /** One push, over the stream or alone; the next of this user comes when this one is judged. */
  async #push(openid: string, alone = this.#options.random.chance(0.5)): Promise<PushLevelName | PushError> {
    const zoneId = zoneOf(openid, zoneIds.length);
    const zone = this.#zones.find((candidate) => candidate.zoneId === zoneId);
    const producer = this.#producers.get(zoneId);
    if (zone === undefined || producer === undefined) throw new Error(`no zone ${zoneId}`);
    const number = this.ledger.open(openid);
    try {
      const pushed = alone
        ? await zone.push(openid, String(number), { pushId: `${openid} ${number}` })
        : await producer.push(openid, String(number));
      this.ledger.judged(openid, number, pushed.level);
      this.levels.set(pushed.level, (this.levels.get(pushed.level) ?? 0) + 1);
      return pushed.level;
    } catch (error) {
      if (!(error instanceof PushError)) throw error;
      this.ledger.judged(openid, number, error.failure === 'unknown' ? 'unknown' : 'refused');
      return error;
    }
  }

  async #requestLoop({ openid, client }: User): Promise<void> {
    for (let number = 0; this.#running; number += 1) {
      const text = `${openid} asks ${number}`;
      this.#asked += 1;
      try {
        const answer = await client.request('echo', text, { timeoutMs: requestTimeoutMs });
        this.#served();
        this.#answered += 1;
        const said = Buffer.from(answer).toString();
        if (said !== text) this.#wrong.push(`${client.sessionId}: ${text}: ${said}`);
      } catch (error) {
        if (!(error instanceof GatesvrError)) throw error;
        const kind = `${error.name} ${error.codeName}`;
        this.#failed[kind] = (this.#failed[kind] ?? 0) + 1;
      }
      await this.#pause(this.#options.requestPauseMs);
    }
  }

  #served(): void {
    const nowMs = performance.now();
    this.#gapMs = Math.max(this.#gapMs, nowMs - this.lastServedMs);
    this.lastServedMs = nowMs;
  }

  #pause(meanMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.#options.random.between(0, 2 * meanMs)));
  }
}
