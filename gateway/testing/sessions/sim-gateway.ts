import { ErrorCode } from '../../protocol/error-codes.ts';
import { Shard } from '../../replication/shard.ts';
import type { Command } from '../../session/command.ts';
import { Delivery, type DeliveryLimits, type DeliveryPort } from '../../session/delivery.ts';
import type { AdmitOutcome, Effect, Outcome } from '../../session/effect.ts';
import type { TokenPlace } from '../../session/resume-token.ts';
import type { SessionMachine } from '../../session/session-machine.ts';
import type { NetworkEnd, SimulatedNetwork } from '../simulated-network.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { type DownFrame, frameBytes, type UpFrame } from './frames.ts';
import { check, contentOf, type Ledger } from './ledger.ts';
import type { SimLog } from './sim-pair.ts';

interface ServedConnection {
  readonly id: number;
  phase: 'new' | 'starting' | 'open' | 'over';
  sessionId: string;
  binding: number;
  confirmed: boolean;
  /** When each message was sent last. */
  readonly sentAtMs: Map<number, number>;
}

export interface SimGatewayOptions {
  readonly incarnation: number;
  readonly clock: VirtualClock;
  readonly network: SimulatedNetwork<UpFrame, DownFrame>;
  readonly machine: SessionMachine;
  readonly log: SimLog;
  readonly ledger: Ledger;
  readonly deliveryLimits: DeliveryLimits;
  /** What the delivery really gets; the identity unless a bug is planted. */
  readonly plantDelivery: (limits: DeliveryLimits) => DeliveryLimits;
  readonly plantPort: (port: DeliveryPort) => DeliveryPort;
  readonly secondLogin: () => 'resume' | 'replace' | 'refuse';
  readonly newSessionId: () => string;
  readonly toZone: (gateway: SimGateway, sessionId: string, clientSeq: number, msgId: number) => void;
  readonly applied: (gateway: SimGateway, command: Command, outcome: Outcome) => void;
}

/** The gateway around the state machine, as small as it can be: frames become commands, effects become frames. */
export class SimGateway implements NetworkEnd<UpFrame> {
  readonly options: SimGatewayOptions;
  readonly machine: SessionMachine;
  readonly shard: Shard<Command, Outcome, Effect>;
  readonly delivery: Delivery;
  alive = true;
  #connections = new Map<number, ServedConnection>();

  constructor(options: SimGatewayOptions) {
    this.options = options;
    const { machine, log } = options;
    this.machine = machine;
    this.shard = new Shard<Command, Outcome, Effect>({
      id: '0',
      log,
      machine: {
        apply: (index, command, effects) => {
          const outcome = machine.apply(index, command, effects);
          log.applied();
          options.applied(this, command, outcome);
          return outcome;
        },
      },
      perform: (effect) => this.#perform(effect),
    });
    log.released = () => this.shard.release();
    this.delivery = new Delivery({
      sessions: machine,
      port: options.plantPort({
        send: (connection, seqId, msgId, body) => this.#sendMessage(connection, seqId, msgId, body),
        close: (connection, code) => this.#close(connection, code),
      }),
      commitIndex: () => log.commitIndex,
      limits: options.plantDelivery(options.deliveryLimits),
    });
  }

  submit(command: Command, committed?: (outcome: Outcome) => void): void {
    if (this.alive) this.shard.submit(command, (outcome) => this.alive && committed?.(outcome));
  }

  /** One beat of shard time and of the local deadlines. */
  beat(ms: number): void {
    this.submit({ kind: 'tick', timeMs: this.machine.timeMs + ms });
    this.delivery.runDeadlines(this.options.clock.nowMs());
  }

  accept(connection: number): void {
    const served: ServedConnection = {
      id: connection,
      phase: 'new',
      sessionId: '',
      binding: 0,
      confirmed: false,
      sentAtMs: new Map(),
    };
    this.#connections.set(connection, served);
  }

