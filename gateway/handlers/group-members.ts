import type { ErrorFields } from '../protocol/codec.ts';
import type { HandlerContext } from './context.ts';
import { notPrimary, undecided } from './leadership.ts';

export interface GroupChange {
  readonly group: string;
  readonly openids: readonly string[];
  readonly sessionIds: readonly string[];
}

export type GroupChangeResult =
  | { readonly changed: number; readonly missing: readonly string[] }
  | { readonly error: ErrorFields };

/** Puts sessions of this shard into a group, or takes them out. `done` is called once it is committed. */
export function changeGroup(
  context: HandlerContext,
  kind: 'join-group' | 'leave-group',
  change: GroupChange,
  done: (result: GroupChangeResult) => void,
): void {
  const elsewhere = notPrimary(context, context.shard.zoneRedirect);
  if (elsewhere !== undefined) return done({ error: elsewhere });
  context.shard.submit(
    { kind, ...change },
    (outcome) => {
      if (outcome.kind === 'refused') done({ error: { code: outcome.code, message: outcome.reason } });
      else if (outcome.kind === 'members') done(outcome);
    },
    () => done({ error: undecided }),
  );
  context.turn.ask();
}
