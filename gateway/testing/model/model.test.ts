import { describe, expect, it } from 'vitest';
import { type ModelBounds, type RemovableRule, removableRules } from './rules.ts';
import { printCounterexample, search } from './search.ts';

const calm: ModelBounds = { crashes: 0, cuts: 0, giveUps: 0, operatorMayDie: false, standalone: false, pushes: 2 };

/** With all rules nothing goes wrong; together these take well under a minute of one core. */
const sound: readonly (readonly [string, ModelBounds])[] = [
  ['one crash', { ...calm, crashes: 1 }],
  ['two crashes, one push', { ...calm, crashes: 2, pushes: 1 }],
  ['a crash, a lost or late write', { ...calm, crashes: 1, giveUps: 1, pushes: 1, operatorMayDie: true }],
  ['a cut, a lost or late write', { ...calm, cuts: 1, giveUps: 1, pushes: 1 }],
  ['a crash and a cut', { ...calm, crashes: 1, cuts: 1, pushes: 1 }],
  ['a crash and no operator', { ...calm, crashes: 1, operatorMayDie: true }],
  ['a standalone pair is cut', { ...calm, cuts: 1, standalone: true }],
];

/** The least that goes wrong without each rule, and what that is. */
const removed: Readonly<Record<RemovableRule, readonly [Partial<ModelBounds>, string]>> = {
  '1-acknowledgement-names-incarnation': [{ crashes: 2 }, 'not the one the Lease names in-sync'],
  '1-required-before-added': [{ crashes: 1 }, 'a committed push is lost'],
  '1-required-until-removed': [{ cuts: 1 }, 'a committed push is lost'],
  '1-level-beyond-doubt': [{ cuts: 1 }, 'COMMITTED was answered without two'],
  '2-loser-reads-again': [{ cuts: 1, giveUps: 1 }, 'a history was given up though no process died'],
  '2-settled-by-write-only': [{ crashes: 1, giveUps: 1 }, 'a committed push is lost'],
  '3-promotion-on-version-seen': [{ cuts: 1 }, 'a history was given up though no process died'],
  '3-promote-is-a-hint': [{ cuts: 1 }, 'a committed push is lost'],
  '4-repeat-waits': [{ crashes: 1 }, 'a committed push is lost'],
  '5-place-names-session': [{ crashes: 2 }, 'the client was let past a silent gap'],
  '5-place-names-epoch': [{ cuts: 1, standalone: true }, 'the client was let past a silent gap'],
  '13-heartbeat-names-incarnation': [{ crashes: 1 }, 'no way leads back to service'],
  '13-backup-promotes-itself': [{ crashes: 1, operatorMayDie: true }, 'no way leads back to service'],
  '14-new-history': [{ crashes: 1 }, 'no way leads back to service'],
  '14-history-has-new-name': [{ crashes: 1 }, 'a committed push is lost'],
};

describe('the model of the pair protocol', () => {
  it.each(sound)('is safe and always returns to service: %s', { timeout: 60_000 }, (_name, bounds) => {
    const result = search(bounds);
    expect(printCounterexample(result)).toBe(`nothing wrong in ${result.states} states`);
    expect(result.states).toBeGreaterThan(1_000);
  });

  it.each(removableRules)('needs rule %s', { timeout: 60_000 }, (rule) => {
    const [bounds, what] = removed[rule];
    const result = search({ ...calm, ...bounds, without: rule });
    const printed = printCounterexample(result);
    expect(printed).toContain(what);
    expect(result.counterexample?.steps.length).toBeGreaterThan(0);
  });

  it('refuses bounds that are none', () => {
    expect(() => search({ ...calm, crashes: 2 }, 1_000)).toThrow(/more than 1000 states/);
  });
});
