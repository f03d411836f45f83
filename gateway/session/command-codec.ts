import { ByteReader } from '../lib/byte-reader.ts';
import { ByteWriter } from '../lib/byte-writer.ts';
import {
  readBroadcast,
  readChange,
  readPushGroup,
  writeBroadcast,
  writeChange,
  writePushGroup,
} from './broadcast-codec.ts';
import type { Command, PushCommand, StartCommand } from './command.ts';
import {
  expectFormat,
  logFormat,
  pushOrders,
  readIdentity,
  readLimits,
  secondLogins,
  writeIdentity,
  writeLimits,
} from './field-codec.ts';
import { readZones, writeZones } from './zone-codec.ts';

/** What a command's first byte stands for: only ever append. */
const kinds = [
  'tick',
  'configure',
  'start',
  'confirm',
  'detach',
  'admit',
  'withdraw',
  'answer',
  'push',
  'broadcast',
  'ack',
  'close',
  'promote',
  'register-zone',
  'unregister-zone',
  'set-zones',
  'join-group',
  'leave-group',
  'push-group',
] as const satisfies readonly Command['kind'][];
const kindBytes = new Map<string, number>(kinds.map((kind, byte) => [kind, byte]));

const writer = new ByteWriter();

/**
 * Encodes a batch of commands, compactly and always the same way.
 * @throws RangeError when a number in a command is not a whole number from 0: it would not mean the same on a backup.
 */
export function encodeCommands(commands: readonly Command[]): Uint8Array<ArrayBuffer> {
  try {
    writer.byte(commands.some(needsGroups) ? logFormat.groups : logFormat.oldest);
    writer.uint(commands.length);
    for (const command of commands) {
      writer.byte(kindBytes.get(command.kind) ?? 0);
      writeCommand(command);
    }
    return writer.take();
  } catch (error) {
    writer.take();
    throw error;
  }
}

function needsGroups({ kind }: Command): boolean {
  return kind === 'join-group' || kind === 'leave-group' || kind === 'push-group';
}

/** @throws CorruptBytesError when the bytes are not a batch in a format this release reads. */
export function decodeCommands(bytes: Uint8Array): Command[] {
  const reader = new ByteReader(bytes);
  expectFormat(reader);
  const commands = reader.list(() => readCommand(reader));
  reader.end();
  return commands;
}

function writeCommand(command: Command): void {
  switch (command.kind) {
    case 'tick':
      return writer.uint(command.timeMs);
    case 'start':
      return writeStart(command);
    case 'confirm':
    case 'detach':
      writer.text(command.sessionId);
      return writer.uint(command.binding);
    case 'admit':
      writer.text(command.sessionId);
      writer.uint(command.binding);
      writer.uint(command.clientSeq);
      return writer.uint(command.msgId);
    case 'withdraw':
      writer.text(command.sessionId);
      return writer.uint(command.clientSeq);
    case 'answer':
      writer.text(command.sessionId);
      writer.uint(command.clientSeq);
      writer.bytes(command.body);
      writer.bytes(command.overflowBody);
      writer.boolean(command.zoneId !== undefined);
      if (command.zoneId !== undefined) writer.text(command.zoneId);
      return;
    case 'push':
      return writePush(command);
    case 'ack':
      writer.text(command.sessionId);
      return writer.uint(command.upTo);
    default:
      return writeRareCommand(command);
  }
}

type RareKind =
  | 'configure'
  | 'broadcast'
  | 'close'
  | 'promote'
  | 'register-zone'
  | 'unregister-zone'
  | 'set-zones'
  | 'join-group'
  | 'leave-group'
  | 'push-group';
type RareCommand = Extract<Command, { kind: RareKind }>;

function writeRareCommand(command: RareCommand): void {
  switch (command.kind) {
    case 'configure':
      return writeLimits(writer, command.limits);
    case 'broadcast':
      return writeBroadcast(writer, command);
    case 'close':
      writer.text(command.sessionId);
      writer.uint(command.code);
      return writer.text(command.reason);
    case 'promote':
      writer.uint(command.epoch);
      return writer.text(command.history);
    case 'register-zone':
    case 'unregister-zone':
      for (const text of [command.zoneId, command.address, command.instanceId]) writer.text(text);
      if (command.kind === 'unregister-zone') return;
      writer.uint(command.weight);
      return writer.uint(command.leaseMs);
    case 'set-zones':
      return writeZones(writer, command);
    case 'join-group':
    case 'leave-group':
      return writeChange(writer, command);
    case 'push-group':
      return writePushGroup(writer, command);
  }
}

