import { skipBody } from './ordered-queue.ts';
import { Session } from './session.ts';
import { deadlineKind, type ShardState } from './shard-state.ts';
import type {
  BeginImage,
  EndImage,
  EntryImage,
  HeldImage,
  ProducerImage,
  SessionImage,
  SnapshotImage,
} from './snapshot-images.ts';
import { leaseKey } from './zones.ts';

/** Takes one image into a state that began empty; commands that come between images are applied as usual. */
export function importImage(state: ShardState, image: SnapshotImage): void {
  switch (image.kind) {
    case 'begin':
      return importBegin(state, image);
    case 'push-id': {
      const { answer, expiresAtMs, index } = image;
      state.dedupe.ids.set(image.pushId, { answer, expiresAtMs, index });
      return;
    }
    case 'push-ids-done':
      state.importing = 'producers';
      return;
    case 'producer':
      return importProducer(state, image);
    case 'pushes-done':
      state.importing = 'sessions';
      return;
    case 'session':
      return importSession(state, image);
    case 'sessions-done':
      state.importing = 'rest';
      state.ordinal = image.ordinal;
      return;
    case 'end':
      return importEnd(state, image);
  }
}

function importBegin(state: ShardState, image: BeginImage): void {
  state.importing = 'push-ids';
  state.timeMs = image.timeMs;
  state.epoch = image.epoch;
  state.history = image.history;
  state.historyEpoch = image.historyEpoch;
  state.limits = image.limits;
  state.dedupe.keepUntilMs = image.keepPushIdsUntilMs;
  state.zones.revision = image.zonesRevision;
  for (const { zoneId, uid, generation, fixed, leased } of image.zones) {
    const zone = { zoneId, uid, generation, fixed, leased: new Map() };
    state.zones.zones.set(zoneId, zone);
    for (const { address, weight, instanceId, leaseMs, endsAtMs } of leased) {
      const deadline = state.deadlines.add(endsAtMs, deadlineKind.zoneLease, leaseKey(zoneId, address), 0);
      zone.leased.set(address, { address, weight, instanceId, leaseMs, deadline });
    }
  }
}

function importProducer(state: ShardState, image: ProducerImage): void {
  const { producerId, highest, lastUsedMs, lastIndex, endsAtMs } = image;
  state.deadlines.cancel(state.dedupe.producers.get(producerId)?.deadline);
  const deadline = state.deadlines.add(endsAtMs, deadlineKind.producer, producerId, 0);
  const answers = new Map(image.answers.map(({ number, answer }) => [number, answer]));
  state.dedupe.producers.set(producerId, { highest, lastUsedMs, lastIndex, deadline, answers });
}

function importSession(state: ShardState, image: SessionImage): void {
  const { sessionId, ordinal, openid, createTimeMs } = image;
  const session = new Session({ sessionId, ordinal, openid, createTimeMs, createdEpoch: image.endsKnownFrom });
  session.clientId = image.clientId;
  session.userIp = image.userIp;
  session.state = image.state;
  session.zoneId = image.zoneId;
  session.binding = image.binding;
  session.heldBinding = image.heldBinding;
  session.connection = image.connected ? image.connection : undefined;
  if (!image.connected) session.resumeDeadline = state.resumeDeadline(session, image.resumeEndsAtMs);
  session.requests.import(image.requests);
  if (image.open.length > 0) session.open = new Map(image.open.map((request) => [request.clientSeq, request]));
  if (image.returned.length > 0) session.returned = new Set(image.returned);
  session.epochEnds = [...image.epochEnds];
  session.queue.beginAt(image.ackUpTo);
  for (const entry of image.entries) importEntry(state, session, entry);
  for (const push of image.held) importHeld(state, session, push);
  state.addSession(session);
  for (const group of image.groups) state.groups.add(group, session);
}

function importEntry(state: ShardState, session: Session, image: EntryImage): void {
  const entry = session.queue.append(image, image.skip ? skipBody : image.body, image.logIndex);
  if (image.expiresAtMs === 0) return;
  entry.expiry = state.deadlines.add(image.expiresAtMs, deadlineKind.entryExpiry, session.sessionId, entry.seqId);
}

function importHeld(state: ShardState, session: Session, image: HeldImage): void {
  const { index, clientSeq, order, body, identity, expiresAtMs, dueAtMs } = image;
  const deadline = state.deadlines.add(dueAtMs, deadlineKind.heldPush, session.sessionId, index);
  session.held ??= [];
  session.held.push({ index, clientSeq, order, body, identity, expiresAtMs, deadline });
  session.heldBytes += body.length;
}

function importEnd(state: ShardState, image: EndImage): void {
  state.importing = undefined;
  state.hash.value = image.hash;
  state.ended.clear();
  for (const { sessionId, code } of image.ended) state.ended.add(sessionId, code);
}
