import { describe, expect, it } from 'vitest';
import type { Lease } from './arbiter.ts';
import type { PeerStatus } from './peer-messages.ts';
import {
  beginningOf,
  type Decision,
  decide,
  type Observation,
  promotionOf,
  type RoleSettings,
  restorationOf,
} from './role.ts';

const settings: RoleSettings = {
  serverId: 'B',
  mode: 'backup',
  arbiter: 'shared',
  promoteAfterMs: 2_000,
  resetAfterMs: 60_000,
  startAloneAfterMs: 5_000,
};
const standalone: RoleSettings = { ...settings, arbiter: 'own' };
const starter: RoleSettings = { ...standalone, mode: 'primary' };

const lease: Lease = { epoch: 5, history: 'h', holder: 'A/1', inSync: ['A/1', 'B/1'], revision: 3, token: 't' };
const status: PeerStatus = {
  ...{ serverId: 'A', incarnation: 'A/1', mode: 'primary', role: 'primary', epoch: 5, history: 'h', complete: true },
  ...{ logIndex: 9, lease, clientEndpoint: '', zoneEndpoint: '' },
};
const alive = { status, confirmedAtMs: 900, lost: false, lostForMs: 0 };
const lost = { status, confirmedAtMs: 900, lost: true, lostForMs: 500 };
const restarted = { status: { ...status, incarnation: 'A/2', role: 'standby' as const }, confirmedAtMs: 900 };
const unheard = { status: undefined, confirmedAtMs: Number.NEGATIVE_INFINITY, lost: true };

const inSync: Observation = {
  ...{ incarnation: 'B/1', phase: 'holding', epoch: 5, history: 'h', beginning: '', leaseKnown: true, lease },
  ...{ leaseSeenMs: 100, leaseUnchangedMs: 1e9, leaseBeginsHistory: false, missing: undefined, peer: alive },
};
const empty: Observation = { ...inSync, incarnation: 'B/2', phase: 'empty', epoch: 0, history: '' };
const primary: Observation = { ...inSync, phase: 'primary', lease: { ...lease, holder: 'B/1' } };

const beginning: Lease = { ...lease, epoch: 6, holder: 'B/2', history: 'new', inSync: ['B/2'] };
const late = { ...lost, lostForMs: 2_000 };
const nobody: Observation = { ...empty, lease: undefined };
const idle: PeerStatus = { ...status, role: 'standby', complete: false };
const gone = { present: undefined };

