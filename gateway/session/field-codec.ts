import { type ByteReader, CorruptBytesError } from '../lib/byte-reader.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import type { PushIdentity, PushOrderKind, SecondLogin, ShardLimits } from './command.ts';

/**
 * The newest format of commands and images, and the oldest that is still read and written (rule 9). Format 2 adds groups;
 * what needs none of it is written as format 1, which a peer of the release before reads.
 */
export const logFormat = { newest: 2, groups: 2, oldest: 1 } as const;

/** @throws CorruptBytesError for a format this release does not read. */
export function expectFormat(reader: ByteReader): void {
  const format = reader.byte();
  if (format >= logFormat.oldest && format <= logFormat.newest) return;
  throw new CorruptBytesError(`log format ${format}: expected ${logFormat.oldest} to ${logFormat.newest}`);
}

/** Fields that commands and snapshot images share. Lists name what a byte stands for: only ever append to them. */
export const pushOrders: readonly PushOrderKind[] = ['immediate', 'before', 'after'];
export const secondLogins: readonly SecondLogin[] = ['resume', 'replace', 'refuse'];
const identityKinds: readonly PushIdentity['kind'][] = ['none', 'id', 'producer'];

const noIdentity: PushIdentity = { kind: 'none' };

export function writeIdentity(writer: ByteWriter, identity: PushIdentity): void {
  writer.byte(identityKinds.indexOf(identity.kind));
  if (identity.kind === 'id') writer.text(identity.pushId);
  else if (identity.kind === 'producer') {
    writer.text(identity.producerId);
    writer.uint(identity.number);
  }
}

export function readIdentity(reader: ByteReader): PushIdentity {
  const kind = reader.oneOf(identityKinds);
  if (kind === 'none') return noIdentity;
  if (kind === 'id') return { kind, pushId: reader.text() };
  return { kind, producerId: reader.text(), number: reader.uint() };
}

const limitNames = [
  'sessionsMax',
  'queueMessagesMax',
  'queueBytesMax',
  'totalQueueBytesMax',
  'openRequestsMax',
  'resumeWindowMs',
  'bindWaitMs',
  'pushDedupeHorizonMs',
  'pushDedupeEntriesMax',
  'producersMax',
] as const satisfies readonly (keyof ShardLimits)[];

export function writeLimits(writer: ByteWriter, limits: ShardLimits): void {
  for (const name of limitNames) writer.uint(limits[name]);
}

export function readLimits(reader: ByteReader): ShardLimits {
  const [sessionsMax, queueMessagesMax, queueBytesMax, totalQueueBytesMax] = fourUints(reader);
  const [openRequestsMax, resumeWindowMs, bindWaitMs, pushDedupeHorizonMs] = fourUints(reader);
  return {
    sessionsMax,
    queueMessagesMax,
    queueBytesMax,
    totalQueueBytesMax,
    openRequestsMax,
    resumeWindowMs,
    bindWaitMs,
    pushDedupeHorizonMs,
    pushDedupeEntriesMax: reader.uint(),
    producersMax: reader.uint(),
  };
}

function fourUints(reader: ByteReader): [number, number, number, number] {
  return [reader.uint(), reader.uint(), reader.uint(), reader.uint()];
}