function writeStart(command: StartCommand): void {
  const { token, place } = command;
  writer.text(command.openid);
  writer.text(command.clientId);
  writer.text(command.userIp);
  writer.uint(command.connection);
  writer.uint(command.wallMs);
  writer.boolean(token !== undefined);
  if (token !== undefined) {
    writer.text(token.sessionId);
    writer.uint(token.binding);
  }
  writer.boolean(place !== undefined);
  if (place !== undefined) {
    writer.text(place.sessionId);
    writer.uint(place.epoch);
    writer.uint(place.receivedSeqId);
  }
  writer.byte(secondLogins.indexOf(command.secondLogin));
  writer.text(command.newSessionId);
}

function readStart(reader: ByteReader): StartCommand {
  const openid = reader.text();
  const clientId = reader.text();
  const userIp = reader.text();
  const connection = reader.uint();
  const wallMs = reader.uint();
  const token = reader.boolean() ? { sessionId: reader.text(), binding: reader.uint() } : undefined;
  const place = reader.boolean()
    ? { sessionId: reader.text(), epoch: reader.uint(), receivedSeqId: reader.uint() }
    : undefined;
  return {
    kind: 'start',
    openid,
    clientId,
    userIp,
    connection,
    wallMs,
    ...(token === undefined ? {} : { token }),
    ...(place === undefined ? {} : { place }),
    secondLogin: reader.oneOf(secondLogins),
    newSessionId: reader.text(),
  };
}

function writePush(command: PushCommand): void {
  writeIdentity(writer, command.identity);
  writer.text(command.openid);
  writer.text(command.sessionId);
  writer.bytes(command.body);
  writer.uint(command.bindClientSeq);
  writer.byte(pushOrders.indexOf(command.order));
  writer.uint(command.ttlMs);
}

function readPush(reader: ByteReader): PushCommand {
  return {
    kind: 'push',
    identity: readIdentity(reader),
    openid: reader.text(),
    sessionId: reader.text(),
    body: reader.bytes(),
    bindClientSeq: reader.uint(),
    order: reader.oneOf(pushOrders),
    ttlMs: reader.uint(),
  };
}

function readCommand(reader: ByteReader): Command {
  const kind = reader.oneOf(kinds);
  switch (kind) {
    case 'tick':
      return { kind, timeMs: reader.uint() };
    case 'start':
      return readStart(reader);
    case 'confirm':
    case 'detach':
      return { kind, sessionId: reader.text(), binding: reader.uint() };
    case 'admit': {
      const sessionId = reader.text();
      return { kind, sessionId, binding: reader.uint(), clientSeq: reader.uint(), msgId: reader.uint() };
    }
    case 'withdraw':
      return { kind, sessionId: reader.text(), clientSeq: reader.uint() };
    case 'answer':
      return readAnswer(reader);
    case 'push':
      return readPush(reader);
    case 'ack':
      return { kind, sessionId: reader.text(), upTo: reader.uint() };
    default:
      return readRareCommand(reader, kind);
  }
}

function readAnswer(reader: ByteReader): Command {
  const sessionId = reader.text();
  const clientSeq = reader.uint();
  const body = reader.bytes();
  const overflowBody = reader.bytes();
  const zone = reader.boolean() ? { zoneId: reader.text() } : {};
  return { kind: 'answer', sessionId, clientSeq, body, overflowBody, ...zone };
}

function readRareCommand(reader: ByteReader, kind: RareKind): Command {
  switch (kind) {
    case 'configure':
      return { kind, limits: readLimits(reader) };
    case 'broadcast':
      return readBroadcast(reader);
    case 'close':
      return { kind, sessionId: reader.text(), code: reader.uint(), reason: reader.text() };
    case 'promote':
      return { kind, epoch: reader.uint(), history: reader.text() };
    case 'register-zone':
    case 'unregister-zone':
      return readRegistration(reader, kind);
    case 'set-zones':
      return readZones(reader);
    case 'join-group':
    case 'leave-group':
      return readChange(reader, kind);
    case 'push-group':
      return readPushGroup(reader);
  }
}

function readRegistration(reader: ByteReader, kind: 'register-zone' | 'unregister-zone'): Command {
  const named = { zoneId: reader.text(), address: reader.text(), instanceId: reader.text() };
  if (kind === 'unregister-zone') return { kind, ...named };
  return { kind, ...named, weight: reader.uint(), leaseMs: reader.uint() };
}
