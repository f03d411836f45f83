import type { ErrorFields } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { HandlerContext } from './context.ts';

/** How soon somebody who found no primary may ask again. */
const retryAfterMs = 200;

/** What a caller is told whose command was under way when the pair changed. */
export const undecided: ErrorFields = {
  code: ErrorCode.ERROR_TRY_LATER,
  message: 'the pair changed before this was decided',
  retryAfterMs,
};

/**
 * Why this gateway may not decide anything for its shard now, and who may; undefined on the primary.
 * @param redirect for callers over gRPC `shard.zoneRedirect`; clients' by default.
 */
export function notPrimary({ shard }: HandlerContext, redirect = shard.redirect): ErrorFields | undefined {
  if (shard.serving) return undefined;
  const code = shard.role === 'deposed' ? ErrorCode.ERROR_FENCED : ErrorCode.ERROR_NOT_PRIMARY;
  return {
    code,
    message: `this gateway is ${shard.role} of shard ${shard.id} in epoch ${shard.epoch}`,
    retryAfterMs,
    redirect,
  };
}
