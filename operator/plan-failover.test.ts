import { describe, expect, it } from 'vitest';
import { planFailover } from './plan-failover.ts';
import { incarnationOf, nowMs, type PairChanges, pairView } from './testing/pair-views.ts';

const reset = { state: 'reset', sinceMs: nowMs - 100, lastBeatMs: nowMs - 300 } as const;
const silent = { state: 'silent', sinceMs: nowMs - 100, lastBeatMs: nowMs - 1_100 } as const;
const connecting = { state: 'connecting', incarnation: '', role: '', lastBeatMs: 0 } as const;
const lost = { peerLost: true } as const;
const empty = { role: 'standby', holdsState: false, epoch: 0, history: '', inSync: [] } as const;
const gone = { pod: 'gone', link: { ...reset } } as const;

/** What is decided, in short: for the Lease who holds it, in which epoch and history, and who else is in-sync. */
function decided(changes: PairChanges): string {
  const decision = planFailover(pairView(changes));
  switch (decision.kind) {
    case 'none':
      return decision.trouble === undefined ? 'none' : `none: ${decision.trouble.message}`;
    case 'wait':
      return `wait${decision.untilMs === undefined ? '' : ` ${decision.untilMs - nowMs}`}: ${decision.reason}`;
    case 'promote': {
      const { holder, epoch, inSync } = decision.next;
      expect(inSync).toEqual([holder]);
      return `promote ${holder} ${epoch} on ${decision.expected}: ${decision.reason}`;
    }
    case 'begin': {
      const { holder, epoch, history, inSync } = decision.next;
      expect(inSync).toEqual([holder]);
      return `${decision.why} ${holder} ${epoch} ${history || 'new'} on ${decision.expected}: ${decision.reason}`;
    }
  }
}

const a1 = incarnationOf('a');
const b1 = incarnationOf('b');

describe('a failover is decided', () => {
  const cases: readonly (readonly [string, PairChanges, string])[] = [
    ['nothing is wrong', {}, 'none'],
    [
      'backup and operator lost the primary: reset',
      { a: { link: reset }, b: { link: lost } },
      `promote ${b1} 8 on 100: ${a1} is lost (reset)`,
    ],
    [
      'backup and operator lost the primary: silence',
      { a: { link: silent }, b: { link: lost } },
      `promote ${b1} 8 on 100: ${a1} is lost (silent)`,
    ],
    [
      'only the backup has lost it',
      { b: { link: lost } },
      `none: chat-p0-b-0 has lost ${a1}, the operator has not: no promotion`,
    ],
    [
      'only the operator has lost it',
      { a: { link: reset } },
      `none: the operator has lost ${a1}, chat-p0-b-0 has not: no promotion`,
    ],
    [
      'the operator has never heard it: not lost',
      { a: { link: connecting }, b: { link: lost } },
      'wait: waiting to hear chat-p0-a-0',
    ],
    [
      'another incarnation is heard in its place: no word of the backup is needed',
      { a: { link: { incarnation: incarnationOf('a', '2'), ...empty } } },
      `promote ${b1} 8 on 100: chat-p0-a-0 runs as ${incarnationOf('a', '2')} now`,
    ],
    [
      'another incarnation was heard before the Lease named this one: proves nothing',
      { a: { link: { incarnation: incarnationOf('a', '0'), lastBeatMs: 5 } }, lease: { seenMs: 6 }, b: { link: lost } },
      'wait: waiting to hear chat-p0-a-0',
    ],
    ['its pod is gone', { a: gone }, `promote ${b1} 8 on 100: pod chat-p0-a-0 is gone`],
    ['its pod object is gone, but it is heard', { a: { pod: 'gone' } }, 'none'],
    [
      'its pod has failed, on a node that says so',
      { a: { pod: { phase: 'Failed' }, link: { ...reset } } },
      `promote ${b1} 8 on 100: pod chat-p0-a-0 has ended (Failed)`,
    ],
    [
      'its pod is called failed, but its node is not reachable',
      { a: { pod: { phase: 'Failed' }, node: { reachable: false }, link: silent } },
      `none: the operator has lost ${a1}, chat-p0-b-0 has not: no promotion`,
    ],
    [
      'it said goodbye',
      { a: { link: { ...reset, tookLeave: true } } },
      `promote ${b1} 8 on 100: ${a1} has taken its leave`,
    ],
    [
      'it was made anew and has not started',
      { a: { pod: { phase: 'Pending', ip: '' }, link: { ...connecting, state: 'none' } } },
      `promote ${b1} 8 on 100: pod chat-p0-a-0 was made anew`,
    ],
    [
      'it is blocked',
      { a: { link: { blocked: 'no arbiter' } } },
      `promote ${b1} 8 on 100: ${a1} is blocked: no arbiter`,
    ],
    [
      'the backup is not in-sync: nobody to promote yet',
      { a: { link: reset }, b: { link: lost }, lease: { inSync: [a1] } },
      `wait 119950: ${a1} is lost and no in-sync member is heard; failover.resetAfter`,
    ],
    [
      'the backup is another incarnation than the in-sync one',
      { a: { link: reset }, b: { link: { ...lost, incarnation: incarnationOf('b', '2') } } },
      `wait 119950: ${a1} is lost and no in-sync member is heard; failover.resetAfter`,
    ],
    [
      'the backup is fenced',
      { a: { link: reset }, b: { link: lost, pod: { fenced: true } } },
      `wait: ${a1} is lost and no in-sync member is heard; it is fenced`,
    ],
    [
      'everything is fenced',
      { a: gone, b: { link: lost }, settings: { fenced: true } },
      'wait: pod chat-p0-a-0 is gone; it is fenced',
    ],
  ];
  it.each(cases)('%s', (_, changes, expected) => {
    expect(decided(changes)).toBe(expected);
  });
});

