import type { ArbiterAnswer } from '../../replication/arbiter.ts';
import { Membership } from '../../replication/membership.ts';
import type { JoinMessage, PeerMessage } from '../../replication/peer-messages.ts';
import { Tenure } from '../../replication/tenure.ts';
import type { Command } from '../../session/command.ts';
import type { Effect, Outcome, PushOutcome } from '../../session/effect.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import { nothingPlanted, type PairPlant, type Server } from './pair-world.ts';
import type { SimNode } from './sim-node.ts';

/** Replaces one property of a prototype for the time of a run. */
function replaced(prototype: object, name: string, descriptor: PropertyDescriptor): () => void {
  const was = Object.getOwnPropertyDescriptor(prototype, name) as PropertyDescriptor;
  Object.defineProperty(prototype, name, { configurable: true, ...descriptor });
  return () => Object.defineProperty(prototype, name, was);
}

/** Rule 1: an acknowledgement counts whoever sent it. */
function anyAcknowledgementCounts(): () => void {
  const joined = new WeakMap<object, JoinMessage>();
  const { join, acknowledged } = Tenure.prototype;
  const undoJoin = replaced(Tenure.prototype, 'join', {
    value(this: Tenure<never, never, never, never>, message: JoinMessage) {
      joined.set(this, message);
      join.call(this, message);
    },
  });
  const undoAcknowledged = replaced(Tenure.prototype, 'acknowledged', {
    value(this: Tenure<never, never, never, never>, ack: Parameters<typeof acknowledged>[0]) {
      const { stream, incarnation } = joined.get(this) ?? ack;
      acknowledged.call(this, { ...ack, stream, incarnation, epoch: this.epoch, history: this.history });
    },
  });
  return () => {
    undoJoin();
    undoAcknowledged();
  };
}

/** Rule 1: members are required only between the writes that add and remove them, as if those were known at once. */
function requiredWhenRecorded(): () => void {
  return replaced(Membership.prototype, 'required', {
    get(this: Membership) {
      return this.confirmed.filter((member) => member !== this.lease.holder && this.wants(member));
    },
  });
}

/** I2: COMMITTED is said while the place of the other member is in doubt. */
function levelWithoutDoubt(): () => void {
  return replaced(Membership.prototype, 'level', {
    get(this: Membership) {
      return this.confirmed.length > 1 ? 'committed' : 'degraded';
    },
  });
}

/** Rule 2: an unknown outcome is taken for a refusal. */
function unknownIsRefused(): () => void {
  const { answered } = Membership.prototype;
  return replaced(Membership.prototype, 'answered', {
    value(this: Membership, answer: ArbiterAnswer) {
      answered.call(this, answer.kind === 'unknown' ? { kind: 'conflict' } : answer);
    },
  });
}

/** Rule 4: a repeat is answered from what is applied. */
class PeekingMachine extends SessionMachine {
  firstAnswer(pushId: string): PushOutcome | undefined {
    const answer = this.state.dedupe.find({ kind: 'id', pushId });
    return typeof answer !== 'string' && answer.kind === 'push' ? { ...answer, repeated: true } : undefined;
  }
}

/** Rule 5: the place counts as if it had been received under the present epoch. */
class PlaceWithoutEpoch extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    if (command.kind !== 'start' || command.place === undefined) return super.apply(index, command, effects);
    const session = this.sessionOf(command.openid) ?? this.session(command.place.sessionId);
    const receivedSeqId = Math.min(command.place.receivedSeqId, (session?.nextSeqId ?? 1) - 1);
    return super.apply(index, { ...command, place: { ...command.place, epoch: this.epoch, receivedSeqId } }, effects);
  }
}

/** Rule 13: heartbeats say which server, not which start of it. */
function withoutIncarnation(message: PeerMessage, node: SimNode): PeerMessage {
  if (message.kind !== 'ping' && message.kind !== 'pong') return message;
  const holder = node.world.arbiter.lease?.holder ?? '';
  if (!holder.startsWith(`${message.status.serverId}/`)) return message;
  return { ...message, status: { ...message.status, incarnation: holder } };
}

/** What the rule is against, often: an acknowledgement that arrives after its sender is gone. */
function repeatLater(message: PeerMessage, { world, serverId }: SimNode): void {
  const link = world.links[world.other(serverId as Server)];
  for (const afterMs of [100, 250, 500, 1_000]) world.clock.schedule(afterMs, () => link.send(message));
}

const planted = (change: Partial<PairPlant>): PairPlant => ({ ...nothingPlanted, ...change });

/** The starred rules of design §5, each taken out of the real code; the simulator has to miss every one of them. */
export const plantedRules: Readonly<Record<string, PairPlant>> = {
  '1: an acknowledgement counts whoever sent it': planted({
    patch: anyAcknowledgementCounts,
    shard: (options, node) => ({
      ...options,
      send: (message) => {
        options.send(message);
        if (message.kind === 'ack') repeatLater(message, node);
      },
    }),
  }),
  '1: a member is required only while it is recorded': planted({ patch: requiredWhenRecorded }),
  '1: COMMITTED is said in doubt': planted({ patch: levelWithoutDoubt }),
  '2: an unknown outcome is taken for a refusal': planted({ patch: unknownIsRefused }),
  '3: the operator promotes without naming a version': planted({ operatorSwaps: false }),
  '3: a promotion is obeyed before the Lease says so': planted({
    shard: (options, node) => ({
      ...options,
      arbiter: {
        ask: (request, answered) =>
          options.arbiter.ask(request, (answer) => {
            const { shard, world } = node;
            const hint = answer.kind === 'lease' && answer.lease !== undefined && shard?.isInSync === true;
            if (!hint || shard.role !== 'backup' || !world.random.chance(0.1)) return answered(answer);
            const { lease } = answer;
            if (lease === undefined) return answered(answer);
            const holder = shard.incarnation;
            answered({ kind: 'lease', lease: { ...lease, epoch: lease.epoch + 1, holder, inSync: [holder] } });
          }),
      },
    }),
  }),
  '4: a repeat does not wait for the commit of the first': planted({
    machine: () => new PeekingMachine(),
    push: (node, command, heard, submit) => {
      const id = command.identity.kind === 'id' ? command.identity.pushId : '';
      const first = (node.machine as PeekingMachine).firstAnswer(id);
      if (first === undefined) submit();
      else heard(first);
    },
  }),
  '5: a place counts under any epoch': planted({ machine: () => new PlaceWithoutEpoch() }),
  '13: heartbeats do not name incarnations': planted({ receives: withoutIncarnation, hasOperators: false }),
  '14: nothing begins anew': planted({
    shard: (options) => ({
      ...options,
      arbiter: {
        ask: (request, answered) => {
          const begins = request.kind === 'swap' && request.expected !== undefined;
          if (begins && request.next.history !== request.expected?.history) return;
          options.arbiter.ask(request, answered);
        },
      },
    }),
  }),
};
