import { ErrorCode, nextStep } from '../../protocol/error-codes.ts';
import type { TokenPlace } from '../../session/resume-token.ts';
import type { NetworkEnd } from '../simulated-network.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { DownFrame, UpFrame } from './frames.ts';
import { check, type Ledger, skipContent } from './ledger.ts';

/** What the application of one client saw of one session. */
export interface Life {
  readonly sessionId: string;
  /** The number before the first one this client was to get. */
  readonly beginsAfter: number;
  received: number;
  readonly seen: Map<number, number>;
  /** Requests whose answers the application got. */
  readonly answered: Set<number>;
  /** Set when the client was told that this session is over for it. */
  endedCode: number | undefined;
}

interface OpenRequest {
  readonly clientSeq: number;
  readonly msgId: number;
}

export interface SimClientPort {
  /** @returns undefined when nobody listens. */
  connect(end: NetworkEnd<DownFrame>): number | undefined;
  send(connection: number, frame: UpFrame): void;
  close(connection: number): void;
}

export interface SimClientOptions {
  readonly name: string;
  readonly openid: string;
  readonly clock: VirtualClock;
  readonly ledger: Ledger;
  readonly port: SimClientPort;
  readonly openRequestsMax: number;
}

/** A conforming client: acknowledges, resumes, asks again, and checks everything it is told. */
export class SimClient implements NetworkEnd<DownFrame> {
  readonly options: SimClientOptions;
  readonly lives: Life[] = [];
  stopped = false;
  state: 'idle' | 'starting' | 'open' = 'idle';
  connection: number | undefined;
  ackEvery = 1;
  token: TokenPlace | undefined;
  /** Tokens that were replaced: nobody may use them again. */
  readonly oldTokens: TokenPlace[] = [];
  #epoch = 0;
  #nextClientSeq = 1;
  #open = new Map<number, OpenRequest>();
  #unacked = 0;
  #nextMsgId = 1;
  #retrying = new Set<number>();

  constructor(options: SimClientOptions) {
    this.options = options;
  }

  get life(): Life | undefined {
    const life = this.lives.at(-1);
    return life?.endedCode === undefined ? life : undefined;
  }

  get openRequests(): number {
    return this.#open.size;
  }

  get epoch(): number {
    return this.#epoch;
  }

  connect(): void {
    if (this.stopped || this.connection !== undefined) return;
    const connection = this.options.port.connect(this);
    if (connection === undefined) return this.#later(200);
    this.connection = connection;
    this.state = 'starting';
    const { life } = this;
    this.options.port.send(connection, {
      type: 'start',
      openid: this.options.openid,
      token: this.token,
      sessionId: life?.sessionId ?? '',
      epoch: life === undefined ? 0 : this.#epoch,
      receivedSeqId: life?.received ?? 0,
    });
  }

