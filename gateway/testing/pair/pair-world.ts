import type { PairOptions } from '../../replication/pair-options.ts';
import type { PeerMessage } from '../../replication/peer-messages.ts';
import { StandaloneArbiter } from '../../replication/standalone-arbiter.ts';
import type { Command, PushCommand } from '../../session/command.ts';
import type { Effect, Outcome } from '../../session/effect.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import type { SnapshotImage } from '../../session/snapshot-images.ts';
import { Random } from '../random.ts';
import { type DownFrame, frameBytes, type UpFrame } from '../sessions/frames.ts';
import { check, Ledger } from '../sessions/ledger.ts';
import { SimClient } from '../sessions/sim-client.ts';
import { type NetworkEnd, type NetworkFaults, SimulatedNetwork } from '../simulated-network.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { PairBackend } from './pair-backend.ts';
import { SimArbiter } from './sim-arbiter.ts';
import { calmLink, SimLink } from './sim-link.ts';
import { SimNode, type SimShard } from './sim-node.ts';
import { SimOperator } from './sim-operator.ts';

type ShardOptions = PairOptions<Command, Outcome, Effect, SnapshotImage>;

/** Where a bug can be planted; the defaults are the code as it ships. */
export interface PairPlant {
  readonly machine: () => SessionMachine;
  readonly shard: (options: ShardOptions, node: SimNode) => ShardOptions;
  readonly deliverUpTo: (shard: SimShard) => number;
  /** What arrives at a gateway. */
  readonly receives: (message: PeerMessage, node: SimNode) => PeerMessage;
  /** How a gateway answers a zone's push; `submit` is the honest way. */
  readonly push: (node: SimNode, command: PushCommand, heard: (outcome: Outcome) => void, submit: () => void) => void;
  /** The operator names the version it decided on. */
  readonly operatorSwaps: boolean;
  readonly hasOperators: boolean;
  /** Changes code for one run. @returns how to change it back. */
  readonly patch: () => () => void;
}

export const nothingPlanted: PairPlant = {
  machine: () => new SessionMachine(),
  shard: (options) => options,
  deliverUpTo: (shard) => shard.commitIndex,
  receives: (message) => message,
  push: (_node, _command, _heard, submit) => submit(),
  operatorSwaps: true,
  hasOperators: true,
  patch: () => () => {},
};

export interface PairWorldOptions {
  readonly seed: number;
  /** Two processes without an arbiter. */
  readonly standalone: boolean;
  readonly plant: PairPlant;
}

export const servers = ['A', 'B'] as const;
export type Server = (typeof servers)[number];

const calm: NetworkFaults = {
  minDelayMs: 1,
  maxDelayMs: 10,
  lossRate: 0,
  duplicateRate: 0,
  segmentBytesMax: 1_200,
  highBytes: 200,
  lowBytes: 100,
};
/** A client that hears nothing to its START for this long tries the other gateway. */
const startTimeoutMs = 1_500;

/** Two gateways, their arbiter, an operator or two, clients and zones on one virtual clock. */
export class PairWorld {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly options: PairWorldOptions;
  readonly network: SimulatedNetwork<UpFrame, DownFrame>;
  readonly ledger = new Ledger();
  readonly clients: SimClient[] = [];
  readonly backend: PairBackend;
  readonly arbiter: SimArbiter;
  readonly operators: readonly SimOperator[];
  readonly nodes = new Map<Server, SimNode>();
  readonly links: Readonly<Record<Server, SimLink>>;
  /** Gateways that do not reach the arbiter. */
  readonly cutOff = new Set<Server>();
  /** The faults are over. */
  healed = false;
  #ids = 0;
  /** Which server each client tries next; counted together two clients in step could each miss the primary for ever. */
  #turns = new Map<SimClient, number>();

