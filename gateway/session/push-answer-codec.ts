import type { ByteReader } from '../lib/byte-reader.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import type { PushAnswer } from './push-dedupe.ts';

/** What a byte stands for: only ever append. */
const statuses = [
  'ok',
  'not-primary',
  'no-session',
  'queue-full',
  'too-large',
  'overloaded',
  'invalid',
  'expired',
  'unknown',
] as const satisfies readonly PushAnswer['status'][];

export function writeAnswer(writer: ByteWriter, answer: PushAnswer): void {
  writer.boolean(answer.kind === 'broadcast');
  writer.byte(statuses.indexOf(answer.status));
  writer.boolean(answer.repeated);
  if (answer.kind === 'broadcast') {
    writer.uint(answer.matched);
    return writer.uint(answer.accepted);
  }
  writer.text(answer.sessionId);
  writer.uint(answer.seqId);
  writer.uint(answer.heldIndex ?? 0);
}

export function readAnswer(reader: ByteReader): PushAnswer {
  const isBroadcast = reader.boolean();
  const status = reader.oneOf(statuses);
  const repeated = reader.boolean();
  if (isBroadcast) return { kind: 'broadcast', status, repeated, matched: reader.uint(), accepted: reader.uint() };
  const sessionId = reader.text();
  const seqId = reader.uint();
  const heldIndex = reader.uint();
  return { kind: 'push', status, sessionId, seqId, repeated, ...(heldIndex === 0 ? {} : { heldIndex }) };
}
