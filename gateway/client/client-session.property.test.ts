import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../proto/gen/message.ts';
import { endpoints, expectedPushes, SimulatedWorld } from './testing/simulated-world.ts';

type PlainKind = 'dial' | 'cut' | 'answer' | 'retransmit' | 'expire' | 'promote' | 'stale' | 'forget' | 'reconnect';
type AmountKind = 'up' | 'down' | 'push' | 'request' | 'advance' | 'goaway' | 'failDials';
type Step =
  | { readonly kind: PlainKind }
  | { readonly kind: AmountKind; readonly amount: number }
  | { readonly kind: 'refuse' | 'startError'; readonly code: number };

const plain = (...kinds: PlainKind[]) => fc.constantFrom(...kinds).map((kind): Step => ({ kind }));
const amount = (kind: AmountKind, max: number) =>
  fc.integer({ min: 1, max }).map((value): Step => ({ kind, amount: value }));

const refusalCodes = [ErrorCode.ERROR_OVERLOADED, ErrorCode.ERROR_ZONE_UNAVAILABLE, ErrorCode.ERROR_TOO_LARGE];
const startCodes = [
  ErrorCode.ERROR_NOT_PRIMARY,
  ErrorCode.ERROR_TRY_LATER,
  ErrorCode.ERROR_RESUME_EXPIRED,
  ErrorCode.ERROR_OVERLOADED,
  2999,
  3999,
];

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: plain('dial') },
  { weight: 12, arbitrary: amount('up', 6) },
  { weight: 14, arbitrary: amount('down', 6) },
  { weight: 8, arbitrary: amount('push', 5) },
  { weight: 8, arbitrary: amount('request', 5) },
  { weight: 8, arbitrary: plain('answer', 'retransmit', 'expire') },
  { weight: 3, arbitrary: plain('cut', 'reconnect') },
  { weight: 1, arbitrary: plain('promote', 'stale', 'forget') },
  { weight: 4, arbitrary: amount('advance', 3_000) },
  { weight: 1, arbitrary: amount('goaway', 500) },
  { weight: 1, arbitrary: amount('failDials', 3) },
  { weight: 2, arbitrary: fc.constantFrom(...refusalCodes).map((code): Step => ({ kind: 'refuse', code })) },
  { weight: 1, arbitrary: fc.constantFrom(...startCodes).map((code): Step => ({ kind: 'startError', code })) },
);

class Run {
  readonly world: SimulatedWorld;
  #requests = 0;
  #epoch = 0;
  #pushes = 0;

  constructor(seed: number) {
    this.world = new SimulatedWorld({ connectDeadlineMs: 1e9 }, seed);
  }

  take(step: Step): void {
    const { world } = this;
    const { gateway, connection } = world;
    switch (step.kind) {
      case 'dial':
        return world.answerDial();
      case 'up':
        return world.deliverUp(step.amount);
      case 'down':
        return world.deliverDown(step.amount);
      case 'push':
        for (let i = 0; i < step.amount; i += 1) gateway.push(connection, `push-${++this.#pushes}`);
        return;
      case 'request':
        for (let i = 0; i < step.amount; i += 1) world.request(++this.#requests);
        return;
      case 'answer':
        return gateway.answer(connection);
      case 'cut':
        return world.cut();
      case 'reconnect':
        world.session.reconnect(world.nowMs);
        return world.settle();
      case 'advance':
        return world.advance(step.amount);
      case 'refuse':
        return void gateway.refusals.push(step.code);
      case 'startError':
        return void gateway.startErrors.push({ code: step.code, redirect: step.code === 2003 ? 'd:4' : '' });
      default:
        return this.#fault(step);
    }
  }

  #fault(step: Step): void {
    const { world } = this;
    const { gateway, connection } = world;
    switch (step.kind) {
      case 'retransmit':
        return connection === undefined ? undefined : gateway.retransmit(connection);
      case 'expire':
        return gateway.expire(connection, world.session.receivedSeqId);
      case 'promote':
        gateway.epoch += 1;
        return world.cut();
      case 'stale':
        gateway.stale = true;
        return;
      case 'forget':
        gateway.sessions.clear();
        return world.cut();
      case 'goaway':
        return connection === undefined ? undefined : gateway.goaway(connection, endpoints.slice(1), step.amount);
      case 'failDials':
        world.failDials = 'amount' in step ? step.amount : 0;
    }
  }

  /** The invariants of design §5 that a client can break by itself. */
  check(): void {
    const { world } = this;
    const { session, gateway } = world;
    const received = session.receivedSeqId;
    if (gateway.sessions.has(session.sessionId)) {
      expect(world.seen.get(session.sessionId) ?? []).toEqual(expectedPushes(gateway, session.sessionId, received));
    }
    for (const list of world.seen.values()) {
      expect(list.every(({ seqId }, index) => index === 0 || seqId > (list[index - 1]?.seqId ?? 0))).toBe(true);
    }
    expect(gateway.acknowledgedBeyond).toBe(false);
    expect(
      gateway.current === undefined || gateway.current.id !== session.sessionId || gateway.current.ackUpTo <= received,
    ).toBe(true);
    expect(session.epoch).toBeGreaterThanOrEqual(this.#epoch);
    this.#epoch = session.epoch;
    expect(world.settledTwice).toEqual([]);
    for (const [data, times] of gateway.executions) expect([data, times]).toEqual([data, 1]);
    for (const [id, { ok, text, outcome }] of world.settled) {
      const data = world.asked.get(id) ?? '';
      if (ok) expect(text).toBe(`re:${data}`);
      else if (outcome === 'refused') expect(gateway.executions.has(data)).toBe(false);
    }
  }

  /** Once the faults stop, nothing stays undelivered and nothing unanswered. */
  checkHealed(): void {
    const { world } = this;
    world.gateway.refusals.length = 0;
    world.gateway.startErrors.length = 0;
    world.heal();
    this.check();
    expect(world.state).toBe('connected');
    expect(world.session.receivedSeqId).toBe(world.gateway.current?.ledger.length);
    expect(world.gateway.current?.ackUpTo).toBe(world.session.receivedSeqId);
    expect([...world.asked.keys()].filter((id) => !world.settled.has(id))).toEqual([]);
  }
}

describe('a client session on a network that fails at any point', () => {
  it('shows 1..n once and in order, answers each request once, and never acknowledges more than it has', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 120 }), fc.nat(), (steps, seed) => {
        const run = new Run(seed);
        for (const one of steps) {
          run.take(one);
          run.check();
        }
        run.checkHealed();
      }),
      { numRuns: Number(process.env['GATESVR_CLIENT_RUNS'] ?? 400) },
    );
  }, 60_000);
});
