import { ClientRequest, PushType, type RequestType } from '../../../proto/gen/message.ts';
import type { ClientEffect } from '../client-effect.ts';
import { RequestError } from '../client-errors.ts';
import { ClientSession } from '../client-session.ts';
import { defaultTuning, type SessionTuning } from '../session-options.ts';
import { type SimulatedConnection, SimulatedGateway } from './simulated-gateway.ts';

export const endpoints = ['a:1', 'b:2', 'c:3'];

/** One client against one simulated gateway over a network that the test moves frame by frame, on a virtual clock. */
export class SimulatedWorld {
  nowMs = 1_000;
  readonly gateway = new SimulatedGateway();
  readonly session: ClientSession;
  connection: SimulatedConnection | undefined;
  /** Every effect but frames, for tests that look at one. */
  readonly effects: ClientEffect[] = [];
  readonly dialed: string[] = [];
  /** What the application was told of each session, by session id. */
  readonly seen = new Map<string, { seqId: number; data: string }[]>();
  readonly settled = new Map<number, { ok: boolean; text: string; outcome: string }>();
  readonly settledTwice: number[] = [];
  readonly asked = new Map<number, string>();
  /** Every frame that the client sent, on whatever connection. */
  readonly sent: ClientRequest[] = [];
  failDials = 0;
  #pendingDial: number | undefined;

  constructor(tuning: Partial<SessionTuning> = {}, seed = 1, token: 'ask' | { value: string } = { value: 't' }) {
    let state = seed;
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    const options = {
      openid: 'alice',
      clientId: 'c',
      endpoints,
      token,
      tuning: { ...defaultTuning, ...tuning },
      random,
    };
    this.session = new ClientSession(options);
    this.session.open(this.nowMs);
    this.settle();
  }

  get state(): string {
    const last = this.effects.findLast((effect) => effect.kind === 'state');
    return last?.kind === 'state' ? last.state : '';
  }

  /** Answers a dial that is under way. */
  answerDial(): void {
    const attempt = this.#pendingDial;
    if (attempt === undefined) return;
    this.#pendingDial = undefined;
    if (this.failDials > 0) {
      this.failDials -= 1;
      this.session.attemptFailed(attempt, 'refused', this.nowMs);
    } else {
      this.connection = this.gateway.connect();
      this.session.connectionOpened(attempt, this.nowMs);
    }
    this.settle();
  }

  /** Dials, and moves everything both ways once. */
  connect(): void {
    this.answerDial();
    this.exchange();
  }

  exchange(): void {
    this.deliverUp(Number.POSITIVE_INFINITY);
    this.deliverDown(Number.POSITIVE_INFINITY);
  }

  sentOf(type: RequestType): ClientRequest[] {
    return this.sent.filter((request) => request.type === type);
  }

  effectsOf<K extends ClientEffect['kind']>(kind: K): Extract<ClientEffect, { kind: K }>[] {
    return this.effects.filter((effect): effect is Extract<ClientEffect, { kind: K }> => effect.kind === kind);
  }

  request(id: number, timeoutMs = 10_000): void {
    const data = `request-${id}`;
    this.asked.set(id, data);
    const request = { id, action: 'do', data: Buffer.from(data), headers: {}, timeoutMs, retry: true };
    this.session.request(request, this.nowMs);
    this.settle();
  }

  /** Moves frames from the client to the gateway. */
  deliverUp(count: number): void {
    const { connection } = this;
    for (const frame of connection?.up.splice(0, count) ?? []) {
      if (connection?.closedWith === undefined && connection !== undefined) this.gateway.receive(connection, frame);
    }
  }

  /** Moves frames from the gateway to the client, and after the last one a close, if there is one. */
  deliverDown(count: number): void {
    const { connection } = this;
    if (connection === undefined) return;
    for (const frame of connection.down.splice(0, count)) {
      if (this.connection !== connection) return;
      this.session.frameReceived(frame, this.nowMs);
      this.settle();
    }
    this.session.batchEnded(this.nowMs);
    this.settle();
    if (this.connection !== connection || connection.down.length > 0 || connection.closedWith === undefined) return;
    this.connection = undefined;
    this.session.connectionClosed({ origin: 'peer', code: connection.closedWith, reason: '' }, this.nowMs);
    this.settle();
  }

  /** Breaks the connection; what is under way is lost. */
  cut(): void {
    if (this.connection === undefined) return;
    this.connection = undefined;
    this.session.connectionClosed({ origin: 'lost', code: 0, reason: 'cut' }, this.nowMs);
    this.settle();
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.session.tick(this.nowMs);
    this.settle();
  }

  /** No more faults: everything moves until nothing is left to do. */
  heal(rounds = 400): void {
    this.failDials = 0;
    for (let round = 0; round < rounds; round += 1) {
      this.answerDial();
      this.deliverUp(Number.POSITIVE_INFINITY);
      this.gateway.answer(this.connection);
      this.deliverDown(Number.POSITIVE_INFINITY);
      this.advance(60);
    }
  }

  settle(): void {
    for (const effect of this.session.takeEffects()) this.#perform(effect);
  }

  #perform(effect: ClientEffect): void {
    if (effect.kind !== 'send') this.effects.push(effect);
    switch (effect.kind) {
      case 'dial':
        this.dialed.push(effect.endpoint);
        this.#pendingDial = effect.attempt;
        return;
      case 'send':
        this.sent.push(ClientRequest.decode(effect.frame));
        this.connection?.up.push(effect.frame);
        return;
      case 'disconnect':
        this.connection = undefined;
        this.#pendingDial = undefined;
        return;
      case 'push':
        return this.#saw(effect.seqId, Buffer.from(effect.data).toString());
      case 'answer':
        return this.#settled(effect.id, true, Buffer.from(effect.data).toString(), 'answered');
      case 'fail': {
        const outcome = effect.error instanceof RequestError ? effect.error.outcome : 'none';
        return this.#settled(effect.id, false, effect.error.message, outcome);
      }
    }
  }

  #saw(seqId: number, data: string): void {
    const list = this.seen.get(this.session.sessionId) ?? [];
    list.push({ seqId, data });
    this.seen.set(this.session.sessionId, list);
  }

  #settled(id: number, ok: boolean, text: string, outcome: string): void {
    if (this.settled.has(id)) this.settledTwice.push(id);
    this.settled.set(id, { ok, text, outcome });
  }
}

/** The notifies of a ledger, as an application should see them, up to `seqId`. */
export function expectedPushes(
  gateway: SimulatedGateway,
  sessionId: string,
  upTo: number,
): { seqId: number; data: string }[] {
  const ledger = gateway.sessions.get(sessionId)?.ledger ?? [];
  return ledger
    .map((entry, index) => ({ entry, seqId: index + 1 }))
    .filter(({ entry, seqId }) => seqId <= upTo && entry.type === PushType.PUSH_NOTIFY)
    .map(({ entry, seqId }) => ({ seqId, data: Buffer.from(entry.body).toString() }));
}
