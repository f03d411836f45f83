import type { StartCommand } from '../../session/command.ts';
import { ReferenceState, type RefSession } from './reference-state.ts';

/** What START does (design §3, rule 5). */
export class ReferenceStarts extends ReferenceState {
  protected start(command: StartCommand): object {
    const { token, place } = command;
    const lost = place !== undefined && place.epoch !== 0 && (place.epoch < 1 || place.epoch > this.epoch);
    if (token !== undefined) {
      const session = this.find(token.sessionId);
      if (session === undefined) return { code: lost ? 3005 : this.endedCode(token.sessionId) };
      if (token.binding !== session.binding && token.binding !== session.heldBinding) return { code: 3003 };
      return this.takeOver(session, command);
    }
    const session = this.sessions.find(({ openid }) => openid === command.openid);
    if (session === undefined) return lost ? { code: 3005 } : this.make(command);
    if (command.secondLogin === 'refuse' && session.connected) return { code: 4005 };
    if (command.secondLogin === 'replace') {
      this.end(session, 4004);
      return this.make(command);
    }
    return this.takeOver(session, command);
  }

  protected takeOver(session: RefSession, command: StartCommand): object {
    const { place, token } = command;
    let resumed = true;
    if (place !== undefined && place.epoch !== 0 && place.sessionId === session.id) {
      if (place.epoch > this.epoch || place.epoch < session.bornInEpoch) return this.#reset(session);
      const ended = session.ends.find(({ epoch }) => epoch > place.epoch);
      const received = place.receivedSeqId;
      if (ended !== undefined && received > ended.end) return this.#reset(session);
      if (received > session.messages.length) return { code: 3004 };
      if (received < session.acked && token !== undefined) return { code: 3004 };
      if (received < session.acked) resumed = false;
      else session.acked = received;
    }
    if (token !== undefined) session.heldBinding = token.binding;
    session.binding += 1;
    session.connected = true;
    return { kind: 'started', sessionId: session.id, binding: session.binding, resumed, nextSeqId: session.acked + 1 };
  }

  /** The client knows more of the session than the state: both begin anew. */
  #reset(session: RefSession): object {
    this.end(session, 3005);
    return { code: 3005 };
  }

  protected make(command: StartCommand): object {
    if (this.sessions.length >= this.limits.sessionsMax) return { code: 2008 };
    const id = command.newSessionId;
    this.sessions.push({
      id,
      openid: command.openid,
      bornInEpoch: this.epoch,
      binding: 1,
      heldBinding: 0,
      connected: true,
      expiresAtMs: 0,
      zoneId: '',
      messages: [],
      acked: 0,
      max: 0,
      requests: new Map(),
      held: [],
      groups: new Set(),
      ends: [],
    });
    return { kind: 'started', sessionId: id, binding: 1, resumed: false, nextSeqId: 1, maxClientSeq: 0 };
  }
}
