import type { GateSvr } from './api/gatesvr.ts';
import { namesOf, namespaceOf } from './desired/names.ts';
import type { FailoverTimes } from './failover-metrics.ts';
import type { GatewayPeer } from './gateway-link/gateway-peer.ts';
import type { GatewayPeers } from './gateway-peers.ts';
import { isOwnedBy, type Lease, type Node, type Pod, type StatefulSet } from './kube-objects.ts';
import { readLease } from './lease-content.ts';
import type { Clock } from './lib/clock.ts';
import { linkView } from './observe-link.ts';
import { nodeView, podView } from './observe-pod.ts';
import { pairSettings } from './pair-settings.ts';
import { type LeaseView, type MemberName, type MemberView, memberNames, type PairView } from './pair-view.ts';
import { endpointSlices, leases, nodes, pods, statefulSets } from './resources.ts';
import { statefulSetView } from './stateful-set.ts';
import type { Templates } from './templates.ts';
import type { WrittenObjects } from './written-objects.ts';

/** On EndpointSlices: the epoch that they were written for. An operator that is behind does not lead clients back. */
export const projectedEpochKey = 'gatesvr.io/epoch';

/** What one operator process remembers of a pair; none of it is needed for safety, and a new process begins without. */
export interface PairMemory {
  readonly watchedSinceMs: number;
  /** What the Lease named, and since when. */
  leaseNamed: string;
  leaseSeenMs: number;
  leaseMissingSinceMs: number | undefined;
  inSyncHeardMs: number;
  podSeen: { uid: string; seenMs: number }[];
  lastFailoverMs: number | undefined;
  /** The failover that this process has made and not yet seen through. */
  failover: { readonly epoch: number; readonly times: FailoverTimes } | undefined;
  /** Highest epoch that this process wrote into the Lease. */
  swappedEpoch: number;
  /** When this process wrote the pair's status last, and when it is to look at it again; 0: not because of that. */
  statusWrittenMs: number;
  statusDueMs: number;
  /** The switchover that was asked for and has not been answered. */
  switchover: { readonly successor: string; readonly sinceMs: number } | undefined;
  switchoverNotBeforeMs: number;
  switchoverFailures: number;
}

export interface PairObserverOptions {
  readonly objects: WrittenObjects;
  readonly peers: GatewayPeers;
  readonly clock: Clock;
  readonly templates: Templates;
  readonly isLeader: () => boolean;
}

/** A pair as it is, and the objects that the view was made from. */
export interface ObservedPair {
  readonly gateSvr: GateSvr;
  readonly index: number;
  readonly view: PairView;
  readonly lease: Lease | undefined;
  /** Something of a former GateSvr of this name is still there: nothing may be decided yet. */
  readonly leftover: string;
}

/** Makes the view of a pair from the reflected objects and the links, with a memory of when things were first seen. */
export class PairObserver {
  #options: PairObserverOptions;
  #memories = new Map<string, PairMemory>();

  constructor(options: PairObserverOptions) {
    this.#options = options;
  }

