import type { ByteReader } from '../lib/byte-reader.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import type { BroadcastCommand, ChangeGroupCommand, PushGroupCommand } from './command.ts';
import { readIdentity, writeIdentity } from './field-codec.ts';

export function writeBroadcast(writer: ByteWriter, command: BroadcastCommand): void {
  writeIdentity(writer, command.identity);
  writer.bytes(command.body);
  writer.uint(command.ttlMs);
  writer.list(command.zoneIds, (zoneId) => writer.text(zoneId));
  writer.list(command.openids, (openid) => writer.text(openid));
}

export function readBroadcast(reader: ByteReader): BroadcastCommand {
  return {
    kind: 'broadcast',
    identity: readIdentity(reader),
    body: reader.bytes(),
    ttlMs: reader.uint(),
    zoneIds: reader.list(() => reader.text()),
    openids: reader.list(() => reader.text()),
  };
}

export function writeChange(writer: ByteWriter, command: ChangeGroupCommand): void {
  writer.text(command.group);
  writer.list(command.openids, (openid) => writer.text(openid));
  writer.list(command.sessionIds, (sessionId) => writer.text(sessionId));
}

export function readChange(reader: ByteReader, kind: ChangeGroupCommand['kind']): ChangeGroupCommand {
  const group = reader.text();
  const openids = reader.list(() => reader.text());
  return { kind, group, openids, sessionIds: reader.list(() => reader.text()) };
}

export function writePushGroup(writer: ByteWriter, command: PushGroupCommand): void {
  writeIdentity(writer, command.identity);
  writer.bytes(command.body);
  writer.uint(command.ttlMs);
  writer.text(command.group);
}

export function readPushGroup(reader: ByteReader): PushGroupCommand {
  const identity = readIdentity(reader);
  const body = reader.bytes();
  return { kind: 'push-group', identity, body, ttlMs: reader.uint(), group: reader.text() };
}
