import type { DeliveryLimits, DeliveryPort } from '../../session/delivery.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import { Random } from '../random.ts';
import { type NetworkEnd, type NetworkFaults, SimulatedNetwork } from '../simulated-network.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { Backend } from './backend.ts';
import { type DownFrame, frameBytes, type UpFrame } from './frames.ts';
import { checkApplied, checkDelivered, checkState } from './invariants.ts';
import { Ledger } from './ledger.ts';
import { SimClient } from './sim-client.ts';
import { SimGateway } from './sim-gateway.ts';
import { SimLog, type SimReplica } from './sim-pair.ts';
import { worldDeliveryLimits, worldLimits } from './world-limits.ts';

const calm: NetworkFaults = {
  minDelayMs: 1,
  maxDelayMs: 10,
  lossRate: 0,
  duplicateRate: 0,
  segmentBytesMax: 1_200,
  highBytes: 90,
  lowBytes: 40,
};

const storm: NetworkFaults = { ...calm, maxDelayMs: 60, lossRate: 0.1, duplicateRate: 0.1, segmentBytesMax: 7 };

/** Where a bug can be planted; the defaults are the code as it ships. */
export interface Plant {
  readonly machine: () => SessionMachine;
  readonly delivery: (limits: DeliveryLimits) => DeliveryLimits;
  readonly port: (port: DeliveryPort) => DeliveryPort;
}

export const nothingPlanted: Plant = {
  machine: () => new SessionMachine(),
  delivery: (limits) => limits,
  port: (port) => port,
};

export interface WorldOptions {
  readonly seed: number;
  readonly secondLogin: 'resume' | 'replace' | 'refuse';
  readonly stormy: boolean;
  readonly plant: Plant;
}

const beatMs = 100;

/** A pair of gateways, clients, zones and a backend on a virtual clock; checks the invariants as it goes. */
export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly network: SimulatedNetwork<UpFrame, DownFrame>;
  readonly ledger = new Ledger();
  readonly clients: SimClient[] = [];
  readonly backend: Backend;
  gateway: SimGateway | undefined;
  #options: WorldOptions;
  #incarnations = 0;
  #sessionIds = 0;
  #epoch = 1_000;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = new Random(options.seed);
    this.network = new SimulatedNetwork(this.clock, this.random, options.stormy ? storm : calm);
    this.backend = new Backend(this);
    for (const name of ['ann', 'bob', 'cat', 'ann2']) this.#addClient(name, name.slice(0, 3));
    this.#serve(options.plant.machine(), 0, 'first');
    this.clock.schedule(beatMs, () => this.#beat());
    this.startBackup();
  }

  get replica(): SimReplica | undefined {
    return this.gateway?.options.log.replica;
  }

  advance(ms: number): void {
    this.clock.advance(ms, () => this.gateway !== undefined && checkState(this, this.gateway));
  }

  /** The primary's process dies; its backup takes over, or everything begins anew. */
  crash(): void {
    const dead = this.gateway;
    if (dead === undefined) return;
    dead.alive = false;
    const { log } = dead.options;
    log.die();
    this.network.serverCrashed(dead);
    this.gateway = undefined;
    const { replica } = log;
    this.clock.schedule(this.random.between(100, 600), () => {
      if (replica?.inSync === true) {
        replica.gone = true;
        this.#serve(replica.machine, replica.appliedIndex, undefined);
      } else {
        this.#serve(this.#options.plant.machine(), 0, `after ${this.#epoch}`);
      }
      this.backend.primaryChanged();
    });
  }

  startBackup(): void {
    const gateway = this.gateway;
    if (gateway === undefined || gateway.options.log.replica !== undefined) return;
    gateway.options.log.addReplica();
  }

  crashBackup(): void {
    this.gateway?.options.log.dropReplica();
  }

  /** No faults any more: after a while everything that was promised must be there (I12). */
  settle(): void {
    this.network.faults = calm;
    for (const client of this.clients) {
      client.ackEvery = 1;
      if (client.connection !== undefined) this.network.stall(client.connection, false);
    }
    this.advance(15_000);
    checkDelivered(this);
  }

  #addClient(name: string, openid: string): void {
    const client: SimClient = new SimClient({
      name,
      openid,
      clock: this.clock,
      ledger: this.ledger,
      openRequestsMax: 4,
      port: {
        connect: (end) => this.#connect(end),
        send: (connection, frame) => this.network.sendUp(connection, frame, frameBytes(frame)),
        close: (connection) => this.network.closeByClient(connection),
      },
    });
    this.clients.push(client);
  }

  #connect(end: NetworkEnd<DownFrame>): number | undefined {
    const { gateway } = this;
    if (gateway === undefined) return undefined;
    const connection = this.network.connect(end, gateway);
    gateway.accept(connection);
    return connection;
  }

  #serve(machine: SessionMachine, lastIndex: number, newHistory: string | undefined): void {
    this.#incarnations += 1;
    this.#epoch += 1;
    const { plant, secondLogin } = this.#options;
    const log = new SimLog({ clock: this.clock, random: this.random, machine, newMachine: plant.machine, lastIndex });
    const gateway = new SimGateway({
      incarnation: this.#incarnations,
      clock: this.clock,
      network: this.network,
      machine,
      log,
      ledger: this.ledger,
      deliveryLimits: worldDeliveryLimits,
      plantDelivery: plant.delivery,
      plantPort: plant.port,
      secondLogin: () => secondLogin,
      newSessionId: () => this.#newSessionId(),
      toZone: (from, sessionId, clientSeq, msgId) => this.backend.request(from, sessionId, clientSeq, msgId),
      applied: (from, command, outcome) => checkApplied(this, from, command, outcome),
    });
    this.gateway = gateway;
    gateway.submit({ kind: 'configure', limits: worldLimits });
    gateway.submit({ kind: 'promote', epoch: this.#epoch, history: newHistory ?? machine.history });
  }

  #newSessionId(): string {
    this.#sessionIds += 1;
    return `s${this.#sessionIds}`;
  }

  #beat(): void {
    this.gateway?.beat(beatMs);
    this.clock.schedule(beatMs, () => this.#beat());
  }
}
