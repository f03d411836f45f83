import { PushLevel } from '../../../proto/gen/upstream.ts';
import type { PushCommand } from '../../session/command.ts';
import type { Outcome, PushOutcome } from '../../session/effect.ts';
import { bodyOf, check } from '../sessions/ledger.ts';
import type { PairWorld } from './pair-world.ts';
import type { SimNode } from './sim-node.ts';

/** A push answered ok: where it must be found in the end. */
export interface Promise {
  readonly content: number;
  readonly sessionId: string;
  readonly seqId: number;
  readonly history: string;
  readonly level: PushLevel;
}

interface SentPush {
  readonly command: PushCommand;
  readonly content: number;
  answered: boolean;
  /** The first answer, and the history it was given in. */
  first: { readonly outcome: PushOutcome; readonly history: string } | undefined;
}

const retryMs = 800;
const requestMs = 60;

/** The zones: answer requests, push, and push again under the same push_id until they hear what became of it. */
export class PairBackend {
  readonly promises: Promise[] = [];
  readonly #pushes: SentPush[] = [];
  #world: PairWorld;
  #epochs = new Map<string, number>();

  constructor(world: PairWorld) {
    this.#world = world;
  }

  get unanswered(): number {
    return this.#pushes.filter(({ answered }) => !answered).length;
  }

  /** A request reached its zone; a repeat gets the same answer. */
  request(node: SimNode, sessionId: string, clientSeq: number): void {
    const { clock, random, ledger } = this.#world;
    clock.schedule(random.between(1, requestMs), () => {
      const response = ledger.responseTo(sessionId, clientSeq);
      const body = bodyOf(response, random.between(0, 40));
      node.run(() => {
        node.submit({ kind: 'answer', sessionId, clientSeq, body, overflowBody: bodyOf(response, 0), zoneId: '001' });
      });
    });
  }

  push(openid: string, ttlMs: number): void {
    const { ledger, random } = this.#world;
    const none = { clientSeq: 0, order: 'immediate', sessionId: '' } as const;
    const content = ledger.add({ kind: 'push', expires: ttlMs > 0, ...none });
    const command: PushCommand = {
      kind: 'push',
      identity: { kind: 'id', pushId: `p${content}` },
      openid,
      sessionId: '',
      body: bodyOf(content, random.between(0, 40)),
      bindClientSeq: 0,
      order: 'immediate',
      ttlMs,
    };
    const sent: SentPush = { command, content, answered: false, first: undefined };
    this.#pushes.push(sent);
    this.#attempt(sent);
  }

  /** A push that was sent before is sent again, answered or not (fault 22). */
  repeat(which: number): void {
    const sent = this.#pushes[this.#pushes.length - 1 - (which % Math.max(1, this.#pushes.length))];
    if (sent !== undefined) this.#submit(sent);
  }

  #attempt(sent: SentPush): void {
    if (sent.answered) return;
    this.#submit(sent);
    this.#world.clock.schedule(retryMs, () => this.#attempt(sent));
  }

  #submit(sent: SentPush): void {
    const node = this.#world.anyPrimary();
    node?.run(() => {
      if (!node.shard.serving) return;
      const heard = (outcome: Outcome) => {
        if (outcome.kind === 'push') this.#answered(sent, node, outcome);
      };
      this.#world.options.plant.push(node, sent.command, heard, () => node.submit(sent.command, heard));
    });
  }

  #answered(sent: SentPush, node: SimNode, outcome: PushOutcome): void {
    const { epoch, history, pushLevel: level } = node.shard;
    // A zone takes nothing of a lower epoch (I1); of two standalone primaries the higher one may be the one that dies.
    if (epoch < (this.#epochs.get(history) ?? 0) && !this.#world.isWeaker) return;
    this.#epochs.set(history, epoch);
    const { first } = sent;
    if (first !== undefined && first.history === history && this.#isFinal(first.outcome, outcome)) {
      const same = outcome.status === first.outcome.status && outcome.seqId === first.outcome.seqId;
      check(same || this.#world.isWeaker, 'I9', () => {
        return `push ${sent.content}: first ${JSON.stringify(first.outcome)}, again ${JSON.stringify(outcome)}`;
      });
    }
    sent.first = { outcome, history };
    if (outcome.status !== 'ok') {
      sent.answered = outcome.status !== 'overloaded';
      return;
    }
    sent.answered = true;
    if (level === PushLevel.PUSH_LEVEL_COMMITTED) this.#world.checkCommitted(node, outcome.sessionId, outcome.seqId);
    const { sessionId, seqId } = outcome;
    this.promises.push({ content: sent.content, sessionId, seqId, history, level });
  }

  #isFinal(a: PushOutcome, b: PushOutcome): boolean {
    return a.status !== 'overloaded' && b.status !== 'overloaded';
  }
}
