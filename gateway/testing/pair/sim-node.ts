import { ErrorCode } from '../../protocol/error-codes.ts';
import { PairShard } from '../../replication/pair-shard.ts';
import type { PeerMessage } from '../../replication/peer-messages.ts';
import type { Command, StartCommand } from '../../session/command.ts';
import { Delivery } from '../../session/delivery.ts';
import type { AdmitOutcome, Effect, Outcome } from '../../session/effect.ts';
import type { SessionMachine } from '../../session/session-machine.ts';
import type { SnapshotImage } from '../../session/snapshot-images.ts';
import { type DownFrame, frameBytes, type UpFrame } from '../sessions/frames.ts';
import { check, contentOf } from '../sessions/ledger.ts';
import { worldDeliveryLimits } from '../sessions/world-limits.ts';
import type { NetworkEnd } from '../simulated-network.ts';
import { pairOptions, pairShardLimits } from './pair-settings.ts';
import type { PairWorld } from './pair-world.ts';

export type SimShard = PairShard<Command, Outcome, Effect, SnapshotImage>;

interface Served {
  readonly id: number;
  phase: 'new' | 'starting' | 'open' | 'over';
  sessionId: string;
  binding: number;
  confirmed: boolean;
  readonly sentAtMs: Map<number, number>;
}

const tickMs = 50;
const shardTickMs = 100;
/** One process: a real shard of a pair, a real delivery, and as little around them as serves clients. */
export class SimNode implements NetworkEnd<UpFrame> {
  readonly world: PairWorld;
  readonly serverId: string;
  readonly shard: SimShard;
  alive = true;
  /** Since when it does not run (SIGSTOP); what comes meanwhile waits. */
  paused = false;
  #waiting: (() => void)[] = [];
  #delivery: Delivery | undefined;
  #connections = new Map<number, Served>();
  /** What its own clock shows, and how fast that goes. */
  #localMs = 0;
  #lastMs: number;
  clockRate = 1;
  wallOffsetMs = 0;

  constructor(world: PairWorld, serverId: string, mode: 'primary' | 'backup') {
    this.world = world;
    this.serverId = serverId;
    this.#lastMs = world.clock.nowMs();
    this.shard = new PairShard(world.options.plant.shard(pairOptions(this, mode), this));
    this.#everyTick();
    this.#everyShardTick();
  }

  get machine(): SessionMachine {
    return this.shard.machine as SessionMachine;
  }

  nowMs(): number {
    const realMs = this.world.clock.nowMs();
    this.#localMs += (realMs - this.#lastMs) * this.clockRate;
    this.#lastMs = realMs;
    return this.#localMs;
  }

  /** Runs now, or when the process runs again; never after its death. */
  run(work: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.#waiting.push(work);
    else work();
  }

