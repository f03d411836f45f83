import type { PeerFrame, PeerHeartbeat, PeerLease } from '../../proto/gen/replication.ts';
import type { Lease } from './arbiter.ts';
import type { HeartbeatMessage, PairMode, PeerMessage, PeerStatus } from './peer-messages.ts';
import type { ShardRole } from './shard.ts';

const roles: readonly ShardRole[] = ['standby', 'backup', 'primary', 'deposed'];

/** What a peer sent that no peer of ours sends. */
export class PeerFrameError extends Error {
  override readonly name = 'PeerFrameError';
}

/** A message between the two gateways of a pair, as it travels. */
export function encodePeerMessage(message: PeerMessage): PeerFrame {
  switch (message.kind) {
    case 'ping':
    case 'pong':
      return { frame: { $case: 'heartbeat', value: encodeHeartbeat(message) } };
    case 'join': {
      const { stream, epoch, applied, hash } = message;
      const value = { ...message, stream: big(stream), epoch: big(epoch), applied: big(applied), hash: big(hash) };
      return { frame: { $case: 'join', value } };
    }
    case 'ack': {
      const { stream, epoch, frame, index, hash } = message;
      const numbers = { stream: big(stream), epoch: big(epoch), frame: big(frame), index: big(index), hash: big(hash) };
      return { frame: { $case: 'ack', value: { ...message, ...numbers } } };
    }
    case 'welcome': {
      const numbers = { stream: big(message.stream), epoch: big(message.epoch), after: big(message.after) };
      return { frame: { $case: 'welcome', value: { ...message, ...numbers } } };
    }
    case 'batch':
    case 'chunk':
      return encodeData(message);
    case 'dismiss':
      return { frame: { $case: 'dismiss', value: { ...message, stream: big(message.stream) } } };
  }
}

function encodeData(message: Extract<PeerMessage, { kind: 'batch' | 'chunk' }>): PeerFrame {
  const { stream, frame, epoch, history, checksum } = message;
  const common = {
    stream: big(stream),
    frame: big(frame),
    epoch: big(epoch),
    history,
    bytes: Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength),
    checksum: big(checksum),
  };
  if (message.kind === 'chunk') return { frame: { $case: 'chunk', value: { ...common, last: message.last } } };
  const value = { ...common, first: big(message.first), last: big(message.last) };
  return { frame: { $case: 'batch', value } };
}

/** @throws PeerFrameError for a frame that is no message, or names what is not known. */
export function decodePeerMessage({ frame }: PeerFrame): PeerMessage {
  switch (frame?.$case) {
    case 'heartbeat':
      return decodeHeartbeat(frame.value);
    case 'join': {
      const { value } = frame;
      const { stream, epoch, applied, hash } = value;
      return {
        kind: 'join',
        ...value,
        stream: small(stream),
        epoch: small(epoch),
        applied: small(applied),
        hash: small(hash),
      };
    }
    case 'ack': {
      const { value } = frame;
      const numbers = { stream: small(value.stream), epoch: small(value.epoch), frame: small(value.frame) };
      return { kind: 'ack', ...value, ...numbers, index: small(value.index), hash: small(value.hash) };
    }
    case 'welcome': {
      const { value } = frame;
      return {
        kind: 'welcome',
        ...value,
        stream: small(value.stream),
        epoch: small(value.epoch),
        after: small(value.after),
      };
    }
    case 'batch': {
      const { value } = frame;
      return { kind: 'batch', ...value, ...dataNumbers(value), first: small(value.first), last: small(value.last) };
    }
    case 'chunk':
      return { kind: 'chunk', ...frame.value, ...dataNumbers(frame.value) };
    case 'dismiss':
      return { kind: 'dismiss', ...frame.value, stream: small(frame.value.stream) };
    default:
      throw new PeerFrameError(`frame ${frame?.$case ?? 'without content'}: expected a message`);
  }
}

interface DataNumbers<N> {
  readonly stream: N;
  readonly frame: N;
  readonly epoch: N;
  readonly checksum: N;
}

function dataNumbers(value: DataNumbers<bigint>): DataNumbers<number> {
  const { stream, frame, epoch, checksum } = value;
  return { stream: small(stream), frame: small(frame), epoch: small(epoch), checksum: small(checksum) };
}

function encodeHeartbeat({ kind, number, status }: HeartbeatMessage): PeerHeartbeat {
  return {
    ...status,
    pong: kind === 'pong',
    number: big(number),
    epoch: big(status.epoch),
    logIndex: big(status.logIndex),
    lease: status.lease === undefined ? undefined : encodeLease(status.lease),
  };
}

function decodeHeartbeat({ pong, number, lease, ...rest }: PeerHeartbeat): HeartbeatMessage {
  const status: PeerStatus = {
    ...rest,
    mode: oneOf<PairMode>(['primary', 'backup'], rest.mode, 'mode'),
    role: oneOf(roles, rest.role, 'role'),
    epoch: small(rest.epoch),
    logIndex: small(rest.logIndex),
    lease: lease === undefined ? undefined : decodeLease(lease),
  };
  return { kind: pong ? 'pong' : 'ping', number: small(number), status };
}

function encodeLease(lease: Lease): PeerLease {
  return { ...lease, epoch: big(lease.epoch), revision: big(lease.revision), inSync: [...lease.inSync] };
}

function decodeLease(lease: PeerLease): Lease {
  return { ...lease, epoch: small(lease.epoch), revision: small(lease.revision) };
}

const big = (number: number): bigint => BigInt(number);

function small(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PeerFrameError(`number ${value}: expected at most 2^53 - 1`);
  return Number(value);
}

function oneOf<Word extends string>(words: readonly Word[], text: string, name: string): Word {
  const word = words.find((known) => known === text);
  if (word === undefined) throw new PeerFrameError(`${name} ${JSON.stringify(text)}: expected ${words.join(', ')}`);
  return word;
}