const cases: readonly (readonly [string, Observation, RoleSettings, Decision['kind']])[] = [
  ['waits until the arbiter has answered', { ...inSync, leaseKnown: false }, settings, 'wait'],
  ['follows the holder', empty, settings, 'follow'],
  ['does not follow who is not the holder', { ...empty, lease: { ...lease, holder: 'A/0' } }, settings, 'wait'],
  ['waits for another decision at first', { ...inSync, peer: lost }, settings, 'wait'],
  ['promotes itself after that', { ...inSync, peer: { ...lost, lostForMs: 2_000 } }, settings, 'promote'],
  ['promotes itself at once without an arbiter', { ...inSync, peer: lost }, standalone, 'promote'],
  [
    'promotes itself at once when another incarnation lives there',
    { ...inSync, peer: { ...restarted, lost: false, lostForMs: 0 } },
    settings,
    'promote',
  ],
  [
    'does not trust what was said before the Lease was seen',
    { ...inSync, leaseSeenMs: 950, peer: { ...restarted, lost: false, lostForMs: 0 } },
    settings,
    'wait',
  ],
  ['is not promoted with part of a copy', { ...inSync, phase: 'copying', peer: lost }, standalone, 'follow'],
  [
    'is not promoted when the Lease does not name it',
    { ...inSync, lease: { ...lease, inSync: ['A/1'] }, peer: lost },
    standalone,
    'follow',
  ],
  ['leads when the Lease names it', { ...inSync, lease: { ...lease, epoch: 6, holder: 'B/1' } }, settings, 'lead'],
  [
    'does not lead with a state of another history',
    { ...inSync, lease: { ...lease, epoch: 6, holder: 'B/1', history: 'other' } },
    settings,
    'discard',
  ],
  [
    'leads with nothing only the history it began',
    { ...empty, beginning: 'new', lease: { ...lease, epoch: 6, holder: 'B/2', history: 'new', inSync: ['B/2'] } },
    settings,
    'lead',
  ],
  [
    'leads with nothing a history that another began with it',
    { ...empty, leaseBeginsHistory: true, lease: beginning },
    settings,
    'lead',
  ],
  ['does not lead with nothing a history that was there before', { ...empty, lease: beginning }, settings, 'discard'],
  [
    'throws away a state of an older epoch',
    { ...inSync, lease: { ...lease, epoch: 6, holder: 'A/2' } },
    settings,
    'discard',
  ],
  ['stays primary', primary, settings, 'wait'],
  ['steps down for a higher epoch', { ...primary, lease: { ...lease, epoch: 6 } }, settings, 'step-down'],
  ['steps down when the Lease names another', { ...primary, lease }, settings, 'step-down'],
  ['stays primary while there was no Lease yet', { ...primary, lease: undefined }, settings, 'wait'],
  ['makes a lost Lease again', { ...primary, missing: gone }, settings, 'restore'],
  [
    'goes on in the epoch that it wrote then',
    { ...primary, lease: { ...primary.lease, epoch: 6 } as Lease },
    settings,
    'renew',
  ],
  ['leaves a lost Lease to the primary', { ...inSync, missing: gone }, settings, 'follow'],
  ['makes it again in the place of a lost primary', { ...inSync, missing: gone, peer: late }, settings, 'restore'],
  [
    'does not begin anew where the Lease is still written',
    { ...empty, leaseUnchangedMs: 59_000, peer: { ...lost, lostForMs: 60_000 } },
    settings,
    'follow',
  ],
  [
    'begins anew when the Lease is lost too',
    { ...empty, missing: gone, peer: { ...late, lostForMs: 1e6 } },
    settings,
    'begin',
  ],
  [
    'begins as a backup when no primary comes',
    { ...nobody, peer: { ...unheard, lostForMs: 10_000 } },
    settings,
    'begin',
  ],
  ['leaves the primary time to begin', { ...nobody, peer: { ...unheard, lostForMs: 9_999 } }, settings, 'wait'],
  ['leaves the beginning to a primary that lives', { ...nobody, peer: { ...alive, status: idle } }, settings, 'wait'],
  [
    'begins beside another backup',
    { ...nobody, peer: { ...alive, status: { ...idle, mode: 'backup' } } },
    settings,
    'begin',
  ],
  [
    'begins anew when every in-sync incarnation is dead',
    { ...empty, peer: { ...restarted, lost: false, lostForMs: 0 } },
    settings,
    'begin',
  ],
  [
    'throws away a copy that nobody can complete',
    { ...inSync, lease: { ...lease, inSync: ['A/1'] }, peer: { ...restarted, lost: false, lostForMs: 0 } },
    settings,
    'discard',
  ],
  ['does not begin anew while one may live', { ...empty, peer: lost }, settings, 'follow'],
  [
    'begins anew when none was reachable for long',
    { ...empty, peer: { ...lost, lostForMs: 60_000 } },
    settings,
    'begin',
  ],
  [
    'without an arbiter only mode primary begins anew',
    { ...empty, peer: { ...restarted, lost: false, lostForMs: 0 } },
    standalone,
    'wait',
  ],
  [
    'a backup without a peer waits for ever',
    { ...empty, lease: undefined, peer: { ...unheard, lostForMs: 1e9 } },
    standalone,
    'wait',
  ],
  [
    'a starter asks its peer first',
    { ...empty, lease: undefined, peer: { ...unheard, lostForMs: 4_999 } },
    starter,
    'wait',
  ],
  [
    'a starter begins alone after its wait',
    { ...empty, lease: undefined, peer: { ...unheard, lostForMs: 5_000 } },
    starter,
    'begin',
  ],
  ['a peer that holds state wins over mode', { ...empty, lease: undefined, peer: alive }, starter, 'wait'],
  ['a starter begins beside an empty peer', { ...nobody, peer: { ...alive, status: idle } }, starter, 'begin'],
];

describe('decide', () => {
  it.each(cases)('%s', (_name, seen, given, kind) => {
    expect(decide(seen, given).kind).toBe(kind);
  });
});

describe('what is written', () => {
  it('promotes by one write on the version that was seen', () => {
    const next = { epoch: 6, history: 'h', holder: 'B/1', inSync: ['B/1'] };
    expect(promotionOf(lease, 'B/1')).toEqual({ kind: 'swap', expected: lease, next });
  });

  it('makes a lost Lease again above every epoch that was heard of', () => {
    const present = { ...lease, epoch: 3, token: 'old' };
    const seen = { ...inSync, missing: { present }, peer: { ...alive, status: { ...status, epoch: 8 } } };
    const next = { epoch: 9, history: 'h', holder: 'B/1', inSync: ['B/1'] };
    expect(restorationOf(seen, { present }, lease, 1_000)).toEqual({ kind: 'swap', expected: present, next });
    expect(restorationOf(seen, { present }, lease, 1_700_000_000_999)).toMatchObject({
      next: { epoch: 1_700_000_000 },
    });
  });

  it('begins above every epoch that was heard of, and not below the wall clock', () => {
    const heard = { ...empty, peer: { ...alive, status: { ...status, epoch: 77 } } };
    expect(beginningOf(heard, 'new', 1_000)).toMatchObject({ next: { epoch: 78, history: 'new', inSync: ['B/2'] } });
    expect(beginningOf(heard, 'new', 1_700_000_000_999)).toMatchObject({ next: { epoch: 1_700_000_000 } });
  });
});
