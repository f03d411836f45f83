import type {
  AdmitCommand,
  AnswerCommand,
  BroadcastCommand,
  ChangeGroupCommand,
  Command,
  PushCommand,
  PushGroupCommand,
  PushIdentity,
} from '../../session/command.ts';
import type { Outcome } from '../../session/effect.ts';
import { ReferenceStarts } from './reference-starts.ts';
import type { RefHeld, RefSession } from './reference-state.ts';

type Remembered = { outcome: Outcome; atMs: number };

/**
 * What the state machine should do, written for reading: no indexes, no heaps, no windows; whole histories and plain
 * searches. It is slow, and knows nothing of how the real one is built.
 */
export class ReferenceShard extends ReferenceStarts {
  #answers = new Map<string, Remembered>();
  #index = 0;

  /** @returns what the real machine must answer, as far as the reference says. */
  apply(index: number, command: Command): object {
    this.#index = index;
    switch (command.kind) {
      case 'tick':
        return this.#tick(command.timeMs);
      case 'start':
        return this.start(command);
      case 'confirm':
        return this.#with(command, (session) => {
          if (session.binding === command.binding) session.heldBinding = command.binding;
        });
      case 'detach':
        return this.#with(command, (session) => {
          if (session.binding === command.binding) this.detach(session);
        });
      case 'admit':
        return this.#admit(command);
      case 'withdraw':
        return this.#with(command, (session) => {
          if (session.requests.get(command.clientSeq) === 'open') session.requests.set(command.clientSeq, 'returned');
        });
      case 'answer':
        return this.#with(command, (session) => this.#answer(session, command));
      case 'push':
        return this.#once(command, () => this.#push(command));
      case 'broadcast':
        return this.#once(command, () => this.#broadcast(command, this.#matching(command)));
      case 'push-group':
        return this.#once(command, () => {
          return this.#broadcast(
            command,
            this.sessions.filter(({ groups }) => groups.has(command.group)),
          );
        });
      case 'join-group':
      case 'leave-group':
        return this.#changeGroup(command);
      case 'ack':
        return this.#ack(command.sessionId, command.upTo);
      case 'close':
        return this.#with(command, (session) => this.end(session, command.code));
      case 'promote':
        return this.#promote(command.epoch);
      default:
        return {};
    }
  }

  #with(command: { sessionId: string }, act: (session: RefSession) => void): object {
    const session = this.find(command.sessionId);
    if (session !== undefined) act(session);
    return { kind: 'done' };
  }

  #tick(timeMs: number): object {
    if (timeMs <= this.timeMs) return { kind: 'done' };
    this.timeMs = timeMs;
    for (const session of [...this.sessions]) {
      if (!session.connected && session.expiresAtMs <= timeMs) {
        this.end(session, 3002);
        continue;
      }
      for (const message of session.messages.slice(session.acked)) {
        if (message.expiresAtMs !== 0 && message.expiresAtMs <= timeMs)
          Object.assign(message, { bytes: 0, expiresAtMs: 0 });
      }
      const due = session.held.filter(({ dueAtMs }) => dueAtMs <= timeMs);
      for (const held of due.sort((a, b) => a.dueAtMs - b.dueAtMs || a.index - b.index)) this.#release(session, held);
    }
    for (const [key, { atMs }] of this.#answers) {
      if (atMs + this.limits.pushDedupeHorizonMs <= timeMs) this.#answers.delete(key);
    }
    return { kind: 'done' };
  }

  #admit(command: AdmitCommand): object {
    const session = this.find(command.sessionId);
    const { clientSeq } = command;
    if (session === undefined) return { code: 3001 };
    if (session.binding !== command.binding) return { code: 4004 };
    const known = session.requests.get(clientSeq);
    if (known === 'open') return { action: 'open' };
    if (known === 'answered') {
      const at = session.messages.findIndex((message) => message.clientSeq === clientSeq);
      if (at >= session.acked) return { action: 'resend', seqId: at + 1 };
      return clientSeq >= session.max - 64 ? { action: 'acked' } : { code: 1001 };
    }
    if (known === undefined && clientSeq < session.max - 64) return { code: 1001 };
    if (this.openCount(session) >= this.limits.openRequestsMax) return { code: 1001 };
    if (this.placesLeft(session) <= 0) return { code: 1004 };
    session.requests.set(clientSeq, 'open');
    session.max = Math.max(session.max, clientSeq);
    return { action: 'forward' };
  }

  #answer(session: RefSession, command: AnswerCommand): void {
    const { clientSeq, body, overflowBody } = command;
    if (session.requests.get(clientSeq) !== 'open') return;
    session.requests.set(clientSeq, 'answered');
    if (command.zoneId !== undefined && session.zoneId === '') session.zoneId = command.zoneId;
    const fits =
      this.bytesOf(session) + body.length <= this.limits.queueBytesMax &&
      this.totalBytes() + body.length <= this.limits.totalQueueBytesMax;
    const bound = session.held.filter(({ command: held }) => held.bindClientSeq === clientSeq);
    for (const held of bound) if (held.command.order === 'before') this.#release(session, held);
    session.messages.push({ bytes: fits ? body.length : overflowBody.length, clientSeq, expiresAtMs: 0 });
    for (const held of bound) if (held.command.order === 'after') this.#release(session, held);
  }

  #once(command: PushCommand | BroadcastCommand | PushGroupCommand, first: () => Outcome): object {
    const { identity } = command;
    const kind = command.kind === 'push' ? 'push' : 'broadcast';
    if (identity.kind === 'none') return first();
    const key = identity.kind === 'id' ? `id ${identity.pushId}` : `number ${identity.producerId} ${identity.number}`;
    const known = this.#answers.get(key);
    if (known !== undefined && known.outcome.kind !== kind) return { kind, status: 'invalid' };
    if (known !== undefined) return { ...known.outcome, repeated: true };
    const outcome = first();
    this.#answers.set(key, { outcome, atMs: this.timeMs });
    if (identity.kind !== 'producer') return outcome;
    // A producer is remembered as a whole, from its last push.
    for (const [other, remembered] of this.#answers) {
      if (other.startsWith(`number ${identity.producerId} `)) remembered.atMs = this.timeMs;
    }
    return outcome;
  }

  #push(command: PushCommand): Outcome {
    const { openid, sessionId, body, order, bindClientSeq, ttlMs } = command;
    const session = this.sessions.find((one) => (sessionId === '' ? one.openid === openid : one.id === sessionId));
    const answer = (status: string, seqId = 0) =>
      ({ kind: 'push', status, sessionId: session?.id ?? sessionId, seqId, repeated: false }) as Outcome;
    if (session === undefined) return answer('no-session');
    if (body.length > this.limits.queueBytesMax) return answer('too-large');
    if (this.placesLeft(session) <= 0) return answer('queue-full');
    if (this.bytesOf(session) + body.length > this.limits.queueBytesMax) return answer('queue-full');
    if (this.totalBytes() + body.length > this.limits.totalQueueBytesMax) return answer('overloaded');
    const expiresAtMs = ttlMs === 0 ? 0 : this.timeMs + ttlMs;
    if (order !== 'immediate' && this.#isAwaited(session, bindClientSeq)) {
      const waitEndMs = this.timeMs + this.limits.bindWaitMs;
      const dueAtMs = expiresAtMs === 0 ? waitEndMs : Math.min(waitEndMs, expiresAtMs);
      session.held.push({ command, index: this.#index, dueAtMs, expiresAtMs });
      return answer('ok');
    }
    session.messages.push({ bytes: body.length, clientSeq: 0, expiresAtMs });
    return answer('ok', session.messages.length);
  }

  #isAwaited(session: RefSession, clientSeq: number): boolean {
    const known = session.requests.get(clientSeq);
    if (known !== undefined) return known !== 'answered';
    return clientSeq >= session.max - 64;
  }

  #release(session: RefSession, held: RefHeld): void {
    session.held = session.held.filter((other) => other !== held);
    const expired = held.expiresAtMs !== 0 && held.expiresAtMs <= this.timeMs;
    const { body, identity } = held.command;
    const expiresAtMs = expired ? 0 : held.expiresAtMs;
    session.messages.push({ bytes: expired ? 0 : body.length, clientSeq: 0, expiresAtMs });
    for (const { outcome } of this.#answers.values()) {
      const asked = identity.kind !== 'none' && outcome.kind === 'push' && outcome.seqId === 0;
      if (asked && this.#answers.get(keyOf(identity))?.outcome === outcome) {
        Object.assign(outcome, { seqId: session.messages.length });
      }
    }
  }

  #changeGroup({ kind, group, openids, sessionIds }: ChangeGroupCommand): object {
    const named = (one: RefSession) => openids.includes(one.openid) || sessionIds.includes(one.id);
    const chosen = this.sessions.filter((one) => named(one) && one.groups.has(group) === (kind === 'leave-group'));
    for (const { groups } of chosen) {
      if (kind === 'join-group') groups.add(group);
      else groups.delete(group);
    }
    const isHere = (name: string) => this.sessions.some(({ openid, id }) => openid === name || id === name);
    return {
      kind: 'members',
      changed: chosen.length,
      missing: [...openids, ...sessionIds].filter((name) => !isHere(name)),
    };
  }

  #matching({ zoneIds, openids }: BroadcastCommand): RefSession[] {
    return this.sessions.filter(
      ({ zoneId, openid }) =>
        (zoneIds.length === 0 || zoneIds.includes(zoneId)) && (openids.length === 0 || openids.includes(openid)),
    );
  }

  #broadcast({ body, ttlMs }: BroadcastCommand | PushGroupCommand, matched: readonly RefSession[]): Outcome {
    const answer = (status: string, matched: number, accepted: number) =>
      ({ kind: 'broadcast', status, matched, accepted, repeated: false }) as Outcome;
    if (body.length > this.limits.queueBytesMax) return answer('too-large', 0, 0);
    if (this.totalBytes() + matched.length * body.length > this.limits.totalQueueBytesMax) {
      return answer('overloaded', 0, 0);
    }
    const full = matched.filter((session) => {
      return this.placesLeft(session) <= 0 || this.bytesOf(session) + body.length > this.limits.queueBytesMax;
    });
    const expiresAtMs = ttlMs === 0 ? 0 : this.timeMs + ttlMs;
    for (const session of matched) {
      if (full.includes(session)) this.end(session, 2007);
      else session.messages.push({ bytes: body.length, clientSeq: 0, expiresAtMs });
    }
    return answer('ok', matched.length, matched.length - full.length);
  }

  #ack(sessionId: string, upTo: number): object {
    const session = this.find(sessionId);
    if (session === undefined) return { kind: 'done' };
    if (upTo > session.messages.length) return { code: 4001 };
    session.acked = Math.max(session.acked, upTo);
    return { kind: 'done' };
  }

  #promote(epoch: number): object {
    if (epoch <= this.epoch) return { code: 2010 };
    this.epoch = epoch;
    for (const session of this.sessions) {
      session.ends.push({ epoch, end: session.messages.length });
      this.detach(session);
      for (const [clientSeq, state] of session.requests) {
        if (state === 'open') session.requests.set(clientSeq, 'returned');
      }
      for (const held of session.held) {
        const waitEndMs = this.timeMs + this.limits.bindWaitMs;
        held.dueAtMs = held.expiresAtMs === 0 ? waitEndMs : Math.min(waitEndMs, held.expiresAtMs);
      }
    }
    for (const remembered of this.#answers.values()) remembered.atMs = this.timeMs;
    return { kind: 'done' };
  }
}

function keyOf(identity: Exclude<PushIdentity, { kind: 'none' }>): string {
  return identity.kind === 'id' ? `id ${identity.pushId}` : `number ${identity.producerId} ${identity.number}`;
}
