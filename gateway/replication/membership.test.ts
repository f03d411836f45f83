import { describe, expect, it } from 'vitest';
import type { Lease } from './arbiter.ts';
import { Membership } from './membership.ts';

const lease = (inSync: string[], revision: number): Lease => {
  return { epoch: 5, history: 'h', holder: 'A/1', inSync, revision, token: String(revision) };
};

const withBoth = () => new Membership('A/1', lease(['A/1', 'B/1'], 1));

describe('Membership', () => {
  it('requires a member from before the write that adds it', () => {
    const members = new Membership('A/1', lease(['A/1'], 1));
    expect([members.required, members.level]).toEqual([[], 'degraded']);
    members.add('B/1');
    expect([members.required, members.level]).toEqual([['B/1'], 'degraded']);
    expect(members.nextWrite()?.inSync).toEqual(['A/1', 'B/1']);
    expect(members.nextWrite()).toBeUndefined();
    members.answered({ kind: 'swapped', lease: lease(['A/1', 'B/1'], 2) });
    expect([members.required, members.level, members.unsettled]).toEqual([['B/1'], 'committed', false]);
  });

  it('requires a member until the write that removes it is confirmed, and says no more than degraded meanwhile', () => {
    const members = withBoth();
    members.drop('B/1');
    expect([members.required, members.level]).toEqual([['B/1'], 'degraded']);
    expect(members.nextWrite()?.inSync).toEqual(['A/1']);
    expect(members.required).toEqual(['B/1']);
    members.answered({ kind: 'swapped', lease: lease(['A/1'], 2) });
    expect(members.required).toEqual([]);
  });

  it('says degraded while a removal is under way though the member came back', () => {
    const members = withBoth();
    members.drop('B/1');
    members.nextWrite();
    members.add('B/1');
    expect(members.level).toBe('degraded');
    members.answered({ kind: 'swapped', lease: lease(['A/1'], 2) });
    expect(members.nextWrite()?.inSync).toEqual(['A/1', 'B/1']);
  });

  it('settles an unknown outcome by a later successful write only, the larger set until then', () => {
    const members = new Membership('A/1', lease(['A/1'], 1));
    members.add('B/1');
    members.nextWrite();
    members.answered({ kind: 'unknown' });
    members.drop('B/1');
    expect([members.required, members.mustRead, members.nextWrite()]).toEqual([['B/1'], true, undefined]);
    members.sawLease(lease(['A/1'], 1));
    // The read shows it without the member, but the write can still arrive.
    expect(members.required).toEqual(['B/1']);
    expect(members.nextWrite()?.inSync).toEqual(['A/1']);
    members.answered({ kind: 'swapped', lease: lease(['A/1'], 2) });
    expect([members.required, members.unsettled]).toEqual([[], false]);
  });

  it('reads again after a refused write, and forgets what that one asked for', () => {
    const members = new Membership('A/1', lease(['A/1'], 1));
    members.add('B/1');
    members.nextWrite();
    members.answered({ kind: 'conflict' });
    members.drop('B/1');
    expect([members.required, members.mustRead]).toEqual([[], true]);
    members.sawLease(lease(['A/1'], 0));
    expect(members.mustRead).toBe(true);
    members.sawLease(lease(['A/1'], 3));
    expect([members.mustRead, members.lease.revision]).toEqual([false, 3]);
  });

  it('never drops itself, and ignores an answer to nothing', () => {
    const members = withBoth();
    members.drop('A/1');
    members.answered({ kind: 'unknown' });
    expect([members.wants('A/1'), members.unsettled, members.level]).toEqual([true, false, 'committed']);
  });
});
