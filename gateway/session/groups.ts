import { ErrorCode } from '../protocol/error-codes.ts';
import type { ChangeGroupCommand } from './command.ts';
import type { Outcome } from './effect.ts';
import { groupMembersMax, groupsMax, groupsPerSessionMax } from './limits.ts';
import type { Session } from './session.ts';
import type { ShardState } from './shard-state.ts';

/** Who is in which group: named sets of sessions that zones push to. A group exists while somebody is in it. */
export class Groups {
  #members = new Map<string, Set<Session>>();

  get size(): number {
    return this.#members.size;
  }

  has(group: string): boolean {
    return this.#members.has(group);
  }

  memberCount(group: string): number {
    return this.#members.get(group)?.size ?? 0;
  }

  add(group: string, session: Session): void {
    const members = this.#members.get(group);
    if (members === undefined) this.#members.set(group, new Set([session]));
    else members.add(session);
    session.groups ??= new Set();
    session.groups.add(group);
  }

  remove(group: string, session: Session): void {
    const members = this.#members.get(group);
    members?.delete(session);
    if (members?.size === 0) this.#members.delete(group);
    session.groups?.delete(group);
    if (session.groups?.size === 0) session.groups = undefined;
  }

  /** The session has ended. */
  removeAll(session: Session): void {
    for (const group of session.groups ?? []) this.remove(group, session);
  }

  /** In the order the sessions were made: that of joining is not the same on a copy. */
  members(group: string): Session[] {
    return [...(this.#members.get(group) ?? [])].sort((a, b) => a.ordinal - b.ordinal);
  }
}

/** Puts sessions into a group: all that are here, or none when a bound is in the way. */
export function joinGroup(state: ShardState, command: ChangeGroupCommand): Outcome {
  const { found, missing } = sessionsOf(state, command);
  const joining = found.filter((session) => session.groups?.has(command.group) !== true);
  const refusal = joinRefusal(state, command.group, joining);
  if (refusal !== undefined) return refusal;
  for (const session of joining) {
    state.groups.add(command.group, session);
    state.hash.mix(session.ordinal);
  }
  state.hash.mixText(command.group);
  return { kind: 'members', changed: joining.length, missing };
}

export function leaveGroup(state: ShardState, command: ChangeGroupCommand): Outcome {
  const { found, missing } = sessionsOf(state, command);
  const leaving = found.filter((session) => session.groups?.has(command.group) === true);
  for (const session of leaving) {
    state.groups.remove(command.group, session);
    state.hash.mix(session.ordinal);
  }
  state.hash.mixText(command.group);
  return { kind: 'members', changed: leaving.length, missing };
}

function joinRefusal(state: ShardState, group: string, joining: readonly Session[]): Outcome | undefined {
  const full = (reason: string): Outcome => ({ kind: 'refused', code: ErrorCode.ERROR_OVERLOADED, reason });
  const busy = joining.find((session) => (session.groups?.size ?? 0) >= groupsPerSessionMax);
  if (busy !== undefined) return full(`session ${busy.sessionId} is in ${groupsPerSessionMax} groups, no more`);
  const isNew = joining.length > 0 && !state.groups.has(group);
  const tooMany = isNew && state.groups.size >= groupsMax;
  if (!tooMany && state.groups.memberCount(group) + joining.length <= groupMembersMax) return undefined;
  // A copy that lacks sessions counts fewer: it cannot see this bound, and begins anew (rule 10).
  state.totalLimitHits += 1;
  return full(tooMany ? `no more than ${groupsMax} groups` : `no more than ${groupMembersMax} sessions in one group`);
}

function sessionsOf(state: ShardState, command: ChangeGroupCommand): { found: Session[]; missing: string[] } {
  const found = new Set<Session>();
  const missing: string[] = [];
  const take = (name: string, session: Session | undefined) => {
    if (session === undefined) missing.push(name);
    else found.add(session);
  };
  for (const openid of command.openids) take(openid, state.byOpenid.get(openid));
  for (const sessionId of command.sessionIds) take(sessionId, state.sessions.get(sessionId));
  return { found: [...found], missing };
}
