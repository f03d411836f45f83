import { ByteReader } from '../lib/byte-reader.ts';
import { ByteWriter } from '../lib/byte-writer.ts';
import {
  expectFormat,
  logFormat,
  pushOrders,
  readIdentity,
  readLimits,
  writeIdentity,
  writeLimits,
} from './field-codec.ts';
import { readAnswer, writeAnswer } from './push-answer-codec.ts';
import type { BeginImage, EntryImage, HeldImage, SessionImage, SnapshotImage, ZoneImage } from './snapshot-images.ts';

/** What a byte stands for: only ever append to these. */
const kinds = [
  'begin',
  'push-id',
  'push-ids-done',
  'producer',
  'pushes-done',
  'session',
  'sessions-done',
  'end',
  // A session as in format 1, and its groups.
  'session-in-groups',
] as const;
const sessionStates = ['inited', 'normal', 'closed'] as const satisfies readonly SessionImage['state'][];
const writer = new ByteWriter();

/**
 * Encodes the next images of a snapshot as one chunk.
 * @param more asked after each image; false ends the chunk.
 * @returns the bytes, and whether the snapshot ended with them.
 */
export function encodeImages(
  images: Iterator<SnapshotImage>,
  bytesMax: number,
  more: () => boolean,
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly done: boolean } {
  let format: number = logFormat.oldest;
  writer.byte(format);
  const end = (done: boolean) => {
    const bytes = writer.take();
    bytes[0] = format;
    return { bytes, done };
  };
  for (;;) {
    const next = images.next();
    if (next.done === true) return end(true);
    const kind = kindOf(next.value);
    if (kind === 'session-in-groups') format = logFormat.groups;
    writer.byte(kinds.indexOf(kind));
    writeImage(next.value);
    if (writer.length >= bytesMax || !more()) return end(false);
  }
}

function kindOf(image: SnapshotImage): (typeof kinds)[number] {
  return image.kind === 'session' && image.groups.length > 0 ? 'session-in-groups' : image.kind;
}

/** @throws CorruptBytesError when the bytes are not images in a format this release reads. */
export function decodeImages(bytes: Uint8Array): SnapshotImage[] {
  const reader = new ByteReader(bytes);
  expectFormat(reader);
  const images: SnapshotImage[] = [];
  while (reader.remaining > 0) images.push(readImage(reader));
  return images;
}

function writeImage(image: SnapshotImage): void {
  switch (image.kind) {
    case 'begin':
      return writeBegin(image);
    case 'push-id':
      writer.text(image.pushId);
      writeAnswer(writer, image.answer);
      writer.uint(image.expiresAtMs);
      return writer.uint(image.index);
    case 'producer':
      writer.text(image.producerId);
      for (const n of [image.highest, image.lastUsedMs, image.lastIndex, image.endsAtMs]) writer.uint(n);
      return writer.list(image.answers, ({ number, answer }) => {
        writer.uint(number);
        writeAnswer(writer, answer);
      });
    case 'push-ids-done':
    case 'pushes-done':
      return;
    case 'session':
      return writeSession(image);
    case 'sessions-done':
      return writer.uint(image.ordinal);
    case 'end':
      writer.uint(image.hash);
      return writer.list(image.ended, ({ sessionId, code }) => {
        writer.text(sessionId);
        writer.uint(code);
      });
  }
}

function readImage(reader: ByteReader): SnapshotImage {
  const kind = reader.oneOf(kinds);
  switch (kind) {
    case 'begin':
      return readBegin(reader);
    case 'push-id': {
      const pushId = reader.text();
      return { kind, pushId, answer: readAnswer(reader), expiresAtMs: reader.uint(), index: reader.uint() };
    }
    case 'producer': {
      const producerId = reader.text();
      const numbers = { highest: reader.uint(), lastUsedMs: reader.uint(), lastIndex: reader.uint() };
      const endsAtMs = reader.uint();
      const answers = reader.list(() => ({ number: reader.uint(), answer: readAnswer(reader) }));
      return { kind, producerId, ...numbers, endsAtMs, answers };
    }
    case 'push-ids-done':
    case 'pushes-done':
      return { kind };
    case 'session':
      return readSession(reader);
    case 'session-in-groups':
      return { ...readSession(reader), groups: reader.list(() => reader.text()) };
    case 'sessions-done':
      return { kind, ordinal: reader.uint() };
    case 'end': {
      const hash = reader.uint();
      return { kind, hash, ended: reader.list(() => ({ sessionId: reader.text(), code: reader.uint() })) };
    }
  }
}

function writeBegin(image: BeginImage): void {
  writer.uint(image.timeMs);
  writer.uint(image.epoch);
  writer.text(image.history);
  writer.uint(image.historyEpoch);
  writeLimits(writer, image.limits);
  writer.uint(image.keepPushIdsUntilMs);
  writer.uint(image.zonesRevision);
  writer.list(image.zones, (zone) => {
    writer.text(zone.zoneId);
    writer.text(zone.uid);
    writer.uint(zone.generation);
    writer.list(zone.fixed, writeEndpoint);
    writer.list(zone.leased, (endpoint) => {
      writeEndpoint(endpoint);
      writer.uint(endpoint.leaseMs);
      writer.uint(endpoint.endsAtMs);
    });
  });
}

