import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../session/command.ts';
import type { Effect } from '../../session/effect.ts';
import { SessionMachine, type SessionView } from '../../session/session-machine.ts';
import { type Draw, drawCommand, draws } from './random-commands.ts';
import { ReferenceShard } from './reference-shard.ts';
import type { RefSession } from './reference-state.ts';
import { worldLimits } from './world-limits.ts';

const limits = { ...worldLimits, pushDedupeEntriesMax: 1_000, pushDedupeHorizonMs: 2_500, producersMax: 10 };
const seed = Number(process.env['GATESVR_SEED'] ?? 20_250_112);

function shown(session: SessionView) {
  const { sessionId, openid, binding, connected, zoneId, nextSeqId, ackUpTo, maxClientSeq } = session;
  const bytes = [...Array(session.queue.length).keys()].map((n) => {
    const entry = session.queue.entry(ackUpTo + 1 + n);
    return { bytes: entry?.expiry === undefined && entry?.body.length === 2 ? 0 : entry?.body.length };
  });
  const { queueBytes, openCount, heldCount } = session;
  return {
    sessionId,
    openid,
    binding,
    connected,
    zoneId,
    nextSeqId,
    ackUpTo,
    maxClientSeq,
    queueBytes,
    openCount,
    heldCount,
    count: bytes.length,
  };
}

function expected(reference: ReferenceShard, session: RefSession) {
  return {
    sessionId: session.id,
    openid: session.openid,
    binding: session.binding,
    connected: session.connected,
    zoneId: session.zoneId,
    nextSeqId: session.messages.length + 1,
    ackUpTo: session.acked,
    maxClientSeq: session.max,
    queueBytes: reference.bytesOf(session),
    openCount: [...session.requests.values()].filter((state) => state === 'open').length,
    heldCount: session.held.length,
    count: session.messages.length - session.acked,
  };
}

/** Both apply the same commands; what they answer and show must be the same after each. */
function runBoth(given: readonly Draw[]): SessionMachine {
  const machine = new SessionMachine();
  const reference = new ReferenceShard(limits);
  let index = 0;
  const both = (command: Command) => {
    index += 1;
    const effects: Effect[] = [];
    const outcome = machine.apply(index, command, effects);
    expect(outcome, JSON.stringify(command)).toMatchObject(reference.apply(index, command));
    const sessions = machine.list({ openid: '', zoneId: '' }, 100, '').sessions;
    expect(sessions.map(shown), JSON.stringify(command)).toEqual(
      reference.sessions.map((one) => expected(reference, one)),
    );
  };
  machine.apply(0, { kind: 'configure', limits }, []);
  both({ kind: 'promote', epoch: 1, history: 'h' });
  for (const draw of given) both(drawCommand(reference, draw, `s${index}`));
  return machine;
}

describe('the state machine', () => {
  it('does what the reference does', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(draws, (given) => {
        runBoth(given);
      }),
      { numRuns: 2_000, seed, interruptAfterTimeLimit: 250_000 },
    );
  });
});
