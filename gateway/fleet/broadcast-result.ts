import { type BroadcastPushResponse, type PairPushResult, PushLevel, PushStatus } from '../../proto/gen/upstream.ts';
import type { ForwardOutcome } from './pair-link.ts';

type Status = PairPushResult['status'];

const statusOfFailure = {
  unknown: PushStatus.PUSH_STATUS_UNKNOWN,
  unreachable: PushStatus.PUSH_STATUS_NOT_PRIMARY,
  overloaded: PushStatus.PUSH_STATUS_OVERLOADED,
} as const;

/** What one pair did, from the answer of its primary or from why there is none. */
export function pairResult(pairId: string, outcome: ForwardOutcome): PairPushResult {
  const none = { pairId, matched: 0, accepted: 0, epoch: 0n, level: PushLevel.PUSH_LEVEL_UNSPECIFIED };
  if (typeof outcome === 'string') return { ...none, status: statusOfFailure[outcome] };
  const { result } = outcome;
  if (result?.$case !== 'broadcast') return { ...none, status: PushStatus.PUSH_STATUS_UNKNOWN };
  const { status, matched, accepted, epoch, level } = result.value;
  return { pairId, status, matched, accepted, epoch, level };
}

/** The whole: counts are sums, the level the least, the status OK only if it is OK at every pair, UNKNOWN before any other. */
export function combine(pushId: string, own: PairPushResult, pairs: readonly PairPushResult[]): BroadcastPushResponse {
  const failed = pairs.filter(({ status }) => status !== PushStatus.PUSH_STATUS_OK);
  const worst = failed.find(({ status }) => status === PushStatus.PUSH_STATUS_UNKNOWN) ?? failed[0];
  const status: Status = worst?.status ?? PushStatus.PUSH_STATUS_OK;
  const levels = pairs.map(({ level }) => level).sort((a, b) => a - b);
  return {
    pushId,
    status,
    matched: pairs.reduce((sum, { matched }) => sum + matched, 0),
    accepted: pairs.reduce((sum, { accepted }) => sum + accepted, 0),
    epoch: own.epoch,
    level: worst === undefined ? (levels[0] ?? PushLevel.PUSH_LEVEL_UNSPECIFIED) : PushLevel.PUSH_LEVEL_UNSPECIFIED,
    error: undefined,
    pairs: [...pairs],
  };
}
