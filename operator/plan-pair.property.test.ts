import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeaseView, LinkView, MemberName, PairView } from './pair-view.ts';
import { type FailoverDecision, planFailover } from './plan-failover.ts';
import { planRollout } from './plan-rollout.ts';
import { planSwitchover } from './plan-switchover.ts';
import { incarnationOf, nowMs, pairView } from './testing/pair-views.ts';

const ids = fc.constantFrom('1', '2');
const states = fc.constantFrom<LinkView['state']>('none', 'connecting', 'connected', 'reset', 'silent');

const anyMember = (name: MemberName) =>
  fc.record({
    link: fc.record({
      state: states,
      incarnation: ids.map((id) => incarnationOf(name, id)),
      role: fc.constantFrom('standby', 'backup', 'primary'),
      epoch: fc.integer({ min: 0, max: 9 }),
      lastBeatMs: fc.integer({ min: nowMs - 200_000, max: nowMs }),
      ready: fc.boolean(),
      draining: fc.boolean(),
      peerLost: fc.boolean(),
      holdsState: fc.boolean(),
      tookLeave: fc.boolean(),
      blocked: fc.constantFrom('', 'no arbiter'),
    }),
    pod: fc.oneof(
      fc.constant('gone' as const),
      fc.record({
        phase: fc.constantFrom('Pending' as const, 'Running' as const, 'Failed' as const),
        deleting: fc.boolean(),
        fenced: fc.boolean(),
        templateHash: fc.constantFrom('t1', 't2'),
        trouble: fc.constantFrom('', 'it does not start'),
      }),
    ),
    node: fc.record({ reachable: fc.boolean(), leaving: fc.constantFrom('', 'n1 is cordoned') }),
    statefulSet: fc.record({
      templateHash: fc.constantFrom('t1', 't2'),
      rejectedHash: fc.constantFrom('', 't2'),
      lastGoodHash: fc.constantFrom('', 't1', 't2'),
    }),
  });

const anyIncarnation = fc
  .tuple(fc.constantFrom<MemberName>('a', 'b'), ids)
  .map(([name, id]) => incarnationOf(name, id));

const anyLease = fc
  .record({ holder: anyIncarnation, others: fc.subarray([incarnationOf('a'), incarnationOf('b')]) })
  .map(({ holder, others }): Partial<LeaseView> => ({ holder, inSync: [...new Set([holder, ...others])] }));

const anyView: fc.Arbitrary<PairView> = fc
  .record({
    a: anyMember('a'),
    b: anyMember('b'),
    lease: fc.option(anyLease),
    desiredHash: fc.constantFrom('t1', 't2'),
    inSyncHeardMs: fc.integer({ min: nowMs - 200_000, max: nowMs }),
  })
  .map(({ desiredHash, inSyncHeardMs, ...changes }) => pairView({ ...changes, view: { desiredHash, inSyncHeardMs } }));

/** The Lease after the write that a decision asks for. */
function written(view: PairView, decision: FailoverDecision): PairView {
  if (decision.kind !== 'promote' && decision.kind !== 'begin') return view;
  const { next } = decision;
  const history = next.history === '' ? 'new' : next.history;
  return { ...view, lease: { ...next, history, resourceVersion: '101', seenMs: nowMs }, leaseVersion: '101' };
}

describe('whatever is seen', () => {
  it('only a heard in-sync incarnation that is not fenced is promoted, on the version that showed it, one epoch up', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const decision = planFailover(view);
        if (decision.kind !== 'promote') return;
        const { lease } = view;
        expect(lease?.inSync).toContain(decision.next.holder);
        expect(decision.next.holder).not.toBe(lease?.holder);
        expect(decision.member.link).toMatchObject({ state: 'connected', incarnation: decision.next.holder });
        expect(decision.member.pod?.fenced).not.toBe(true);
        expect(decision.expected).toBe(lease?.resourceVersion);
        expect(decision.next).toMatchObject({ epoch: (lease?.epoch ?? 0) + 1, history: lease?.history });
      }),
    );
  });

  it('without evidence of a death both ends have lost the primary, or it is blocked', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const decision = planFailover(view);
        if (decision.kind !== 'promote' || decision.evidence !== '') return;
        const holder = Object.values(view.members).find((member) => member !== decision.member);
        const lost = ['reset', 'silent'].includes(holder?.link.state ?? '') && decision.member.link.peerLost;
        expect(lost || holder?.link.blocked !== '').toBe(true);
      }),
    );
  });

  it('a loss is swapped for once: seen with what was written, it asks for no second promotion', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const first = planFailover(view);
        const second = planFailover(written(view, first));
        if (first.kind === 'promote') expect(second.kind).not.toBe('promote');
        if (first.kind === 'promote' || first.kind === 'begin') expect(second.kind).not.toBe('begin');
      }),
    );
  });

  it('epochs only rise, and a new history begins only when no member in sync is heard', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const decision = planFailover(view);
        if (decision.kind !== 'begin') return;
        const heardEpochs = Object.values(view.members).map(({ link }) => link.epoch);
        expect(decision.next.epoch).toBeGreaterThan(
          Math.max(view.lease?.epoch ?? 0, view.status.epoch, ...heardEpochs),
        );
        const inSync = Object.values(view.members).filter(
          ({ link, pod }) =>
            link.state === 'connected' && view.lease?.inSync.includes(link.incarnation) && pod?.fenced !== true,
        );
        if (decision.why === 'Reset') expect(inSync).toEqual([]);
      }),
    );
  });

  it('the same view gives the same plan', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        expect(planFailover(view)).toEqual(planFailover(structuredClone(view)));
      }),
    );
  });

  it('a serving primary is never deleted, and hands over only to a ready member in sync', () => {
    fc.assert(
      fc.property(anyView, (view) => {
        const serves = (name: MemberName): boolean => {
          const { link } = view.members[name];
          return link.state === 'connected' && link.incarnation === view.lease?.holder;
        };
        const rollout = planRollout(view);
        if (rollout.kind === 'delete-pod') expect(serves(rollout.member.name)).toBe(false);
        const switchover = planSwitchover(view);
        if (switchover.kind !== 'switchover') return;
        const { link, pod } = switchover.successor;
        expect(serves(switchover.holder.name)).toBe(true);
        expect(view.lease?.inSync).toContain(link.incarnation);
        expect({ state: link.state, ready: link.ready, deleting: pod?.deleting, fenced: pod?.fenced }).toEqual({
          state: 'connected',
          ready: true,
          deleting: false,
          fenced: false,
        });
      }),
    );
  });
});
