import type { ForwardCall } from '../../../proto/gen/fleet.ts';
import { MemoryDirectory } from '../../fleet/directory.ts';
import { FleetMap } from '../../fleet/fleet-map.ts';
import type { CallOptions, LinkEvents, LinkStream } from '../../fleet/pair-link.ts';
import { Random } from '../random.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { FleetLedger } from './fleet-ledger.ts';
import { SimDirectory, type SimStore } from './sim-directory.ts';
import { endpointOf, type SimGateway, SimPair } from './sim-pair.ts';
import { SimUser } from './sim-user.ts';

const pairCount = 4;
const userCount = 8;
const tickMs = 100;

export interface FleetPlant {
  readonly call: (options: CallOptions) => CallOptions;
}

export const nothingPlanted: FleetPlant = { call: (options) => options };

interface Stream {
  readonly to: SimGateway;
  readonly from: SimGateway;
  readonly events: LinkEvents;
  open: boolean;
  /** Takes calls and says nothing. */
  silent: boolean;
  lastMs: number;
}

/** A fleet on a virtual clock: pairs that fail over, links that break, maps that arrive here and there, a directory that lies. */
export class FleetWorld {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly ledger = new FleetLedger();
  readonly pairs: readonly SimPair[];
  readonly users: readonly SimUser[];
  readonly store: SimStore = { entries: new Map(), lieRate: 0.2, silenceRate: 0.2 };
  #streams = new Set<Stream>();
  #version = 0;
  #calm = false;

  constructor(seed: number, plant: FleetPlant) {
    this.random = new Random(seed);
    const ids = Array.from({ length: pairCount }, (_, n) => `p${n}`);
    const withRedis = seed % 2 === 0;
    this.pairs = ids.map((id) => {
      return new SimPair({
        id,
        clock: this.clock,
        dial: (from, endpoint, events) => this.#dial(from, endpoint, events),
        directory: () =>
          withRedis ? new SimDirectory(this.store, this.clock, this.random, ids) : new MemoryDirectory(),
        applied: (pair, command, outcome) => this.ledger.applied(pair.id, command, outcome),
        plantCall: plant.call,
      });
    });
    this.users = Array.from({ length: userCount }, (_, n) => new SimUser(`user-${n}`, this));
    this.newMap();
    this.clock.schedule(tickMs, () => this.#tick());
  }

  get gateways(): readonly SimGateway[] {
    return this.pairs.flatMap(({ gateways }) => gateways);
  }

  anyGateway(): SimGateway {
    return this.gateways[this.random.between(0, this.gateways.length - 1)] as SimGateway;
  }

  gatewayAt(endpoint: string): SimGateway | undefined {
    return this.gateways.find((gateway) => gateway.endpoint === endpoint);
  }

  /** Lets time pass; what waits for promises goes on in between. */
  async advance(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 5) {
      this.clock.advance(5, () => {});
      for (let turns = 0; turns < 8; turns += 1) await Promise.resolve();
    }
  }

  /** Another set of pairs, some of them draining; it reaches each gateway in its own time. */
  newMap(everybody = this.#calm): void {
    this.#version += 1;
    const some = this.pairs.filter((_, index) => index === this.#version % pairCount || this.random.chance(0.75));
    const pairs = (everybody ? this.pairs : some).map(({ id }, index) => ({
      id,
      clientEndpoints: [endpointOf(id, 0), endpointOf(id, 1)],
      zoneEndpoints: [endpointOf(id, 0), endpointOf(id, 1)],
      weight: 1,
      state: index > 0 && !everybody && this.random.chance(0.2) ? ('draining' as const) : ('active' as const),
    }));
    const map = new FleetMap(this.#version, pairs);
    for (const gateway of this.gateways) {
      this.clock.schedule(everybody ? 0 : this.random.between(0, 2_000), () => gateway.fleet.setMap(map));
    }
  }

  /** One gateway dies, and the other of its pair takes over a little later; the dead one comes back. */
  crash(gateway: SimGateway): void {
    if (!gateway.alive || !gateway.pair.gateways.every(({ alive }) => alive)) return;
    gateway.alive = false;
    for (const stream of this.#streams) if (stream.to === gateway || stream.from === gateway) this.#break(stream);
    if (gateway.pair.primary === gateway.index) {
      this.clock.schedule(this.random.between(50, 600), () => gateway.pair.failOver());
    }
    this.clock.schedule(1_500, () => {
      gateway.alive = true;
    });
  }

  breakLinks(): void {
    for (const stream of this.#streams) if (this.random.chance(0.5)) this.#break(stream);
  }

  silenceLinks(): void {
    for (const stream of this.#streams) if (this.random.chance(0.3)) stream.silent = true;
  }

  /** Faults stop; after a while everything must be as it should. */
  async settle(): Promise<void> {
    this.#calm = true;
    this.store.lieRate = 0;
    this.store.silenceRate = 0;
    for (const stream of [...this.#streams]) this.#break(stream);
    await this.advance(3_000);
    this.newMap(true);
    for (const { directory } of this.gateways) if (directory instanceof SimDirectory) directory.lose();
    await this.advance(20_000);
    this.ledger.checkAnswered();
    for (const user of this.users) user.checkSettled();
  }

  #tick(): void {
    for (const pair of this.pairs) {
      pair.submit({ kind: 'tick', timeMs: pair.machine.timeMs + tickMs });
      const primary = pair.gateways[pair.primary];
      primary.announcer.retry();
      for (const session of [...pair.machine.all()]) {
        // As rebalancing does it: who belongs elsewhere goes, a few at a time.
        if (!primary.serving || primary.fleet.isOwner(session.openid) || !this.random.chance(0.05)) continue;
        pair.submit({ kind: 'close', sessionId: session.sessionId, code: 3005, reason: 'moved' });
      }
    }
    for (const user of this.users) user.tick();
    this.clock.schedule(tickMs, () => this.#tick());
  }

  #dial(from: SimGateway, endpoint: string, events: LinkEvents): LinkStream {
    const to = this.gatewayAt(endpoint);
    if (to === undefined || !to.alive || !from.alive) {
      this.clock.schedule(this.random.between(1, 10), events.broken);
      return { send: () => true, close: () => {} };
    }
    const stream: Stream = { to, from, events, open: true, silent: false, lastMs: 0 };
    this.#streams.add(stream);
    return {
      send: (calls) => {
        this.#inOrder(stream, () => this.#arrive(stream, calls));
        return true;
      },
      close: () => {
        stream.open = false;
        this.#streams.delete(stream);
      },
    };
  }

  #arrive(stream: Stream, calls: readonly ForwardCall[]): void {
    // A stream that its owner left may still deliver what was on its way.
    if (!stream.to.alive || stream.silent) return;
    for (const call of calls) {
      stream.to.perform(call, (result) => {
        this.#inOrder(stream, () => {
          if (stream.open && stream.from.alive && stream.to.alive) stream.events.results([result]);
        });
      });
    }
  }

  #inOrder(stream: Stream, run: () => void): void {
    const now = this.clock.nowMs();
    stream.lastMs = Math.max(stream.lastMs, now + this.random.between(1, 30));
    this.clock.schedule(stream.lastMs - now, run);
  }

  #break(stream: Stream): void {
    if (!stream.open) return;
    stream.open = false;
    this.#streams.delete(stream);
    this.clock.schedule(0, stream.events.broken);
  }
}