describe('a promotion waits', () => {
  const bothLost = { a: { link: reset }, b: { link: lost } };

  it('for failover.delay after a loss, but not after a death', () => {
    expect(decided({ ...bothLost, settings: { delayMs: 1_000 } })).toBe(
      `wait 900: ${a1} is lost (reset); failover.delay`,
    );
    expect(decided({ a: gone, settings: { delayMs: 1_000 } })).toMatch(/^promote/);
  });

  it('for failover.cooldown since the last failover, but not after a death', () => {
    const recently = { lastFailoverMs: nowMs - 20_000 };
    expect(decided({ ...bothLost, view: recently })).toBe(`wait 40000: ${a1} is lost (reset); failover.cooldown`);
    expect(decided({ a: gone, view: recently })).toMatch(/^promote/);
    expect(decided({ ...bothLost, view: { lastFailoverMs: nowMs - 60_000 } })).toMatch(/^promote/);
  });

  it('no longer than the cooldown on either clock: one that is set back delays nothing', () => {
    const wallMs = 1_800_000_000_000;
    const hourAhead = { wallMs, lastFailoverWallMs: wallMs + 3_600_000 };
    expect(decided({ ...bothLost, view: { ...hourAhead, lastFailoverMs: nowMs - 60_000 } })).toMatch(/^promote/);
    expect(decided({ ...bothLost, view: { ...hourAhead, watchedSinceMs: nowMs - 60_000 } })).toMatch(/^promote/);
    expect(decided({ ...bothLost, view: { ...hourAhead, watchedSinceMs: nowMs - 50_000 } })).toMatch(/^wait 10000/);
  });

  it('not at all by a restarted operator when status says that the last failover is long ago', () => {
    const view = { watchedSinceMs: nowMs - 1_000, lastFailoverWallMs: 1_800_000_000_000 - 61_000 };
    expect(decided({ ...bothLost, view })).toMatch(/^promote/);
  });
});