  memoryOf(gateSvr: GateSvr, index: number): PairMemory {
    const key = `${gateSvr.metadata.uid}/${index}`;
    const nowMs = this.#options.clock.nowMs();
    const memory = this.#memories.get(key) ?? {
      watchedSinceMs: nowMs,
      leaseNamed: '',
      leaseSeenMs: nowMs,
      leaseMissingSinceMs: undefined,
      inSyncHeardMs: nowMs,
      podSeen: [],
      lastFailoverMs: undefined,
      failover: undefined,
      swappedEpoch: 0,
      statusWrittenMs: Number.NEGATIVE_INFINITY,
      statusDueMs: 0,
      switchover: undefined,
      switchoverNotBeforeMs: 0,
      switchoverFailures: 0,
    };
    this.#memories.set(key, memory);
    return memory;
  }

  forget(gateSvrUid: string, index: number): void {
    this.#memories.delete(`${gateSvrUid}/${index}`);
  }

  /**
   * @param changed called when a link to one of the pods has news
   * @param mayUpdate whether it is this pair's turn
   */
  observe(gateSvr: GateSvr, index: number, changed: () => void, mayUpdate: boolean): ObservedPair {
    const { objects, clock, templates, isLeader } = this.#options;
    const memory = this.memoryOf(gateSvr, index);
    const [nowMs, namespace, shard] = [clock.nowMs(), namespaceOf(gateSvr), namesOf(gateSvr).pair(index)];
    const found = objects.get<Lease>(leases, namespace, shard);
    const foreign = found !== undefined && !isOwnedBy(found, gateSvr.metadata.uid ?? '');
    const lease = foreign ? undefined : found;
    const leaseView = this.#leaseView(lease, memory, nowMs);
    const member = (name: MemberName): MemberView =>
      this.#member(gateSvr, index, name, changed, leaseView !== undefined);
    const members = { a: member('a'), b: member('b') };
    this.#remember(memory, leaseView, members, nowMs);
    const status = gateSvr.status?.pairs?.find((pair) => pair.name === `p${index}`);
    const { lastPromotionReason, lastPromotionTime = '' } = status ?? {};
    const view: PairView = {
      nowMs,
      wallMs: clock.wallMs(),
      watchedSinceMs: memory.watchedSinceMs,
      leader: isLeader(),
      shard,
      lease: leaseView,
      leaseVersion: lease?.metadata.resourceVersion,
      leaseMissingSinceMs: memory.leaseMissingSinceMs ?? nowMs,
      inSyncHeardMs: memory.inSyncHeardMs,
      members,
      status: {
        currentPrimary: status?.currentPrimary ?? '',
        targetPrimary: status?.targetPrimary ?? '',
        epoch: status?.epoch ?? 0,
      },
      projectedEpoch: this.#projectedEpoch(namespace, shard),
      lastFailoverMs: memory.lastFailoverMs,
      lastFailoverWallMs: lastPromotionReason === 'Failover' ? Date.parse(lastPromotionTime) || 0 : 0,
      switchover: memory.switchover,
      switchoverNotBeforeMs: memory.switchoverNotBeforeMs,
      settings: pairSettings(
        gateSvr,
        memberNames.map((name) => members[name].podName),
      ),
      desiredHash: templates.of(gateSvr).hash,
      mayUpdate,
      surplus: index >= gateSvr.spec.pairs,
    };
    const leftover = foreign ? `Lease ${shard} belongs to a GateSvr of this name that was deleted` : '';
    return { gateSvr, index, view, lease, leftover };
  }

  peerOf(namespace: string, podName: string): GatewayPeer | undefined {
    return this.#options.peers.find(namespace, podName);
  }

  /** Ends the links to the pair's pods. */
  disconnect(gateSvr: GateSvr, index: number): void {
    for (const name of memberNames) {
      this.#options.peers.close(namespaceOf(gateSvr), namesOf(gateSvr).pod(index, name));
    }
  }

  #projectedEpoch(namespace: string, shard: string): number {
    const { objects } = this.#options;
    const epochs = ['quic', 'quic-v6'].map((suffix) => {
      const slice = objects.get(endpointSlices, namespace, `${shard}-${suffix}`);
      return Number(slice?.metadata.annotations?.[projectedEpochKey] ?? 0);
    });
    return Math.max(...epochs);
  }

  #leaseView(lease: Lease | undefined, memory: PairMemory, nowMs: number): LeaseView | undefined {
    const content = lease === undefined ? undefined : readLease(lease);
    const named = content === undefined ? '' : [content.holder, ...content.inSync].join(',');
    if (named !== memory.leaseNamed) memory.leaseSeenMs = nowMs;
    memory.leaseNamed = named;
    if (content === undefined) memory.leaseMissingSinceMs ??= nowMs;
    else memory.leaseMissingSinceMs = undefined;
    return content === undefined ? undefined : { ...content, seenMs: memory.leaseSeenMs };
  }

  #remember(
    memory: PairMemory,
    lease: LeaseView | undefined,
    members: Readonly<Record<MemberName, MemberView>>,
    nowMs: number,
  ): void {
    for (const name of memberNames) {
      const { link } = members[name];
      if (lease === undefined || !lease.inSync.includes(link.incarnation)) continue;
      const heardMs = link.state === 'connected' ? nowMs : link.lastBeatMs;
      memory.inSyncHeardMs = Math.max(memory.inSyncHeardMs, heardMs);
    }
    const uids = memberNames.map((name) => members[name].pod?.uid);
    memory.podSeen = memory.podSeen.filter(({ uid }) => uids.includes(uid));
  }

  #member(gateSvr: GateSvr, index: number, name: MemberName, changed: () => void, held: boolean): MemberView {
    const { objects, peers } = this.#options;
    const namespace = namespaceOf(gateSvr);
    const names = namesOf(gateSvr);
    const podName = names.pod(index, name);
    const foundSet = objects.get<StatefulSet>(statefulSets, namespace, names.statefulSet(index, name));
    const set = foundSet !== undefined && isOwnedBy(foundSet, gateSvr.metadata.uid ?? '') ? foundSet : undefined;
    const found = objects.get<Pod>(pods, namespace, podName);
    // Without a Lease a pod of another StatefulSet than today's is of a GateSvr that is no more.
    const pod = found !== undefined && (held || isOwnedBy(found, set?.metadata.uid ?? '')) ? found : undefined;
    const memory = this.memoryOf(gateSvr, index);
    const view = pod === undefined ? undefined : podView(pod, this.#seenMs(memory, pod.metadata.uid ?? ''));
    const reachable = view !== undefined && view.ip !== '' && view.uid !== '';
    if (reachable) peers.ensure(gateSvr, index, name, view, changed);
    const nodeName = view?.nodeName ?? '';
    const node = nodeName === '' || !objects.watched(nodes) ? undefined : objects.get<Node>(nodes, '', nodeName);
    const nodeKnown = nodeName !== '' && objects.synced([nodes]);
    const peer = pod === undefined && !held ? undefined : peers.find(namespace, podName);
    return {
      name,
      podName,
      pod: view,
      node: nodeKnown ? nodeView(nodeName, node) : undefined,
      link: linkView(peer, view?.uid, names.pair(index), this.#options.clock.nowMs()),
      statefulSet: set === undefined ? undefined : statefulSetView(set),
    };
  }

  #seenMs(memory: PairMemory, uid: string): number {
    const seen = memory.podSeen.find((each) => each.uid === uid);
    if (seen !== undefined) return seen.seenMs;
    const seenMs = this.#options.clock.nowMs();
    memory.podSeen.push({ uid, seenMs });
    return seenMs;
  }
}
