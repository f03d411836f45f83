import type { LogIndex, PushIdentity } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { BroadcastOutcome, PushOutcome } from './effect.ts';
import { producerWindow } from './limits.ts';

export type PushAnswer = PushOutcome | BroadcastOutcome;

export interface PushIdRecord {
  answer: PushAnswer;
  readonly expiresAtMs: number;
  /** The command that gave the answer, or gave its push a number. */
  index: LogIndex;
}

export interface Producer {
  /** The highest number seen. */
  highest: number;
  lastUsedMs: number;
  /** The last command that changed an answer. */
  lastIndex: LogIndex;
  /** The end of its horizon, or an earlier moment at which that is looked at again. */
  deadline: Deadline | undefined;
  /** The answers to the last `producerWindow` numbers. */
  readonly answers: Map<number, PushAnswer>;
}

/** The first answers to pushes, kept for a horizon by push_id and for a window by producer (rule 11, I9). */
export class PushDedupe {
  /** In the order of their first answers, which is also the order in which they expire. */
  readonly ids = new Map<string, PushIdRecord>();
  readonly producers = new Map<string, Producer>();
  /** No push_id is forgotten before this shard time (a promotion starts every horizon anew). */
  keepUntilMs = 0;

  /** @returns the first answer, 'new' for one never seen, 'forgotten' when that cannot be told any more. */
  find(identity: PushIdentity): PushAnswer | 'new' | 'forgotten' {
    if (identity.kind === 'none') return 'new';
    if (identity.kind === 'id') return this.ids.get(identity.pushId)?.answer ?? 'new';
    const producer = this.producers.get(identity.producerId);
    if (producer === undefined) return 'new';
    const answer = producer.answers.get(identity.number);
    if (answer !== undefined) return answer;
    return identity.number > producer.highest - producerWindow ? 'new' : 'forgotten';
  }

  /** Whether the answer to a new push could be kept: without room it is refused before it is accepted. */
  hasRoom(identity: PushIdentity, idsMax: number, producersMax: number): boolean {
    if (identity.kind === 'none') return true;
    if (identity.kind === 'id') return this.ids.size < idsMax;
    return this.producers.size < producersMax || this.producers.has(identity.producerId);
  }

  rememberId(pushId: string, answer: PushAnswer, index: LogIndex, expiresAtMs: number): void {
    this.ids.set(pushId, { answer, expiresAtMs, index });
  }

  addProducer(producerId: string): Producer {
    const producer: Producer = { highest: 0, lastUsedMs: 0, lastIndex: 0, deadline: undefined, answers: new Map() };
    this.producers.set(producerId, producer);
    return producer;
  }

  rememberNumber(producer: Producer, number: number, answer: PushAnswer, index: LogIndex, timeMs: number): void {
    producer.lastUsedMs = timeMs;
    producer.lastIndex = index;
    if (number > producer.highest) {
      if (number - producer.highest >= producerWindow) producer.answers.clear();
      else for (let n = producer.highest + 1; n <= number; n += 1) producer.answers.delete(n - producerWindow);
      producer.highest = number;
    }
    producer.answers.set(number, answer);
  }

  /** A push that waited for a response got its number: repeats are told. */
  placed(identity: PushIdentity, seqId: number, index: LogIndex): void {
    if (identity.kind === 'none') return;
    if (identity.kind === 'id') {
      const record = this.ids.get(identity.pushId);
      if (record?.answer.kind !== 'push') return;
      record.answer = withNumber(record.answer, seqId);
      record.index = index;
      return;
    }
    const producer = this.producers.get(identity.producerId);
    const answer = producer?.answers.get(identity.number);
    if (producer === undefined || answer?.kind !== 'push') return;
    producer.answers.set(identity.number, withNumber(answer, seqId));
    producer.lastIndex = index;
  }

  /** Another history: what was answered in it means nothing here. */
  clear(): void {
    this.ids.clear();
    this.producers.clear();
  }

  /** Forgets push_ids whose horizon is over; amortised O(1) for each. */
  expire(timeMs: number): void {
    if (timeMs < this.keepUntilMs) return;
    for (const [pushId, record] of this.ids) {
      if (record.expiresAtMs > timeMs) break;
      this.ids.delete(pushId);
    }
  }
}

function withNumber(answer: PushOutcome, seqId: number): PushOutcome {
  return { kind: 'push', status: answer.status, sessionId: answer.sessionId, seqId, repeated: answer.repeated };
}