describe('a pair begins', () => {
  const fresh = { link: empty };
  const wallSeconds = 1_800_000_000;
  const none = {
    lease: null,
    view: { projectedEpoch: 0, status: { currentPrimary: '', targetPrimary: '', epoch: 0 } },
  } as const;
  const cases: readonly (readonly [string, PairChanges, string])[] = [
    [
      'with the first, when both are new',
      { ...none, a: fresh, b: fresh },
      `Bootstrap ${a1} ${wallSeconds} new on undefined: both gateways are new`,
    ],
    [
      'on the Lease object that was prepared',
      { ...none, a: fresh, b: fresh, view: { ...none.view, leaseVersion: '5' } },
      `Bootstrap ${a1} ${wallSeconds} new on 5: both gateways are new`,
    ],
    [
      'above every epoch that was heard of',
      { ...none, a: fresh, b: { link: { ...empty, epoch: wallSeconds + 5 } } },
      `Bootstrap ${a1} ${wallSeconds + 6} new on undefined: both gateways are new`,
    ],
    [
      'not with one alone, while the other may come',
      { ...none, a: fresh, b: { link: connecting } },
      'wait 120000: no Lease yet: waiting for both gateways',
    ],
    [
      'with one alone when the other has not come for long',
      {
        ...none,
        a: { link: connecting },
        b: fresh,
        view: { ...none.view, leaseMissingSinceMs: nowMs - 120_000 },
      },
      `Bootstrap ${b1} ${wallSeconds} new on undefined: no primary within 120000 ms`,
    ],
    [
      'not over a copy whose primary may come back',
      { ...none, a: fresh, b: {} },
      'wait 120000: no Lease, but a copy of the state',
    ],
    [
      'preferring the member that stays',
      { ...none, a: { ...fresh, node: { leaving: 'n1 is cordoned' } }, b: fresh },
      `Bootstrap ${b1} ${wallSeconds} new on undefined: both gateways are new`,
    ],
    [
      'never with a fenced member',
      { ...none, a: { ...fresh, pod: { fenced: true } }, b: { ...fresh, pod: { fenced: true } } },
      'wait: no Lease yet: no gateway is heard',
    ],
    [
      'again around a living primary whose Lease was lost: same history, higher epoch, itself alone in-sync',
      { lease: null },
      `LeaseLost ${a1} ${wallSeconds} h1 on undefined: the Lease is gone, ${a1} leads`,
    ],
    [
      'again around the one with the higher epoch, should two lead',
      { lease: null, b: { link: { role: 'primary', epoch: 8 } } },
      `LeaseLost ${b1} ${wallSeconds} h1 on undefined: the Lease is gone, ${b1} leads`,
    ],
  ];
  it.each(cases)('%s', (_, changes, expected) => {
    expect(decided(changes)).toBe(expected);
  });
});

describe('a new history', () => {
  const a2 = incarnationOf('a', '2');
  const b2 = incarnationOf('b', '2');
  const cases: readonly (readonly [string, PairChanges, string])[] = [
    [
      'begins when all that was in-sync is dead',
      {
        a: { link: { ...empty, incarnation: a2 } },
        b: { link: { ...empty, incarnation: b2 } },
      },
      `Reset ${a2} 8 new on 100: chat-p0-a-0 runs as ${a2} now, chat-p0-b-0 runs as ${b2} now`,
    ],
    [
      'begins with the empty one rather than with a copy that must be discarded',
      {
        a: { link: { incarnation: a2, holdsState: true } },
        b: { link: { ...empty, incarnation: b2 } },
      },
      `Reset ${b2} 8 new on 100: chat-p0-a-0 runs as ${a2} now, chat-p0-b-0 runs as ${b2} now`,
    ],
    [
      'does not begin while one of them may live',
      { a: { link: { ...empty, ...lost, incarnation: a2 } }, b: { link: { ...connecting } } },
      `wait 119950: chat-p0-a-0 runs as ${a2} now; failover.resetAfter`,
    ],
    [
      'does not begin while the other member hears it, although the operator does not',
      {
        a: { link: connecting },
        b: { link: { ...empty, incarnation: b2 } },
        view: { inSyncHeardMs: 0 },
      },
      `wait: ${a1} is lost and no in-sync member is heard; chat-p0-b-0 hears its peer`,
    ],
    [
      'begins when none of them was heard for failover.resetAfter',
      {
        a: { link: silent },
        b: { link: { ...empty, ...lost, incarnation: b2 } },
        lease: { inSync: [a1] },
        view: { inSyncHeardMs: nowMs - 120_000 },
      },
      `Reset ${b2} 8 new on 100: nobody in-sync was heard for 120000 ms`,
    ],
    [
      'waits for somebody to begin it with',
      { a: gone, b: { pod: 'gone', link: { state: 'none' } } },
      'wait: pod chat-p0-a-0 is gone; no gateway is heard',
    ],
    [
      'waits as long when the Lease names a stranger',
      {
        a: { link: lost },
        b: { link: lost },
        lease: { holder: 'x/1', inSync: ['x/1'] },
        view: { inSyncHeardMs: nowMs - 119_000 },
      },
      'wait 1000: the Lease names x/1, which is no member; failover.resetAfter',
    ],
  ];
  it.each(cases)('%s', (_, changes, expected) => {
    expect(decided(changes)).toBe(expected);
  });
});
