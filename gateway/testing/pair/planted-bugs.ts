import type { ArbiterAnswer, Lease } from '../../replication/arbiter.ts';
import type { PeerMessage } from '../../replication/peer-messages.ts';
import type { Command } from '../../session/command.ts';
import type { Effect, Outcome } from '../../session/effect.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import { nothingPlanted, type PairPlant } from './pair-world.ts';
import type { SimNode } from './sim-node.ts';

type ShardOptions = Parameters<PairPlant['shard']>[0];

/** Push answers do not outlive their primary. */
class DedupeNotReplicated extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    if (command.kind === 'promote') this.state.dedupe.clear();
    return outcome;
  }
}

let made = 0;

/** A limit is read from the process's own configuration, and the two differ. */
class ConfiguredLimitInApply extends SessionMachine {
  readonly #own = made++ % 2 === 0 ? 1 : 12;

  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    if (command.kind === 'push') this.state.limits = { ...this.state.limits, queueMessagesMax: this.#own };
    return super.apply(index, command, effects);
  }
}

/** The backup takes sessions as they are when the snapshot began, though commands came since. */
class SessionCapturedEarlier extends SessionMachine {
  override snapshot(startIndex: number): ReturnType<SessionMachine['snapshot']> {
    const images = [...super.snapshot(startIndex)];
    return (function* () {
      yield* images;
    })();
  }
}

function machine(of: new () => SessionMachine): PairPlant {
  return { ...nothingPlanted, machine: () => new of() };
}

function shard(change: (options: ShardOptions, node: SimNode) => ShardOptions): PairPlant {
  return { ...nothingPlanted, shard: change };
}

/** What the peer sends, changed before it arrives here. */
function sends(change: (message: PeerMessage) => PeerMessage): PairPlant {
  return shard((options) => ({ ...options, send: (message) => options.send(change(message)) }));
}

/** Answers of the arbiter, changed on their way. */
function hears(change: (answer: ArbiterAnswer, node: SimNode) => ArbiterAnswer): PairPlant {
  return shard((options, node) => ({
    ...options,
    arbiter: {
      ask: (request, answered) => options.arbiter.ask(request, (answer) => answered(change(answer, node))),
    },
  }));
}

/** The Lease with every incarnation of this pair in its set. */
function withEverybody(lease: Lease, node: SimNode): Lease {
  const all = [...node.world.nodes.values()].map((other) => other.shard?.incarnation ?? lease.holder);
  return { ...lease, inSync: [...new Set([...lease.inSync, ...all])] };
}

/** Bugs that were made on purpose; the simulator has to find each. */
export const plantedPairBugs: Readonly<Record<string, PairPlant>> = {
  'a message sent before its commit': { ...nothingPlanted, deliverUpTo: (of) => of.logIndex },
  'push answers lost with the primary': machine(DedupeNotReplicated),
  'a configured limit read inside apply': machine(ConfiguredLimitInApply),
  'sessions captured at one index under the header of another': machine(SessionCapturedEarlier),
  'an acknowledgement of more than was applied': sends((message) =>
    message.kind === 'ack' && message.index > 0 ? { ...message, index: message.index + 3, hash: 0 } : message,
  ),
  'an acknowledgement while the copy is not complete': sends((message) =>
    message.kind === 'ack' && message.index === 0 ? { ...message, index: 1_000_000 } : message,
  ),
  'promotion of a member that is not in-sync': hears((answer, node) =>
    answer.kind === 'lease' && answer.lease !== undefined && node.shard?.role !== 'primary'
      ? { ...answer, lease: withEverybody(answer.lease, node) }
      : answer,
  ),
  'an unknown outcome taken for success': shard((options) => ({
    ...options,
    arbiter: {
      ask: (request, answered) => {
        options.arbiter.ask(request, answered);
        if (request.kind === 'read' || request.expected === undefined) return;
        const { expected, next } = request;
        if (next.epoch !== expected.epoch) return;
        const lease = { ...next, revision: expected.revision + 1, token: expected.token };
        answered({ kind: 'swapped', lease });
      },
    },
  })),
};
