import { until } from '../../bench/lib/pair.ts';
import {
  createClientHub,
  type GatesvrClient,
  type GatesvrClientHub,
  type SessionReset,
} from '../../gateway/client/client.ts';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import { PushError, ZoneServer } from '../../gateway/zone-server/zone-server.ts';
import { Ledger } from '../delivery/ledger.ts';

const zoneIds = ['001', '002', '003', '004', '005', '006'];

/** One user's client. */
export interface User {
  readonly openid: string;
  readonly client: GatesvrClient;
}

/** Zones that know one gateway of a fleet, and clients that do. */
export class FleetLoad {
  readonly ledger = new Ledger();
  readonly users: User[] = [];
  readonly resets: SessionReset[] = [];
  reconnects = 0;
  answered = 0;
  unanswered = 0;
  wrongAnswers = 0;
  /** Pushes that were not accepted, by why. */
  readonly refusals = new Map<string, number>();
  #texts = 0;
  #running = false;
  #loops: Promise<void>[] = [];
  #zones: ZoneServer[] = [];
  #hub: GatesvrClientHub;

  private constructor(hub: GatesvrClientHub) {
    this.#hub = hub;
  }

  static async start(): Promise<FleetLoad> {
    return new FleetLoad(await createClientHub({ trust: { insecure: true } }));
  }

  /** One zone server for each zone, registered first with the gateway named. */
  async startZones(gateway: string): Promise<void> {
    const servers = zoneIds.map((zoneId) => {
      const handler = async (request: { readonly data: Uint8Array }) => ({ data: request.data });
      return new ZoneServer({ zoneId, address: '127.0.0.1:0', gateways: [gateway], handler });
    });
    this.#zones.push(...servers);
    for (const zone of servers) await zone.start();
    await Promise.all(servers.map((zone) => zone.whenRegistered()));
  }

  zoneFor(openid: string): ZoneServer {
    return this.zone(zoneOf(openid, zoneIds.length));
  }

  zone(zoneId: string): ZoneServer {
    const zone = this.#zones.find((one) => one.zoneId === zoneId);
    if (zone === undefined) throw new Error(`zone ${zoneId} was not started`);
    return zone;
  }

  /** Connects users, all of whom know the same endpoints. */
  async connect(count: number, endpoints: readonly string[]): Promise<void> {
    const first = this.users.length;
    const openids = Array.from({ length: count }, (_, n) => `user-${first + n}`);
    const clients = await Promise.all(openids.map((openid) => this.#connectOne(openid, endpoints)));
    for (const [index, client] of clients.entries()) this.users.push({ openid: openids[index] ?? '', client });
  }

  #connectOne(openid: string, endpoints: readonly string[]): Promise<GatesvrClient> {
    return this.#hub.connect({
      openid,
      endpoints,
      onPush: (data) => this.ledger.seen(openid, Buffer.from(data).toString()),
      onSessionReset: (reset) => this.resets.push(reset),
      onStateChange: (state) => {
        if (state === 'reconnecting') this.reconnects += 1;
      },
    });
  }

  /** Pushes to every user and asks for every client, one after the other, until `quiet`. */
  run(pauseMs: number): void {
    this.#running = true;
    for (const user of this.users) {
      this.#loops.push(
        this.#repeat(pauseMs, (text) => this.#push(user.openid, text)),
        this.#repeat(pauseMs, (text) => this.#ask(user, text)),
      );
    }
  }

  /** Ends what `run` began, and waits until every push that was accepted was seen. */
  async quiet(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops.splice(0));
    await this.settle();
  }

  async #repeat(pauseMs: number, act: (text: string) => Promise<void>): Promise<void> {
    while (this.#running) {
      this.#texts += 1;
      await act(`text ${this.#texts}`);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #push(openid: string, text: string): Promise<void> {
    try {
      await this.zoneFor(openid).push(openid, text);
      this.ledger.accepted(openid, text);
    } catch (error) {
      const failure = error instanceof PushError ? error.failure : String(error);
      this.refusals.set(failure, (this.refusals.get(failure) ?? 0) + 1);
    }
  }

  async #ask({ client }: User, text: string): Promise<void> {
    try {
      const answer = Buffer.from(await client.request('echo', text)).toString();
      if (answer === text) this.answered += 1;
      else this.wrongAnswers += 1;
    } catch {
      this.unanswered += 1;
    }
  }

  /** Waits until every push that was accepted was seen. */
  async settle(): Promise<void> {
    await until(
      'every accepted push is seen',
      () => this.ledger.complete,
      () => JSON.stringify(this.ledger.verdict()),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.users.map(({ client }) => client.close()));
    await Promise.all(this.#zones.map((zone) => zone.stop(1_000)));
    await this.#hub.shutdown();
  }
}