  frameReceived(connection: number, frame: UpFrame): void {
    const served = this.#connections.get(connection);
    if (!this.alive || served === undefined || served.phase === 'over') return;
    if (frame.type === 'start') return this.#start(served, frame);
    if (served.phase !== 'open' || this.delivery.sessionOf(connection) !== served.sessionId) return;
    this.#confirm(served);
    switch (frame.type) {
      case 'request':
        return this.#request(served, frame);
      case 'ack':
        return this.#ack(served, frame.upTo);
      case 'stop':
        return this.submit({ kind: 'close', sessionId: served.sessionId, code: 0, reason: 'stop' });
    }
  }

  closed(connection: number): void {
    const served = this.#connections.get(connection);
    if (!this.alive || served === undefined) return;
    this.#connections.delete(connection);
    this.delivery.unbind(connection);
    if (served.phase === 'open') {
      this.submit({ kind: 'detach', sessionId: served.sessionId, binding: served.binding });
    }
    served.phase = 'over';
  }

  writable(connection: number): void {
    if (this.alive) this.delivery.writable(connection, this.options.clock.nowMs());
  }

  /** START as someone who has a token; the outcome goes to `committed`. */
  startWithToken(token: TokenPlace, committed: (outcome: Outcome) => void): void {
    this.submit({ ...this.#startCommand('', -1), token }, committed);
  }

  #startCommand(openid: string, connection: number) {
    return {
      kind: 'start' as const,
      openid,
      clientId: '',
      userIp: '',
      connection,
      wallMs: this.options.clock.wallMs(),
      secondLogin: this.options.secondLogin(),
      newSessionId: this.options.newSessionId(),
    };
  }

  #start(served: ServedConnection, frame: Extract<UpFrame, { type: 'start' }>): void {
    served.phase = 'starting';
    const { token, sessionId, epoch, receivedSeqId } = frame;
    const command = {
      ...this.#startCommand(token === undefined ? frame.openid : '', served.id),
      ...(token === undefined ? {} : { token }),
      ...(sessionId === '' ? {} : { place: { sessionId, epoch, receivedSeqId } }),
    };
    this.submit(command, (outcome) => {
      if (outcome.kind === 'refused') return this.#refuseStart(served, outcome.code);
      if (outcome.kind === 'started') this.#started(served, outcome);
    });
  }

