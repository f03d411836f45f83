import type { Command, PushCommand, ShardLimits, StartCommand } from '../session/command.ts';
import type {
  AdmitOutcome,
  BroadcastOutcome,
  Effect,
  Outcome,
  PushOutcome,
  StartedOutcome,
} from '../session/effect.ts';
import { defaultShardLimits } from '../session/limits.ts';
import { SessionMachine, type SessionView } from '../session/session-machine.ts';

type Defaults<T> = Partial<Omit<T, 'kind'>>;

/** Drives a state machine in tests: short commands with defaults, outcomes of the expected kind, the effects of the last one. */
export class MachineDriver {
  readonly machine = new SessionMachine();
  effects: Effect[] = [];
  index = 0;
  #sessions = 0;

  constructor(limits: Partial<ShardLimits> = {}) {
    this.apply({ kind: 'configure', limits: { ...defaultShardLimits, ...limits } });
    this.apply({ kind: 'promote', epoch: 10, history: 'one' });
  }

  apply(command: Command): Outcome {
    this.index += 1;
    this.effects = [];
    return this.machine.apply(this.index, command, this.effects);
  }

  start(given: Defaults<StartCommand> & { openid?: string } = {}): Outcome {
    this.#sessions += 1;
    return this.apply({
      kind: 'start',
      openid: 'ann',
      clientId: 'phone',
      userIp: '192.0.2.1',
      connection: 1,
      wallMs: 5_000,
      secondLogin: 'resume',
      newSessionId: `s${this.#sessions}`,
      ...given,
    });
  }

  /** A START that must succeed. */
  started(given: Defaults<StartCommand> = {}): StartedOutcome {
    return of(this.start(given), 'started');
  }

  push(given: Defaults<PushCommand> = {}): PushOutcome {
    const push: PushCommand = {
      kind: 'push',
      identity: { kind: 'none' },
      openid: given.sessionId === undefined ? 'ann' : '',
      sessionId: '',
      body: new Uint8Array(10),
      bindClientSeq: 0,
      order: 'immediate',
      ttlMs: 0,
      ...given,
    };
    return of(this.apply(push), 'push');
  }

  broadcast(given: Defaults<Extract<Command, { kind: 'broadcast' }>> = {}): BroadcastOutcome {
    const all = { identity: { kind: 'none' as const }, body: new Uint8Array(10), ttlMs: 0, zoneIds: [], openids: [] };
    return of(this.apply({ kind: 'broadcast', ...all, ...given }), 'broadcast');
  }

  admit(clientSeq: number, sessionId = 's1'): AdmitOutcome {
    const binding = this.session(sessionId).binding;
    return of(this.apply({ kind: 'admit', sessionId, binding, clientSeq, msgId: 100 + clientSeq }), 'admit');
  }

  answer(clientSeq: number, bytes = 10, zoneId?: string, sessionId = 's1'): void {
    const bodies = { body: new Uint8Array(bytes), overflowBody: new Uint8Array(1) };
    this.apply({ kind: 'answer', sessionId, clientSeq, ...bodies, ...(zoneId === undefined ? {} : { zoneId }) });
  }

  ack(upTo: number, sessionId = 's1'): Outcome {
    return this.apply({ kind: 'ack', sessionId, upTo });
  }

  pass(ms: number): void {
    this.apply({ kind: 'tick', timeMs: this.machine.timeMs + ms });
  }

  session(sessionId = 's1'): SessionView {
    const session = this.machine.session(sessionId);
    if (session === undefined) throw new Error(`there is no session ${sessionId}`);
    return session;
  }

  /** What is queued, as "seq:client seq:length" in order; a skip has length 2. */
  queued(sessionId = 's1'): string[] {
    const { queue } = this.session(sessionId);
    const shown: string[] = [];
    for (let seqId = queue.ackUpTo + 1; seqId < queue.nextSeqId; seqId += 1) {
      const entry = queue.entry(seqId);
      shown.push(`${seqId}:${entry?.clientSeq}:${entry?.body.length}`);
    }
    return shown;
  }

  effectKinds(): string[] {
    return this.effects.map(({ kind }) => kind);
  }
}

function of<K extends Outcome['kind']>(outcome: Outcome, kind: K): Extract<Outcome, { kind: K }> {
  if (outcome.kind !== kind) throw new Error(`expected ${kind}, got ${JSON.stringify(outcome)}`);
  return outcome as Extract<Outcome, { kind: K }>;
}
