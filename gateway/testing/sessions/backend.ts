import type { PushCommand, PushIdentity } from '../../session/command.ts';
import type { Outcome } from '../../session/effect.ts';
import { bodyOf, check } from './ledger.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { World } from './world.ts';
import { worldLimits } from './world-limits.ts';

interface SentPush {
  readonly command: PushCommand;
  readonly content: number;
  readonly sentAtMs: number;
  /** The first committed answer, with the history it was given in. */
  answer: { readonly outcome: Extract<Outcome, { kind: 'push' }>; readonly history: string } | undefined;
}

const overflowPadding = 0;

/** The zones and whoever pushes: idempotent, as the documentation asks of them. */
export class Backend {
  readonly pushes: SentPush[] = [];
  /** How often each request was carried out, by gateway process. */
  #carriedOut = new Map<string, number>();
  #world: World;
  #lastNumber = 0;
  #unanswered = new Set<SentPush>();

  constructor(world: World) {
    this.#world = world;
  }

  /** A request reaches its zone: answered later, perhaps with pushes around the answer, or it never got there. */
  request(gateway: SimGateway, sessionId: string, clientSeq: number, msgId: number): void {
    const { clock, random } = this.#world;
    const unreached = random.chance(0.15);
    const delayMs = random.chance(0.1) ? random.between(500, 3_000) : random.between(1, 80);
    if (!unreached) {
      const key = `${gateway.options.incarnation} ${sessionId} ${clientSeq}`;
      const times = (this.#carriedOut.get(key) ?? 0) + 1;
      this.#carriedOut.set(key, times);
      check(times === 1, 'rule 6', () => `request ${clientSeq} of ${sessionId} went to its zone ${times} times`);
    }
    clock.schedule(delayMs, () => {
      if (!gateway.alive) return;
      if (unreached) gateway.withdrawn(sessionId, clientSeq, msgId);
      else this.#answer(gateway, sessionId, clientSeq);
    });
  }

  #answer(gateway: SimGateway, sessionId: string, clientSeq: number): void {
    const { random, ledger } = this.#world;
    const around = random.chance(0.3) ? random.between(1, 3) : 0;
    const response = ledger.responseTo(sessionId, clientSeq);
    const held: number[] = [];
    for (let n = 0; n < around; n += 1) {
      const order = random.chance(0.5) ? 'before' : 'after';
      this.push(
        { openid: '', sessionId, bindClientSeq: clientSeq, order, ttlMs: 0, padding: 4 },
        (outcome, content) => {
          if (outcome.heldIndex !== undefined) held.push(content);
        },
      );
    }
    const body = bodyOf(response, random.between(0, 60));
    const overflowBody = bodyOf(response, overflowPadding);
    gateway.submit({ kind: 'answer', sessionId, clientSeq, body, overflowBody, zoneId: '001' }, () => {
      for (const push of held) ledger.neighbours.push({ push, response, sessionId });
    });
  }

