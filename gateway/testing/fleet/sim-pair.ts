import type { ForwardCall, ForwardResult } from '../../../proto/gen/fleet.ts';
import { Announcer } from '../../fleet/announcer.ts';
import type { Directory } from '../../fleet/directory.ts';
import { Fleet } from '../../fleet/fleet.ts';
import { FleetNode } from '../../fleet/fleet-node.ts';
import { Forwarder } from '../../fleet/forwarder.ts';
import type { CallOptions, LinkEvents, LinkStream } from '../../fleet/pair-link.ts';
import type { HandlerContext } from '../../handlers/context.ts';
import { SoloShard } from '../../replication/solo-shard.ts';
import { performCall } from '../../servers/fleet-service.ts';
import type { Command } from '../../session/command.ts';
import type { Effect, Outcome } from '../../session/effect.ts';
import { defaultShardLimits } from '../../session/limits.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import type { VirtualClock } from '../virtual-clock.ts';

export interface SimPairOptions {
  readonly id: string;
  readonly clock: VirtualClock;
  readonly dial: (from: SimGateway, endpoint: string, events: LinkEvents) => LinkStream;
  readonly directory: () => Directory;
  /** What really became of each command. */
  readonly applied: (pair: SimPair, command: Command, outcome: Outcome) => void;
  /** The identity unless a bug is planted. */
  readonly plantCall: (options: CallOptions) => CallOptions;
}

/** Two gateways in front of one state: what one of them commits the other has. */
export class SimPair {
  readonly id: string;
  readonly machine = new SessionMachine();
  readonly gateways: readonly [SimGateway, SimGateway];
  primary: 0 | 1 = 0;
  #shard: SoloShard<Command, Outcome, Effect>;
  #applied: SimPairOptions['applied'];

  constructor(options: SimPairOptions) {
    this.id = options.id;
    this.#applied = options.applied;
    const solo = {
      id: options.id,
      machine: this.machine,
      incarnation: options.id,
      epoch: 1,
      history: `h-${options.id}`,
    };
    this.#shard = new SoloShard<Command, Outcome, Effect>({ ...solo, perform: (effect) => this.#perform(effect) });
    this.gateways = [new SimGateway(this, 0, options), new SimGateway(this, 1, options)];
    this.submit({ kind: 'promote', epoch: 1, history: solo.history });
    this.submit({ kind: 'configure', limits: { ...defaultShardLimits, resumeWindowMs: 3_000 } });
  }

  submit(command: Command, committed: (outcome: Outcome) => void = () => {}): void {
    this.#shard.submit(command, (outcome) => {
      this.#applied(this, command, outcome);
      committed(outcome);
    });
  }

  /** The other gateway takes over. */
  failOver(): void {
    this.primary = this.primary === 0 ? 1 : 0;
    for (const gateway of this.gateways) gateway.node.roleChanged();
  }

  #perform(effect: Effect): void {
    if (effect.kind !== 'closed') return;
    for (const { node } of this.gateways) node.sessionEnded(effect.sessionId);
  }
}

/** One gateway: the real fleet part and the real way of a call, on a shard that commits at once. */
export class SimGateway {
  readonly pair: SimPair;
  readonly index: 0 | 1;
  readonly fleet: Fleet;
  readonly node: FleetNode;
  readonly directory: Directory;
  readonly announcer: Announcer;
  alive = true;
  readonly context: HandlerContext;

  constructor(pair: SimPair, index: 0 | 1, options: SimPairOptions) {
    this.pair = pair;
    this.index = index;
    const { clock, id } = options;
    this.fleet = new Fleet({ pairId: id, nowMs: () => clock.nowMs() });
    this.directory = options.directory();
    const defer = (run: () => void) => void clock.schedule(0, run);
    const forwarder = new (plantedForwarder(options.plantCall))({
      clock,
      limits: { callsMax: 1_000, bytesMax: 1_000_000 },
      dial: (endpoint, events) => options.dial(this, endpoint, events),
      defer,
      schedule: (delayMs, run) => void clock.schedule(delayMs, run),
    });
    this.announcer = new Announcer({
      pairId: id,
      directory: this.directory,
      sessions: () => (this.serving ? pair.machine.all() : []),
      session: (sessionId) => pair.machine.session(sessionId),
      epoch: () => 1,
      superseded: (sessionId) => pair.submit({ kind: 'close', sessionId, code: 4004, reason: 'superseded' }),
      concurrency: 8,
      defer,
    });
    this.node = new FleetNode({
      fleet: this.fleet,
      forwarder,
      directory: this.directory,
      announcer: this.announcer,
      timeoutMs: 1_000,
      local: (call, done) => this.perform(call, done),
    });
    this.context = contextOf(this, clock);
  }

  get endpoint(): string {
    return endpointOf(this.pair.id, this.index);
  }

  get serving(): boolean {
    return this.alive && this.pair.primary === this.index;
  }

  perform(call: ForwardCall, done: (result: ForwardResult) => void): void {
    performCall(this.context, call, done);
  }
}

export function endpointOf(pairId: string, index: number): string {
  return `${pairId}-${index}:1`;
}

function plantedForwarder(plant: (options: CallOptions) => CallOptions): typeof Forwarder {
  return class extends Forwarder {
    override call(pairId: string, call: ForwardCall, options: CallOptions): void {
      super.call(pairId, call, plant(options));
    }
  };
}

/** As much of a gateway as the way of a push needs. */
function contextOf(gateway: SimGateway, clock: VirtualClock): HandlerContext {
  const { pair } = gateway;
  const context = {
    clock,
    fleet: gateway.node,
    sessions: pair.machine,
    settings: { maxFrameBytes: 65_536 },
    shard: {
      id: pair.id,
      epoch: 1,
      history: `h-${pair.id}`,
      pushLevel: 3,
      get serving() {
        return gateway.serving;
      },
      get zoneRedirect() {
        return endpointOf(pair.id, pair.primary);
      },
      submit: (command: Command, committed?: (outcome: Outcome) => void) => pair.submit(command, committed),
    },
    protector: { admit: () => ({ ok: true }) },
    meter: { request: () => {}, committed: () => {} },
    turn: { ask: () => {} },
  };
  return context as unknown as HandlerContext;
}