  constructor(options: PairWorldOptions) {
    this.options = options;
    const { clock } = this;
    this.random = new Random(options.seed);
    const { random } = this;
    this.network = new SimulatedNetwork(clock, random, calm);
    this.backend = new PairBackend(this);
    const isAlive = (incarnation: string) => this.#holder(incarnation) !== undefined;
    this.arbiter = new SimArbiter({ clock, random, isAlive, changed: () => this.#leaseChanged() });
    // The link of a server is the way to it.
    this.links = {
      A: new SimLink(clock, random, (message) => this.nodes.get('A')?.received(message)),
      B: new SimLink(clock, random, (message) => this.nodes.get('B')?.received(message)),
    };
    this.operators =
      options.standalone || !options.plant.hasOperators ? [] : [new SimOperator(this), new SimOperator(this)];
    for (const server of servers) this.startNode(server);
    for (const name of ['ann', 'bob', 'dan', 'dan2']) this.#addClient(name);
  }

  /** Two primaries could each promise what the other does not know: clients are told, and that is all. */
  get isWeaker(): boolean {
    return this.options.standalone || this.arbiter.unproven;
  }

  newId(): string {
    this.#ids += 1;
    return `i${this.#ids}`;
  }

  other(server: Server): Server {
    return server === 'A' ? 'B' : 'A';
  }

  startNode(server: Server): void {
    if (this.nodes.get(server)?.alive === true) return;
    this.nodes.set(server, new SimNode(this, server, server === 'A' ? 'primary' : 'backup'));
  }

  /** kill -9: the peer's connections break and are refused, clients find out in their own time. */
  crash(server: Server): void {
    const node = this.nodes.get(server);
    if (node?.alive !== true) return;
    node.alive = false;
    this.network.serverCrashed(node);
    const peer = this.nodes.get(this.other(server));
    const passes = () => !this.links[server].cut && !this.links[this.other(server)].cut;
    this.clock.schedule(this.random.between(1, 5), () => {
      if (!passes()) return;
      peer?.run(() => {
        peer.shard.connectionReset();
        peer.shard.primaryLinkBroken();
        peer.shard.followerLinkBroken();
      });
    });
    this.clock.schedule(this.random.between(6, 40), () => {
      if (passes() && this.nodes.get(server) === node) peer?.run(() => peer.shard.connectionRefused(peer.nowMs()));
    });
  }

  sendToPeer(node: SimNode, message: PeerMessage): void {
    const differs = message.kind === 'dismiss' && message.reason.startsWith('state differs');
    check(!differs, 'rule 9', () => `${node.serverId}: ${JSON.stringify(message)}`);
    if (node.alive) this.links[this.other(node.serverId as Server)].send(message);
  }

  arbiterOf(node: SimNode): Pick<ShardOptions, 'arbiter' | 'gossip'> {
    const server = node.serverId as Server;
    if (this.options.standalone) {
      const own = new StandaloneArbiter({ serverId: server, announce: () => node.shard.announce() });
      return { arbiter: own, gossip: own };
    }
    const seen = this.arbiter.seenBy(() => node.alive && !this.cutOff.has(server));
    return { arbiter: { ask: (request, answered) => seen.ask(request, (answer) => node.run(() => answered(answer))) } };
  }

  /** Someone who says to be primary; zones try one after the other. */
  anyPrimary(): SimNode | undefined {
    const primaries = [...this.nodes.values()].filter((node) => node.alive && node.shard.role === 'primary');
    return primaries[this.random.between(0, Math.max(0, primaries.length - 1))];
  }

  sent(sessionId: string, seqId: number, content: number): void {
    // Two processes that cannot see each other may both give a number; clients are told (rule 5).
    if (!this.isWeaker) this.ledger.sent(sessionId, seqId, content);
  }

  /** I2: COMMITTED says that the Lease names two members, and both hold it. */
  checkCommitted(node: SimNode, sessionId: string, seqId: number): void {
    const { lease } = this.arbiter;
    if (this.isWeaker || this.arbiter.lost || lease?.epoch !== node.shard.epoch) return;
    check(lease.inSync.length > 1, 'I2', () => `${seqId} of ${sessionId} is COMMITTED with ${lease.inSync}`);
    for (const incarnation of lease.inSync) {
      const member = this.#holder(incarnation);
      if (member === undefined || node.machine.session(sessionId) === undefined) continue;
      const end = member.machine.session(sessionId)?.nextSeqId ?? 0;
      check(end > seqId, 'I2', () => `${incarnation} lacks ${seqId} of ${sessionId}`);
    }
  }

  /** Lets time pass and checks what must hold at every moment. */
  advance(ms: number): void {
    this.clock.advance(ms, () => this.#checkNow());
  }

  #checkNow(): void {
    const [a, b] = [this.nodes.get('A'), this.nodes.get('B')];
    for (const node of [a, b]) {
      const doubly = node?.doublyHeld();
      check(doubly === undefined, 'I8', () => `${doubly} is held by two connections`);
    }
    if (a?.alive !== true || b?.alive !== true || a.shard.role !== 'primary' || b.shard.role !== 'primary') return;
    check(a.shard.epoch !== b.shard.epoch, 'I1', () => `two primaries of epoch ${a.shard.epoch}`);
  }

  /** Everything works again: links, clocks, processes, arbiter. */
  heal(): void {
    this.healed = true;
    this.arbiter.down = false;
    this.arbiter.lostReplies = 0;
    this.cutOff.clear();
    for (const server of servers) {
      this.links[server].cut = false;
      this.links[server].faults = { ...calmLink };
      const node = this.nodes.get(server);
      if (node !== undefined) node.clockRate = 1;
      node?.proceed();
      this.startNode(server);
    }
  }

  #holder(incarnation: string): SimNode | undefined {
    for (const node of this.nodes.values()) {
      if (node.alive && node.shard.incarnation === incarnation) return node;
    }
    return undefined;
  }

  #leaseChanged(): void {
    for (const [server, node] of this.nodes) {
      this.clock.schedule(this.random.between(1, 60), () => {
        if (!this.arbiter.down && !this.cutOff.has(server)) node.run(() => node.shard.lookAtLease(node.nowMs()));
      });
    }
  }

  #addClient(name: string): void {
    const client: SimClient = new SimClient({
      name,
      openid: name.slice(0, 3),
      clock: this.clock,
      ledger: this.ledger,
      openRequestsMax: 4,
      port: {
        connect: (end) => this.#connect(end, client),
        send: (connection, frame) => this.network.sendUp(connection, frame, frameBytes(frame)),
        close: (connection) => this.network.closeByClient(connection),
      },
    });
    this.clients.push(client);
  }

  #connect(end: NetworkEnd<DownFrame>, client: SimClient): number | undefined {
    const turn = (this.#turns.get(client) ?? this.clients.indexOf(client)) + 1;
    this.#turns.set(client, turn);
    const node = this.nodes.get(servers[turn % 2] ?? 'A');
    if (node?.alive !== true) return undefined;
    const connection = this.network.connect(end, node);
    node.accept(connection);
    this.clock.schedule(startTimeoutMs, () => {
      if (client.connection === connection && client.state === 'starting') client.drop();
    });
    return connection;
  }
}