function readBegin(reader: ByteReader): BeginImage {
  const timeMs = reader.uint();
  const epoch = reader.uint();
  const history = reader.text();
  const historyEpoch = reader.uint();
  const limits = readLimits(reader);
  const keepPushIdsUntilMs = reader.uint();
  const zonesRevision = reader.uint();
  const zones = reader.list(() => ({
    zoneId: reader.text(),
    uid: reader.text(),
    generation: reader.uint(),
    fixed: reader.list(() => readEndpoint(reader)),
    leased: reader.list(() => ({ ...readEndpoint(reader), leaseMs: reader.uint(), endsAtMs: reader.uint() })),
  }));
  return { kind: 'begin', timeMs, epoch, history, historyEpoch, limits, keepPushIdsUntilMs, zonesRevision, zones };
}

function writeEndpoint(endpoint: ZoneImage['fixed'][number]): void {
  writer.text(endpoint.address);
  writer.uint(endpoint.weight);
  writer.text(endpoint.instanceId);
}

function readEndpoint(reader: ByteReader): ZoneImage['fixed'][number] {
  return { address: reader.text(), weight: reader.uint(), instanceId: reader.text() };
}

function writeSession(image: SessionImage): void {
  for (const text of [image.sessionId, image.openid, image.clientId, image.userIp, image.zoneId]) writer.text(text);
  const { ordinal, createTimeMs, binding, heldBinding, connection, resumeEndsAtMs, ackUpTo, endsKnownFrom } = image;
  const numbers = [ordinal, createTimeMs, binding, heldBinding, connection, resumeEndsAtMs, ackUpTo, endsKnownFrom];
  for (const number of numbers) writer.uint(number);
  writer.byte(sessionStates.indexOf(image.state));
  writer.boolean(image.connected);
  writer.uint(image.requests.max);
  writer.boolean(image.requests.maxAnswered);
  writer.uint(image.requests.low);
  writer.uint(image.requests.high);
  writer.list(image.open, (request) => {
    writer.uint(request.clientSeq);
    writer.uint(request.msgId);
    writer.uint(request.binding);
  });
  writer.list(image.returned, (number) => writer.uint(number));
  writer.list(image.epochEnds, ({ epoch, endSeqId }) => {
    writer.uint(epoch);
    writer.uint(endSeqId);
  });
  writer.list(image.entries, writeEntry);
  writer.list(image.held, writeHeld);
  if (image.groups.length > 0) writer.list(image.groups, (group) => writer.text(group));
}

function readSession(reader: ByteReader): SessionImage {
  const sessionId = reader.text();
  const openid = reader.text();
  const clientId = reader.text();
  const userIp = reader.text();
  const zoneId = reader.text();
  const ordinal = reader.uint();
  const createTimeMs = reader.uint();
  const bindings = { binding: reader.uint(), heldBinding: reader.uint(), connection: reader.uint() };
  const resumeEndsAtMs = reader.uint();
  const ackUpTo = reader.uint();
  const endsKnownFrom = reader.uint();
  const state = reader.oneOf(sessionStates);
  const connected = reader.boolean();
  const requests = { max: reader.uint(), maxAnswered: reader.boolean(), low: reader.uint(), high: reader.uint() };
  const names = { sessionId, openid, clientId, userIp, zoneId, ordinal, createTimeMs, state, connected };
  const open = reader.list(() => ({ clientSeq: reader.uint(), msgId: reader.uint(), binding: reader.uint() }));
  const returned = reader.list(() => reader.uint());
  const epochEnds = reader.list(() => ({ epoch: reader.uint(), endSeqId: reader.uint() }));
  const entries = reader.list(() => readEntry(reader));
  const held = reader.list(() => readHeld(reader));
  const lists = { open, returned, epochEnds, entries, held, groups: [] };
  return { kind: 'session', ...names, ...bindings, resumeEndsAtMs, ackUpTo, endsKnownFrom, requests, ...lists };
}

function writeEntry(entry: EntryImage): void {
  for (const n of [entry.clientSeq, entry.msgId, entry.binding, entry.logIndex, entry.expiresAtMs]) writer.uint(n);
  writer.boolean(entry.skip);
  writer.bytes(entry.body);
}

function readEntry(reader: ByteReader): EntryImage {
  return {
    clientSeq: reader.uint(),
    msgId: reader.uint(),
    binding: reader.uint(),
    logIndex: reader.uint(),
    expiresAtMs: reader.uint(),
    skip: reader.boolean(),
    body: reader.bytes(),
  };
}

function writeHeld(held: HeldImage): void {
  writer.uint(held.index);
  writer.uint(held.clientSeq);
  writer.byte(pushOrders.indexOf(held.order));
  writer.bytes(held.body);
  writeIdentity(writer, held.identity);
  writer.uint(held.expiresAtMs);
  writer.uint(held.dueAtMs);
}

function readHeld(reader: ByteReader): HeldImage {
  const index = reader.uint();
  const clientSeq = reader.uint();
  const order = reader.oneOf(pushOrders);
  if (order === 'immediate') throw reader.corrupt('before or after');
  const body = reader.bytes();
  const identity = readIdentity(reader);
  return { index, clientSeq, order, body, identity, expiresAtMs: reader.uint(), dueAtMs: reader.uint() };
}