  #refuseStart(served: ServedConnection, code: number): void {
    if (served.phase !== 'starting') return;
    this.#send(served.id, { type: 'start-refused', code });
    this.#close(served.id, code);
  }

  #started(served: ServedConnection, outcome: Extract<Outcome, { kind: 'started' }>): void {
    const { sessionId, binding, resumed, nextSeqId, maxClientSeq } = outcome;
    if (served.phase !== 'starting') return this.submit({ kind: 'detach', sessionId, binding });
    served.phase = 'open';
    served.sessionId = sessionId;
    served.binding = binding;
    const { epoch } = this.machine;
    const token = { sessionId, binding };
    this.#send(served.id, { type: 'started', sessionId, resumed, token, nextSeqId, maxClientSeq, epoch });
    this.delivery.bind(sessionId, served.id, nextSeqId, this.options.clock.nowMs());
  }

  #confirm(served: ServedConnection): void {
    if (served.confirmed) return;
    served.confirmed = true;
    const { sessionId, binding } = served;
    // A START that came first, committed or not, still needs the token it was made with.
    const isNewest = this.machine.session(sessionId)?.binding === binding;
    this.submit({ kind: 'confirm', sessionId, binding }, () => {
      if (isNewest) this.options.ledger.confirmed(sessionId, binding);
    });
  }

  #request(served: ServedConnection, frame: Extract<UpFrame, { type: 'request' }>): void {
    const { sessionId, binding } = served;
    const { clientSeq, msgId } = frame;
    this.submit({ kind: 'admit', sessionId, binding, clientSeq, msgId }, (outcome) => {
      if (outcome.kind === 'admit') this.#admitted(served, frame, outcome);
    });
  }

  #admitted(served: ServedConnection, frame: Extract<UpFrame, { type: 'request' }>, outcome: AdmitOutcome): void {
    switch (outcome.action) {
      case 'forward':
        return this.options.toZone(this, served.sessionId, frame.clientSeq, frame.msgId);
      case 'resend':
        // The client asked for it: the only repeat that need not wait.
        return this.#resend(served, outcome.seqId);
      case 'refused':
        this.#send(served.id, { type: 'error', msgId: frame.msgId, code: outcome.code });
        return;
      default:
        return;
    }
  }

  #resend(served: ServedConnection, seqId: number): void {
    const sentAtMs = served.sentAtMs.get(seqId);
    served.sentAtMs.delete(seqId);
    this.delivery.resend(served.id, seqId, this.options.clock.nowMs());
    if (sentAtMs !== undefined) served.sentAtMs.set(seqId, sentAtMs);
  }

  /** The request never reached its zone. */
  withdrawn(sessionId: string, clientSeq: number, msgId: number): void {
    this.submit({ kind: 'withdraw', sessionId, clientSeq }, () => {
      const connection = this.delivery.connectionOf(sessionId);
      if (connection === undefined) return;
      this.#send(connection, { type: 'error', msgId, code: ErrorCode.ERROR_ZONE_UNAVAILABLE });
    });
  }

  #ack(served: ServedConnection, upTo: number): void {
    const verdict = this.delivery.ackVerdict(served.id, upTo);
    check(verdict !== 'past', 'I7', () => `a conforming client's ack ${upTo} is past what was sent`);
    if (verdict === 'ok') this.submit({ kind: 'ack', sessionId: served.sessionId, upTo });
  }

  #perform(effect: Effect): void {
    if (!this.alive) return;
    const nowMs = this.options.clock.nowMs();
    switch (effect.kind) {
      case 'deliver':
      case 'acked':
        return this.delivery.deliver(effect.sessionId, nowMs);
      case 'replaced':
        this.delivery.unbind(effect.connection);
        return this.#close(effect.connection, effect.code);
      case 'closed':
        this.delivery.unbindSession(effect.sessionId);
        if (effect.connection !== undefined) this.#close(effect.connection, effect.code);
        return;
      default:
        return;
    }
  }

  #sendMessage(connection: number, seqId: number, msgId: number, body: Uint8Array): boolean {
    const sessionId = this.delivery.sessionOf(connection) ?? '';
    const session = this.machine.session(sessionId);
    const entry = session?.queue.entry(seqId);
    check(session !== undefined && entry !== undefined, 'I5', () => `${seqId} of ${sessionId} is not there`);
    const { windowMessages } = this.options.deliveryLimits;
    check(seqId - session.ackUpTo <= windowMessages, 'I10', () => {
      return `${seqId} was sent with ${session.ackUpTo} acknowledged and a window of ${windowMessages}`;
    });
    this.#checkRepeat(connection, seqId);
    this.options.ledger.served(sessionId, this.#connections.get(connection)?.binding ?? 0);
    const content = contentOf(body);
    const { ledger, log } = this.options;
    check(ledger.appliedAt(content) <= log.commitIndex, 'I3', () => `message ${content} was sent before its commit`);
    ledger.sent(sessionId, seqId, content);
    return this.#send(connection, { type: 'message', seqId, msgId, content });
  }

  /** I6: on one connection a number repeats only after the ack timeout. */
  #checkRepeat(connection: number, seqId: number): void {
    const nowMs = this.options.clock.nowMs();
    const sentAtMs = this.#connections.get(connection)?.sentAtMs;
    const passedMs = nowMs - (sentAtMs?.get(seqId) ?? Number.NEGATIVE_INFINITY);
    check(passedMs >= this.options.deliveryLimits.ackTimeoutMs, 'I6', () => {
      return `${seqId} was sent twice within ${passedMs} ms on connection ${connection}`;
    });
    sentAtMs?.set(seqId, nowMs);
  }

  #send(connection: number, frame: DownFrame): boolean {
    return this.options.network.sendDown(connection, frame, frameBytes(frame));
  }

  #close(connection: number, code: number): void {
    const served = this.#connections.get(connection);
    if (served !== undefined && served.phase !== 'open') served.phase = 'over';
    this.options.network.closeByServer(connection, code);
  }
}