  proceed(): void {
    if (!this.alive || !this.paused) return;
    this.paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) this.run(work);
  }

  received(message: PeerMessage): void {
    const { receives } = this.world.options.plant;
    this.run(() => this.shard.received(this.nowMs(), receives(message, this)));
  }

  submit(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void {
    this.shard.submit(command, committed, dropped);
  }

  accept(connection: number): void {
    const sentAtMs = new Map<number, number>();
    const served: Served = { id: connection, phase: 'new', sessionId: '', binding: 0, confirmed: false, sentAtMs };
    this.#connections.set(connection, served);
  }

  frameReceived(connection: number, frame: UpFrame): void {
    this.run(() => this.#frame(connection, frame));
  }

  closed(connection: number): void {
    this.run(() => this.#closed(connection));
  }

  writable(connection: number): void {
    this.run(() => this.#delivery?.writable(connection, this.nowMs()));
  }

  /** Sessions that more than one connection of this process believes to hold. */
  doublyHeld(): string | undefined {
    const held = new Set<string>();
    for (const { id, phase, sessionId } of this.#connections.values()) {
      if (phase !== 'open' || this.#delivery?.sessionOf(id) !== sessionId) continue;
      if (held.has(sessionId)) return sessionId;
      held.add(sessionId);
    }
    return undefined;
  }

  #everyTick(): void {
    this.world.clock.schedule(tickMs, () => {
      if (!this.alive) return;
      if (!this.paused) {
        this.shard.tick(this.nowMs(), this.world.clock.wallMs() + this.wallOffsetMs);
        this.#delivery?.runDeadlines(this.nowMs());
      }
      this.#everyTick();
    });
  }

  #everyShardTick(): void {
    this.world.clock.schedule(shardTickMs, () => {
      if (!this.alive) return;
      if (!this.paused && this.shard.role === 'primary') {
        this.submit({ kind: 'tick', timeMs: Math.floor(this.machine.timeMs + shardTickMs * this.clockRate) });
      }
      this.#everyShardTick();
    });
  }

  roleChanged(role: string): void {
    for (const { id } of this.#connections.values()) this.#close(id, ErrorCode.ERROR_FENCED);
    this.#delivery = undefined;
    if (role !== 'primary') return;
    this.#delivery = new Delivery({
      sessions: this.machine,
      port: {
        send: (connection, seqId, msgId, body) => this.#sendMessage(connection, seqId, msgId, body),
        close: (connection, code) => this.#close(connection, code),
      },
      commitIndex: () => this.world.options.plant.deliverUpTo(this.shard),
      limits: worldDeliveryLimits,
    });
    this.submit({ kind: 'configure', limits: pairShardLimits });
  }

  #frame(connection: number, frame: UpFrame): void {
    const served = this.#connections.get(connection);
    const delivery = this.#delivery;
    if (served === undefined || served.phase === 'over') return;
    if (frame.type === 'start') return this.#start(served, frame);
    if (delivery === undefined || served.phase !== 'open') return;
    if (delivery.sessionOf(connection) !== served.sessionId) return;
    this.#confirm(served);
    const { sessionId, binding } = served;
    if (frame.type === 'stop') return this.submit({ kind: 'close', sessionId, code: 0, reason: 'stop' });
    if (frame.type === 'ack') {
      const verdict = delivery.ackVerdict(served.id, frame.upTo);
      check(verdict !== 'past', 'I7', () => `a conforming client's ack ${frame.upTo} is past what was sent`);
      if (verdict === 'ok') this.submit({ kind: 'ack', sessionId, upTo: frame.upTo });
      return;
    }
    const { clientSeq, msgId } = frame;
    this.submit({ kind: 'admit', sessionId, binding, clientSeq, msgId }, (outcome) => {
      if (outcome.kind === 'admit') this.#admitted(served, clientSeq, msgId, outcome);
    });
  }

  #closed(connection: number): void {
    const served = this.#connections.get(connection);
    if (served === undefined) return;
    this.#connections.delete(connection);
    this.#delivery?.unbind(connection);
    if (served.phase === 'open') {
      this.submit({ kind: 'detach', sessionId: served.sessionId, binding: served.binding });
    }
    served.phase = 'over';
  }

  startCommand(openid: string, connection: number): StartCommand {
    const wallMs = this.world.clock.wallMs();
    const from = { openid, clientId: '', userIp: '', connection, wallMs };
    return { kind: 'start', ...from, secondLogin: 'resume', newSessionId: this.world.newId() };
  }

  #start(served: Served, frame: Extract<UpFrame, { type: 'start' }>): void {
    served.phase = 'starting';
    if (!this.shard.serving) return this.#refuse(served, ErrorCode.ERROR_NOT_PRIMARY);
    const { token, sessionId, epoch, receivedSeqId } = frame;
    const command: Command = {
      ...this.startCommand(token === undefined ? frame.openid : '', served.id),
      ...(token === undefined ? {} : { token }),
      ...(sessionId === '' ? {} : { place: { sessionId, epoch, receivedSeqId } }),
    };
    const committed = (outcome: Outcome) => {
      if (outcome.kind === 'refused') return this.#refuse(served, outcome.code);
      if (outcome.kind === 'started') this.#started(served, outcome);
    };
    this.submit(command, committed, () => this.#refuse(served, ErrorCode.ERROR_NOT_PRIMARY));
  }

  #refuse(served: Served, code: number): void {
    if (served.phase !== 'starting') return;
    this.#send(served.id, { type: 'start-refused', code });
    this.#close(served.id, code);
  }

  #started(served: Served, outcome: Extract<Outcome, { kind: 'started' }>): void {
    const { sessionId, binding, resumed, nextSeqId, maxClientSeq } = outcome;
    if (served.phase !== 'starting') return this.submit({ kind: 'detach', sessionId, binding });
    served.phase = 'open';
    served.sessionId = sessionId;
    served.binding = binding;
    const token = { sessionId, binding };
    const { epoch } = this.shard;
    this.#send(served.id, { type: 'started', sessionId, resumed, token, nextSeqId, maxClientSeq, epoch });
    this.#delivery?.bind(sessionId, served.id, nextSeqId, this.nowMs());
  }

  #confirm(served: Served): void {
    if (served.confirmed) return;
    served.confirmed = true;
    this.submit({ kind: 'confirm', sessionId: served.sessionId, binding: served.binding });
  }

  #admitted(served: Served, clientSeq: number, msgId: number, outcome: AdmitOutcome): void {
    if (outcome.action === 'forward') return this.world.backend.request(this, served.sessionId, clientSeq);
    if (outcome.action === 'refused') {
      this.#send(served.id, { type: 'error', msgId, code: outcome.code });
    } else if (outcome.action === 'resend') {
      served.sentAtMs.delete(outcome.seqId);
      this.#delivery?.resend(served.id, outcome.seqId, this.nowMs());
    }
  }

  perform(effect: Effect): void {
    const nowMs = this.nowMs();
    switch (effect.kind) {
      case 'deliver':
      case 'acked':
        this.#delivery?.deliver(effect.sessionId, nowMs);
        return;
      case 'replaced':
        this.#delivery?.unbind(effect.connection);
        return this.#close(effect.connection, effect.code);
      case 'closed':
        this.#delivery?.unbindSession(effect.sessionId);
        if (effect.connection !== undefined) this.#close(effect.connection, effect.code);
        return;
      default:
        return;
    }
  }

  #sendMessage(connection: number, seqId: number, msgId: number, body: Uint8Array): boolean {
    const sessionId = this.#delivery?.sessionOf(connection) ?? '';
    const entry = this.machine.session(sessionId)?.queue.entry(seqId);
    check(entry !== undefined, 'I5', () => `${seqId} of ${sessionId} is not there`);
    check(entry.logIndex <= this.shard.commitIndex, 'I3', () => `${seqId} was sent before its commit`);
    const nowMs = this.nowMs();
    const sentAtMs = this.#connections.get(connection)?.sentAtMs;
    const passedMs = nowMs - (sentAtMs?.get(seqId) ?? Number.NEGATIVE_INFINITY);
    check(passedMs >= worldDeliveryLimits.ackTimeoutMs, 'I6', () => `${seqId} was sent twice within ${passedMs} ms`);
    sentAtMs?.set(seqId, nowMs);
    const content = contentOf(body);
    this.world.sent(sessionId, seqId, content);
    return this.#send(connection, { type: 'message', seqId, msgId, content });
  }

  #send(connection: number, frame: DownFrame): boolean {
    return this.world.network.sendDown(connection, frame, frameBytes(frame));
  }

  #close(connection: number, code: number): void {
    const served = this.#connections.get(connection);
    if (served !== undefined) served.phase = 'over';
    this.#delivery?.unbind(connection);
    this.world.network.closeByServer(connection, code);
  }
}
