import { skipBody } from './ordered-queue.ts';
import type { Session } from './session.ts';
import type { ShardState } from './shard-state.ts';
import type { BeginImage, EndImage, ProducerImage, SessionImage, SnapshotImage } from './snapshot-images.ts';

/**
 * The state piece by piece, each true at the moment it is taken; commands may be applied in between (rule 10). What is
 * added meanwhile comes at the end of its part. Answers to pushes come before the sessions, so that a copy tells repeats
 * from the start; those given while sessions were missing come once more after them.
 */
export function* exportImages(state: ShardState, startIndex: number): Generator<SnapshotImage, void, void> {
  yield beginImage(state);
  yield* pushIds(state, 0);
  yield { kind: 'push-ids-done' };
  yield* producers(state, 0);
  yield { kind: 'pushes-done' };
  for (const session of state.sessions.values()) yield sessionImage(session);
  yield { kind: 'sessions-done', ordinal: state.ordinal };
  yield* pushIds(state, startIndex);
  yield* producers(state, startIndex);
  yield endImage(state);
}

function* pushIds(state: ShardState, sinceIndex: number): Generator<SnapshotImage, void, void> {
  for (const [pushId, record] of state.dedupe.ids) {
    if (record.index >= sinceIndex) yield { kind: 'push-id', pushId, ...record };
  }
}

function* producers(state: ShardState, sinceIndex: number): Generator<SnapshotImage, void, void> {
  for (const [producerId, producer] of state.dedupe.producers) {
    if (producer.lastIndex < sinceIndex) continue;
    const { highest, lastUsedMs, lastIndex, deadline } = producer;
    const answers = [...producer.answers].map(([number, answer]) => ({ number, answer }));
    const image: ProducerImage = {
      kind: 'producer',
      producerId,
      highest,
      lastUsedMs,
      lastIndex,
      endsAtMs: deadline?.atMs ?? 0,
      answers,
    };
    yield image;
  }
}

function beginImage(state: ShardState): BeginImage {
  const zones = [...state.zones.zones.values()].map(({ zoneId, uid, generation, fixed, leased }) => ({
    zoneId,
    uid,
    generation,
    fixed,
    leased: [...leased.values()].map(({ address, weight, instanceId, leaseMs, deadline }) => {
      return { address, weight, instanceId, leaseMs, endsAtMs: deadline?.atMs ?? 0 };
    }),
  }));
  return {
    kind: 'begin',
    timeMs: state.timeMs,
    epoch: state.epoch,
    history: state.history,
    historyEpoch: state.historyEpoch,
    limits: state.limits,
    keepPushIdsUntilMs: state.dedupe.keepUntilMs,
    zonesRevision: state.zones.revision,
    zones,
  };
}

function sessionImage(session: Session): SessionImage {
  return {
    kind: 'session',
    sessionId: session.sessionId,
    ordinal: session.ordinal,
    openid: session.openid,
    clientId: session.clientId,
    userIp: session.userIp,
    createTimeMs: session.createTimeMs,
    state: session.state,
    zoneId: session.zoneId,
    binding: session.binding,
    heldBinding: session.heldBinding,
    connection: session.connection ?? 0,
    connected: session.connected,
    resumeEndsAtMs: session.resumeDeadline?.atMs ?? 0,
    ackUpTo: session.ackUpTo,
    requests: session.requests.export(),
    open: [...(session.open?.values() ?? [])],
    returned: [...(session.returned ?? [])],
    endsKnownFrom: session.endsKnownFrom,
    epochEnds: [...session.epochEnds],
    entries: entryImages(session),
    held: heldImages(session),
    groups: [...(session.groups ?? [])],
  };
}

function entryImages(session: Session): SessionImage['entries'] {
  return [...session.queue.entries()].map(({ clientSeq, msgId, binding, logIndex, expiry, body }) => {
    const skip = body === skipBody;
    return {
      clientSeq,
      msgId,
      binding,
      logIndex,
      expiresAtMs: expiry?.atMs ?? 0,
      skip,
      body: skip ? new Uint8Array(0) : body,
    };
  });
}

function heldImages(session: Session): SessionImage['held'] {
  return (session.held ?? []).map(({ index, clientSeq, order, body, identity, expiresAtMs, deadline }) => {
    return { index, clientSeq, order, body, identity, expiresAtMs, dueAtMs: deadline?.atMs ?? 0 };
  });
}

function endImage(state: ShardState): EndImage {
  return { kind: 'end', hash: state.hash.value, ended: [...state.ended.entries()] };
}
