import type {
  LeaseView,
  LinkView,
  MemberName,
  MemberView,
  PairSettings,
  PairView,
  PodView,
  StatefulSetView,
} from '../pair-view.ts';

/** Views of a pair for tests: a healthy one, and what differs from it. */

export const nowMs = 1_000_000;

const healthyLink: LinkView = {
  state: 'connected',
  sinceMs: nowMs - 500_000,
  lastBeatMs: nowMs - 50,
  incarnation: '',
  role: 'backup',
  epoch: 7,
  history: 'h1',
  inSync: [],
  ready: true,
  draining: false,
  peerLost: false,
  blocked: '',
  holdsState: true,
  tookLeave: false,
};

const healthyPod: PodView = {
  uid: '',
  ip: '',
  nodeName: 'n1',
  phase: 'Running',
  ready: true,
  deleting: false,
  deletedByForce: false,
  role: 'backup',
  templateHash: 't1',
  fenced: false,
  trouble: '',
  note: '',
  seenMs: nowMs - 500_000,
};

const healthySet: StatefulSetView = { templateHash: 't1', rejectedHash: '', lastGoodHash: 't1', deleting: false };

export interface MemberChanges {
  readonly link?: Partial<LinkView>;
  readonly pod?: Partial<PodView> | 'gone';
  readonly node?: { readonly reachable?: boolean; readonly leaving?: string };
  readonly statefulSet?: Partial<StatefulSetView>;
}

function memberOf(name: MemberName, changes: MemberChanges): MemberView {
  const podName = `chat-p0-${name}-0`;
  const own = {
    uid: `uid-${name}`,
    ip: name === 'a' ? '10.0.0.1' : '10.0.0.2',
    role: name === 'a' ? 'primary' : 'backup',
  };
  const role = name === 'a' ? 'primary' : 'backup';
  const inSync = [incarnationOf('a'), incarnationOf('b')];
  return {
    name,
    podName,
    pod: changes.pod === 'gone' ? undefined : { ...healthyPod, ...own, ...changes.pod },
    node: { zone: '', reachable: true, leaving: '', ...changes.node },
    link: { ...healthyLink, incarnation: incarnationOf(name), role, inSync, ...changes.link },
    statefulSet: { ...healthySet, ...changes.statefulSet },
  };
}

export function incarnationOf(name: MemberName, id = '1'): string {
  return `chat-p0-${name}-0/${id}`;
}

const settings: PairSettings = {
  delayMs: 0,
  cooldownMs: 60_000,
  resetAfterMs: 120_000,
  switchoverDeadlineMs: 10_000,
  progressDeadlineMs: 300_000,
  onDelete: false,
  paused: false,
  fenced: false,
  requestedPrimary: '',
};

export interface PairChanges {
  readonly a?: MemberChanges;
  readonly b?: MemberChanges;
  /** null: there is none. */
  readonly lease?: Partial<LeaseView> | null;
  readonly settings?: Partial<PairSettings>;
  readonly view?: Partial<PairView>;
}

/** A pair of which `a` is primary, in-sync with `b`, but for the changes. */
export function pairView(changes: PairChanges = {}): PairView {
  const lease: LeaseView = {
    resourceVersion: '100',
    epoch: 7,
    history: 'h1',
    holder: incarnationOf('a'),
    inSync: [incarnationOf('a'), incarnationOf('b')],
    seenMs: nowMs - 400_000,
  };
  return {
    nowMs,
    wallMs: 1_800_000_000_000,
    watchedSinceMs: 0,
    leader: true,
    shard: 'chat-p0',
    lease: changes.lease === null ? undefined : { ...lease, ...changes.lease },
    leaseVersion: changes.lease === null ? undefined : '100',
    leaseMissingSinceMs: nowMs,
    inSyncHeardMs: nowMs - 50,
    members: { a: memberOf('a', changes.a ?? {}), b: memberOf('b', changes.b ?? {}) },
    status: { currentPrimary: 'chat-p0-a-0', targetPrimary: 'chat-p0-a-0', epoch: 7 },
    projectedEpoch: 7,
    lastFailoverMs: undefined,
    lastFailoverWallMs: 0,
    switchover: undefined,
    switchoverNotBeforeMs: 0,
    settings: { ...settings, ...changes.settings },
    desiredHash: 't1',
    mayUpdate: true,
    surplus: false,
    ...changes.view,
  };
}
