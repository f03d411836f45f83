import type { Command } from '../../session/command.ts';
import type { Effect, Outcome } from '../../session/effect.ts';
import { OrderedQueue } from '../../session/ordered-queue.ts';
import { SessionMachine } from '../../session/session-machine.ts';
import { contentOf, skipContent } from './ledger.ts';
import { nothingPlanted, type Plant } from './world.ts';

/** An acknowledgement counts for one message more than it says. */
class AckOffByOne extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    if (command.kind !== 'ack') return super.apply(index, command, effects);
    const end = (this.session(command.sessionId)?.nextSeqId ?? 1) - 1;
    const upTo = command.upTo < end ? command.upTo + 1 : command.upTo;
    return super.apply(index, { ...command, upTo }, effects);
  }
}

/** Every token ever given for a session stays good. */
class TokenNotRotated extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    if (command.kind !== 'start' || command.token === undefined) return super.apply(index, command, effects);
    const { sessionId } = command.token;
    const binding = this.session(sessionId)?.binding ?? command.token.binding;
    return super.apply(index, { ...command, token: { sessionId, binding } }, effects);
  }
}

/** A new primary gives the number of the last message again. */
class ReusedSeqId extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    if (command.kind !== 'promote') return outcome;
    for (const session of this.state.sessions.values()) {
      const entries = [...session.queue.entries()];
      const last = entries.pop();
      if (last === undefined) continue;
      const queue = new OrderedQueue();
      queue.beginAt(session.ackUpTo);
      for (const entry of entries) queue.append(entry, entry.body, entry.logIndex).expiry = entry.expiry;
      this.state.deadlines.cancel(last.expiry);
      this.state.queueMessages -= 1;
      this.state.queueBytes -= session.queue.bytes - queue.bytes;
      Object.assign(session, { queue });
    }
    return outcome;
  }
}

/** A resumed stream begins one message too late. */
class ResumeSkipsOne extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    if (outcome.kind !== 'started' || !outcome.resumed) return outcome;
    const queued = this.session(outcome.sessionId)?.queue.length ?? 0;
    return queued === 0 ? outcome : { ...outcome, nextSeqId: outcome.nextSeqId + 1 };
  }
}

/** A broadcast is applied once more, as a retry without dedupe would be. */
class BroadcastTwice extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    if (command.kind === 'broadcast' && outcome.kind === 'broadcast' && outcome.accepted > 0 && !outcome.repeated) {
      super.apply(index, { ...command, identity: { kind: 'none' } }, effects);
    }
    return outcome;
  }
}

/** A repeat of a request is judged by the highest number alone: what is below it must have been answered. */
class HighestSeqAlone extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    if (command.kind === 'admit' && command.clientSeq <= (this.session(command.sessionId)?.maxClientSeq ?? 0)) {
      return { kind: 'admit', action: 'acked' };
    }
    return super.apply(index, command, effects);
  }
}

/** A request that was answered is forgotten, so that its repeat goes to the zone once more. */
class RequestForgotten extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    if (command.kind !== 'answer') return outcome;
    const session = this.state.sessions.get(command.sessionId);
    session?.giveBack(command.clientSeq);
    return outcome;
  }
}

/** Push answers do not outlive their primary. */
class DedupeNotReplicated extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    if (command.kind === 'promote') this.state.dedupe.clear();
    return outcome;
  }
}

/** The limit of a queue counts messages only, and not what is still to come. */
class LimitWithoutOpenRequests extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    if (command.kind !== 'configure') return super.apply(index, command, effects);
    const limits = { ...command.limits, queueMessagesMax: command.limits.queueMessagesMax + 1 };
    return super.apply(index, { ...command, limits }, effects);
  }
}

/** Messages go out as soon as they are applied. */
class SentBeforeCommit extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    for (const session of this.state.sessions.values()) {
      const last = session.queue.entry(session.nextSeqId - 1);
      if (last !== undefined) last.logIndex = 0;
    }
    return outcome;
  }
}

/** Whoever held a session before is not told that it is gone. */
class OldBindingStays extends SessionMachine {
  override apply(index: number, command: Command, effects: Effect[]): Outcome {
    const outcome = super.apply(index, command, effects);
    const replaced = effects.findIndex(({ kind }) => kind === 'replaced');
    if (replaced >= 0) effects.splice(replaced, 1);
    return outcome;
  }
}

function machine(of: new () => SessionMachine): Plant {
  return { ...nothingPlanted, machine: () => new of() };
}

/** Bugs that were made on purpose; the checker has to find each. */
export const plantedBugs: Readonly<Record<string, Plant>> = {
  'ack off by one': machine(AckOffByOne),
  'token not rotated': machine(TokenNotRotated),
  'reused seqId': machine(ReusedSeqId),
  'resume skipping one': machine(ResumeSkipsOne),
  'broadcast applied twice': machine(BroadcastTwice),
  'window ignored': { ...nothingPlanted, delivery: (limits) => ({ ...limits, windowMessages: 1_000 }) },
  'an expired push that leaves a hole': {
    ...nothingPlanted,
    port: (port) => ({
      send: (connection, seqId, msgId, body) => {
        return contentOf(body) === skipContent || port.send(connection, seqId, msgId, body);
      },
      close: (connection, code, reason) => port.close(connection, code, reason),
    }),
  },
  'a request repeat judged by the highest seq alone': machine(HighestSeqAlone),
  'an answered request that is carried out again': machine(RequestForgotten),
  'push answers lost with the primary': machine(DedupeNotReplicated),
  'a queue limit read one too high': machine(LimitWithoutOpenRequests),
  'sent before its commit': machine(SentBeforeCommit),
  'an overtaken connection that is not told': machine(OldBindingStays),
  'sent before the ack timeout': { ...nothingPlanted, delivery: (limits) => ({ ...limits, ackTimeoutMs: 300 }) },
};
