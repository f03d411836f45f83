import { encodeGoawayBody } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { SessionView } from '../session/session-machine.ts';
import type { HandlerContext } from './context.ts';
import { reply } from './replies.ts';

/** Sessions looked at in one step: each costs a hash for every pair. */
const looksPerStep = 200;

/**
 * Sends the sessions that a new map gives to another pair there, a few a second. A session goes when nothing is under way:
 * no open request, nothing unacknowledged, no push that waits. It ends here with SESSION_RESET and its client, which was told
 * where to go by GOAWAY, logs in there. What is pushed in between is refused, so nothing is lost and nothing comes twice.
 */
export class Rebalance {
  #context: HandlerContext;
  #perSecond: number;
  #credit = 0;
  #lastMs: number;
  #version = 0;
  /** Sessions not looked at since the map came. */
  #unseen: string[] = [];
  /** Sessions that belong elsewhere. */
  #leaving: string[] = [];
  #moved = 0;

  /** @param perSecond sessions; 0 moves none. */
  constructor(context: HandlerContext, perSecond: number) {
    this.#context = context;
    this.#perSecond = perSecond;
    this.#lastMs = context.clock.nowMs();
  }

  /** Sessions that are still to go, as far as they are known. */
  get left(): number {
    return this.#leaving.length;
  }

  /** Moves as many as the pace allows; called a few times a second. */
  step(): void {
    const { fleet, shard, clock } = this.#context;
    const nowMs = clock.nowMs();
    const passedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (fleet === undefined || this.#perSecond === 0 || !shard.serving) return;
    if (fleet.fleet.version !== this.#version) this.#begin(fleet.fleet.version);
    this.#look();
    if (this.#leaving.length === 0) return;
    this.#credit = Math.min(this.#credit + (passedMs * this.#perSecond) / 1_000, Math.max(this.#perSecond, 1));
    const later: string[] = [];
    // Each is tried once a step: a busy one does not hold up the others.
    for (let tries = Math.min(this.#leaving.length, looksPerStep); tries > 0 && this.#credit >= 1; tries -= 1) {
      const sessionId = this.#leaving.shift();
      const fate = sessionId === undefined ? 'gone' : this.#move(sessionId);
      if (fate === 'moved') this.#credit -= 1;
      if (fate === 'busy' && sessionId !== undefined) later.push(sessionId);
    }
    this.#leaving.push(...later);
    if (this.#leaving.length === 0 && this.#unseen.length === 0) {
      this.#context.log.info({ version: this.#version, moved: this.#moved }, 'rebalancing is done');
    }
  }

  #begin(version: number): void {
    this.#version = version;
    this.#moved = 0;
    this.#leaving = [];
    this.#unseen = [...this.#context.sessions.all()].map(({ sessionId }) => sessionId);
  }

  #look(): void {
    const { sessions, fleet } = this.#context;
    for (const sessionId of this.#unseen.splice(-looksPerStep)) {
      const session = sessions.session(sessionId);
      if (session !== undefined && fleet?.fleet.isOwner(session.openid) === false) this.#leaving.push(sessionId);
    }
  }

  #move(sessionId: string): 'moved' | 'busy' | 'gone' {
    const { sessions, fleet, shard } = this.#context;
    const session = sessions.session(sessionId);
    const owner = session === undefined ? undefined : fleet?.fleet.ownerElsewhere(session.openid);
    if (session === undefined || owner === undefined) return 'gone';
    // One that waits for its client is told when it comes back; what it has not acknowledged is only here.
    if (!session.connected || !isQuiet(session)) return 'busy';
    this.#tell(sessionId, owner.clientEndpoints);
    const reason = `moved to pair ${owner.id}`;
    shard.submit({ kind: 'close', sessionId, code: ErrorCode.ERROR_SESSION_RESET, reason });
    this.#moved += 1;
    return 'moved';
  }

  #tell(sessionId: string, endpoints: readonly string[]): void {
    const { connections, delivery } = this.#context;
    const connection = connections.get(delivery.connectionOf(sessionId) ?? -1);
    if (connection === undefined) return;
    const goaway = { reason: 'the fleet changed', reconnectAfterMs: 0, endpoints: [...endpoints], reconnect: true };
    reply(this.#context, connection, 0, encodeGoawayBody(goaway));
    // What it still sends is for its next session.
    connection.phase = 'closing';
  }
}

function isQuiet(session: SessionView): boolean {
  return session.openCount === 0 && session.heldCount === 0 && session.queue.length === 0;
}