  /** Sends a request, leaving `gap` numbers out. */
  request(gap: number): void {
    if (this.state !== 'open' || this.#open.size >= this.options.openRequestsMax) return;
    this.#nextClientSeq += gap;
    const clientSeq = this.#nextClientSeq;
    this.#nextClientSeq += 1;
    this.#nextMsgId += 1;
    this.#open.set(clientSeq, { clientSeq, msgId: this.#nextMsgId });
    this.#sendRequest(clientSeq);
  }

  /** Asks again for something that is not answered yet, on the same connection. */
  repeatRequest(which: number): void {
    const open = [...this.#open.keys()];
    const clientSeq = open[which % Math.max(1, open.length)];
    if (clientSeq !== undefined && this.state === 'open') this.#sendRequest(clientSeq);
  }

  flushAck(): void {
    const { life, connection } = this;
    if (this.state !== 'open' || life === undefined || connection === undefined || this.#unacked === 0) return;
    this.#unacked = 0;
    this.options.port.send(connection, { type: 'ack', upTo: life.received });
  }

  /** The device drops its connection and comes back. */
  drop(): void {
    if (this.connection === undefined) return;
    this.options.port.close(this.connection);
    this.closed(this.connection, 0, true);
  }

  /** The application was restarted: everything but the user's proof is forgotten. */
  forget(): void {
    this.drop();
    const { life } = this;
    if (life !== undefined) life.endedCode = 0;
    this.#forgetSession();
  }

  /** The token is lost, the place is not: the next START proves the openid anew. */
  loseToken(): void {
    this.drop();
    this.token = undefined;
  }

  stop(): void {
    if (this.state !== 'open' || this.connection === undefined) return;
    this.options.port.send(this.connection, { type: 'stop' });
    this.stopped = true;
    if (this.life !== undefined) this.life.endedCode = 0;
    this.#open.clear();
  }

  frameReceived(connection: number, frame: DownFrame): void {
    if (connection !== this.connection || this.stopped) return;
    switch (frame.type) {
      case 'started':
        return this.#started(frame);
      case 'start-refused':
        return;
      case 'message':
        return this.#message(frame);
      case 'error':
        return this.#refused(frame);
      case 'goaway':
        return this.#told(frame.code);
    }
  }

  closed(connection: number, code: number, _lost: boolean): void {
    if (connection !== this.connection) return;
    this.connection = undefined;
    this.state = 'idle';
    if (this.stopped) return;
    this.#told(code);
    if (!this.stopped) this.#later(50);
  }

  writable(): void {}

  #told(code: number): void {
    const { life } = this;
    switch (code === 0 ? 'reconnect' : nextStep(code)) {
      case 'login':
        if (life !== undefined) life.endedCode = code;
        return this.#forgetSession();
      case 'stop':
        if (life !== undefined) life.endedCode = code;
        this.stopped = true;
        this.#open.clear();
        return;
      default:
        return;
    }
  }

  #forgetSession(): void {
    if (this.token !== undefined) this.oldTokens.push(this.token);
    this.token = undefined;
    this.#epoch = 0;
    this.#nextClientSeq = 1;
    this.#open.clear();
  }

  #started(frame: Extract<DownFrame, { type: 'started' }>): void {
    const { life } = this;
    check(this.state === 'starting', 'I8', () => `${this.options.name} was started twice`);
    check(frame.epoch >= this.#epoch, 'I1', () => `epoch ${frame.epoch} after ${this.#epoch}`);
    this.state = 'open';
    if (this.token !== undefined) {
      check(frame.resumed, 'I6', () => 'a token was answered with a new session');
      this.oldTokens.push(this.token);
    }
    this.token = frame.token;
    this.#epoch = frame.epoch;
    if (life !== undefined && frame.resumed && life.sessionId === frame.sessionId) {
      check(frame.nextSeqId === life.received + 1, 'I6', () => {
        return `${this.options.name} resumed at ${frame.nextSeqId} after ${life.received}`;
      });
    } else {
      if (life !== undefined) life.endedCode = 0;
      this.#open.clear();
      const received = frame.nextSeqId - 1;
      this.lives.push({
        sessionId: frame.sessionId,
        beginsAfter: received,
        received,
        seen: new Map(),
        answered: new Set(),
        endedCode: undefined,
      });
      this.#nextClientSeq = frame.maxClientSeq + 1;
    }
    for (const clientSeq of this.#open.keys()) this.#sendRequest(clientSeq);
  }

  #message(frame: Extract<DownFrame, { type: 'message' }>): void {
    const { life } = this;
    const { seqId, content } = frame;
    check(life !== undefined && this.state === 'open', 'I8', () => 'a message before START was answered');
    this.#unacked += 1;
    if (seqId <= life.received) {
      const was = life.seen.get(seqId);
      check(was === undefined || was === content || content === skipContent, 'I5', () => {
        return `${life.sessionId} ${seqId} was ${was}, is ${content}`;
      });
    } else {
      check(seqId === life.received + 1, 'I6', () => `${this.options.name}: ${seqId} after ${life.received}`);
      life.received = seqId;
      life.seen.set(seqId, content);
      if (content !== skipContent) this.#deliver(life, frame);
    }
    if (this.#unacked >= this.ackEvery) this.flushAck();
    else this.options.clock.schedule(150, () => this.flushAck());
  }

  #deliver(life: Life, frame: Extract<DownFrame, { type: 'message' }>): void {
    const { kind, clientSeq, sessionId } = this.options.ledger.content(frame.content);
    if (kind !== 'response') return;
    const key = `${sessionId} ${clientSeq}`;
    check(sessionId === life.sessionId, 'I5', () => `a response of ${sessionId} came to ${life.sessionId}`);
    check(!life.answered.has(clientSeq), 'I6', () => `request ${key} was answered twice`);
    const open = this.#open.get(clientSeq);
    // A device that took a session over also gets what another one had asked for.
    check(
      open === undefined || open.msgId === frame.msgId,
      'I6',
      () => `request ${key} was answered as ${frame.msgId}`,
    );
    life.answered.add(clientSeq);
    this.#open.delete(clientSeq);
  }

  #refused(frame: Extract<DownFrame, { type: 'error' }>): void {
    for (const request of this.#open.values()) {
      if (request.msgId !== frame.msgId || this.#retrying.has(request.msgId)) continue;
      if (frame.code === ErrorCode.ERROR_BAD_MESSAGE) {
        // Too far below the window: the request never went anywhere, so it may go under a new number.
        this.#open.delete(request.clientSeq);
        return this.request(0);
      }
      this.#retrying.add(request.msgId);
      this.options.clock.schedule(200, () => {
        this.#retrying.delete(request.msgId);
        this.#sendRequest(request.clientSeq);
      });
      return;
    }
  }

  #sendRequest(clientSeq: number): void {
    const request = this.#open.get(clientSeq);
    if (request === undefined || this.state !== 'open' || this.connection === undefined) return;
    this.options.port.send(this.connection, { type: 'request', clientSeq, msgId: request.msgId });
  }

  #later(delayMs: number): void {
    this.options.clock.schedule(delayMs, () => this.connect());
  }
}
