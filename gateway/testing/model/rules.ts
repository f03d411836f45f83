/** Parts of the starred rules of design §5 that can be taken out of the model, one at a time. */
export const removableRules = [
  /** 1: an acknowledgement counts whoever sent it. */
  '1-acknowledgement-names-incarnation',
  /** 1: a member is required only after the write that adds it was answered. */
  '1-required-before-added',
  /** 1: a member is no longer required once its removal is asked for. */
  '1-required-until-removed',
  /** 1 and I2: COMMITTED is said while the removal of the other member is under way. */
  '1-level-beyond-doubt',
  /** 2: a loser of a compare-and-swap steps down without looking. */
  '2-loser-reads-again',
  /** 2: a read settles an unknown outcome. */
  '2-settled-by-write-only',
  /** 3: the operator's promoting write does not name the version it decided on. */
  '3-promotion-on-version-seen',
  /** 3: Promote is obeyed without the Lease. */
  '3-promote-is-a-hint',
  /** 4: a repeat of something uncommitted is answered at once. */
  '4-repeat-waits',
  /** 5: the place counts without the history's session it belongs to. */
  '5-place-names-session',
  /** 5: the place counts whatever epoch it was received under (shows in a standalone pair). */
  '5-place-names-epoch',
  /** 13: another incarnation at the primary's address counts as the primary. */
  '13-heartbeat-names-incarnation',
  /** 13: a backup never promotes itself when no operator decides. */
  '13-backup-promotes-itself',
  /** 14: nothing begins when every in-sync incarnation is dead. */
  '14-new-history',
  /** 14: what begins anew keeps the old history's name. */
  '14-history-has-new-name',
] as const;
export type RemovableRule = (typeof removableRules)[number];

/** What may go wrong in one search, and how often. */
export interface ModelBounds {
  readonly crashes: number;
  readonly cuts: number;
  /** Writes of the Lease whose outcome stays unknown to the sender, or that arrive late. */
  readonly giveUps: number;
  readonly operatorMayDie: boolean;
  /** Two processes without an arbiter: a primary shrinks its set on its own word. */
  readonly standalone: boolean;
  /** How many pushes the zone makes, 1 or 2. */
  readonly pushes: number;
  readonly without?: RemovableRule;
}