  /** Sends one push and remembers what was promised. */
  push(
    to: Pick<PushCommand, 'openid' | 'sessionId' | 'bindClientSeq' | 'order' | 'ttlMs'> & { readonly padding: number },
    committed: (outcome: Extract<Outcome, { kind: 'push' }>, content: number) => void = () => {},
  ): void {
    const { ledger } = this.#world;
    const { padding, ...target } = to;
    const { bindClientSeq: clientSeq, order, sessionId } = to;
    const content = ledger.add({ kind: 'push', clientSeq, order, expires: to.ttlMs > 0, sessionId });
    const command: PushCommand = {
      kind: 'push',
      identity: this.#identity(content),
      body: bodyOf(content, padding),
      ...target,
    };
    const sent: SentPush = { command, content, sentAtMs: this.#world.clock.nowMs(), answer: undefined };
    this.pushes.push(sent);
    this.#submit(sent, committed);
  }

  /** Sends a push again as if its answer had been lost. */
  repeat(which: number): void {
    const sent = this.pushes[this.pushes.length - 1 - (which % Math.max(1, this.pushes.length))];
    if (sent !== undefined && this.#mayRepeat(sent)) this.#submit(sent, () => {});
  }

  broadcast(zoneIds: readonly string[], openids: readonly string[], ttlMs: number, padding: number): void {
    const { gateway, ledger } = this.#world;
    if (gateway === undefined) return;
    const content = ledger.add({
      kind: 'broadcast',
      clientSeq: 0,
      order: 'immediate',
      expires: ttlMs > 0,
      sessionId: '',
    });
    const all = gateway.machine.list({ openid: '', zoneId: '' }, 100, '').sessions;
    const targets = all.filter(({ zoneId, openid }) => {
      return (zoneIds.length === 0 || zoneIds.includes(zoneId)) && (openids.length === 0 || openids.includes(openid));
    });
    const identity: PushIdentity = { kind: 'id', pushId: `b${content}` };
    const command = { kind: 'broadcast' as const, identity, body: bodyOf(content, padding), ttlMs, zoneIds, openids };
    gateway.submit(command, (outcome) => {
      if (outcome.kind !== 'broadcast' || outcome.status !== 'ok') return;
      check(outcome.matched === targets.length, 'I9', () => `${outcome.matched} matched of ${targets.length}`);
      for (const { sessionId } of targets) ledger.promised.push({ content, sessionId });
    });
    gateway.submit(command, (outcome) => {
      const repeated = outcome.kind === 'broadcast' && (outcome.repeated || outcome.status === 'overloaded');
      check(repeated, 'I9', () => `a repeated broadcast was answered ${JSON.stringify(outcome)}`);
    });
  }

  /** Whoever did not hear what became of a push asks the new primary. */
  primaryChanged(): void {
    for (const sent of [...this.#unanswered]) {
      if (this.#mayRepeat(sent)) this.#submit(sent, () => {});
      else this.#unanswered.delete(sent);
    }
  }

  /** After the horizon nobody repeats: the outcome stays unknown (rule 11). */
  #mayRepeat(sent: SentPush): boolean {
    const passedMs = this.#world.clock.nowMs() - sent.sentAtMs;
    return sent.command.identity.kind !== 'none' && passedMs < worldLimits.pushDedupeHorizonMs - 1_000;
  }

  #identity(content: number): PushIdentity {
    const { random } = this.#world;
    const kind = random.between(0, 3);
    if (kind === 0) return { kind: 'none' };
    if (kind === 1) return { kind: 'id', pushId: `p${content}` };
    this.#lastNumber += random.chance(0.1) ? 2 : 1;
    return { kind: 'producer', producerId: 'zone', number: this.#lastNumber };
  }

  #submit(sent: SentPush, committed: (outcome: Extract<Outcome, { kind: 'push' }>, content: number) => void): void {
    const { gateway } = this.#world;
    this.#unanswered.add(sent);
    gateway?.submit(sent.command, (outcome) => {
      if (outcome.kind !== 'push') return;
      this.#unanswered.delete(sent);
      this.#answered(sent, outcome, gateway.machine.history);
      committed(outcome, sent.content);
    });
  }

  #answered(sent: SentPush, outcome: Extract<Outcome, { kind: 'push' }>, history: string): void {
    const { ledger } = this.#world;
    const first = sent.answer;
    const same = first !== undefined && first.history === history;
    if (same && outcome.status !== 'overloaded' && first.outcome.status !== 'overloaded') {
      const { status, sessionId, seqId } = first.outcome;
      const asFirst = outcome.status === status && outcome.sessionId === sessionId;
      check(asFirst && (seqId === 0 || outcome.seqId === seqId), 'I9', () => {
        return `push ${sent.content}: first ${JSON.stringify(first.outcome)}, again ${JSON.stringify(outcome)}`;
      });
    }
    if (!same) sent.answer = { outcome, history };
    if (outcome.status === 'ok') ledger.promised.push({ content: sent.content, sessionId: outcome.sessionId });
  }
}
