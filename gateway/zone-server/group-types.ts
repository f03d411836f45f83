import { Buffer } from 'node:buffer';
import type {
  GroupMembersRequest,
  GroupMembersResponse,
  GroupPushRequest,
  PresenceResponse,
} from '../../proto/gen/upstream.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { PushError } from './errors.ts';
import { type BroadcastOptions, broadcastRequest } from './push-types.ts';

/** Whom a change of a group is about. */
export interface GroupMembers {
  readonly openids?: readonly string[];
  readonly sessionIds?: readonly string[];
}

export interface GroupChange {
  /** Sessions that were not in the group before, or are not in it any more. */
  readonly changed: number;
  /** Openids and session ids that have no session now. */
  readonly missing: readonly string[];
}

export type GroupPushOptions = Omit<BroadcastOptions, 'zoneIds' | 'openids'>;

export interface UserPresence {
  readonly openid: string;
  /** Has a session, which may be waiting for its client. */
  readonly online: boolean;
  /** Its client is connected now. */
  readonly connected: boolean;
  readonly pairId: string;
  readonly sessionId: string;
}

export interface Presence {
  readonly users: readonly UserPresence[];
  /** False when a pair could not be asked: who is not online may be so there. */
  readonly complete: boolean;
}

export function membersRequest(group: string, { openids = [], sessionIds = [] }: GroupMembers): GroupMembersRequest {
  return { group, openids: [...openids], sessionIds: [...sessionIds] };
}

export function groupPushRequest(
  group: string,
  data: Uint8Array | string,
  options: GroupPushOptions,
  pushId: string,
): GroupPushRequest {
  const { headers, level, ttlMs } = broadcastRequest(Buffer.alloc(0), options, pushId);
  const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data);
  return { pushId, group, data: bytes, headers, level, ttlMs };
}

export function groupChange(group: string, response: GroupMembersResponse): GroupChange | PushError {
  if (response.success) return { changed: response.changed, missing: response.missing };
  const { code = ErrorCode.ERROR_INTERNAL, message = '', retryAfterMs = 0 } = response.error ?? {};
  return new PushError(failureOf(code), group, message, retryAfterMs);
}

function failureOf(code: number): PushError['failure'] {
  switch (code) {
    case ErrorCode.ERROR_NOT_PRIMARY:
    case ErrorCode.ERROR_FENCED:
      return 'not-primary';
    case ErrorCode.ERROR_OVERLOADED:
      return 'overloaded';
    case ErrorCode.ERROR_BAD_MESSAGE:
      return 'invalid';
    default:
      return 'unavailable';
  }
}

export function presenceOf({ users, complete }: PresenceResponse): Presence {
  return { users, complete };
}
