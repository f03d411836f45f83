import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CorruptBytesError } from '../lib/byte-reader.ts';
import type { Command, PushIdentity, ShardLimits } from './command.ts';
import { decodeCommands, encodeCommands } from './command-codec.ts';
import { decodeImages, encodeImages } from './image-codec.ts';
import { defaultShardLimits } from './limits.ts';
import { SessionMachine } from './session-machine.ts';
import type { SnapshotImage } from './snapshot-images.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 80 });
const number = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const identity: fc.Arbitrary<PushIdentity> = fc.oneof(
  fc.record({ kind: fc.constant('none' as const) }),
  fc.record({ kind: fc.constant('id' as const), pushId: text }),
  fc.record({ kind: fc.constant('producer' as const), producerId: text, number }),
);
const limits: fc.Arbitrary<ShardLimits> = fc.record(
  Object.fromEntries(Object.keys(defaultShardLimits).map((name) => [name, number])),
) as unknown as fc.Arbitrary<ShardLimits>;
const binding = { sessionId: text, binding: number };
const endpoint = fc.record({ address: text, weight: number });
const zone = fc.record({ zoneId: text, uid: text, generation: number, endpoints: fc.array(endpoint) });
const kind = <Kind extends string>(name: Kind) => fc.constant(name);
const orders = fc.constantFrom('immediate' as const, 'before' as const, 'after' as const);
const logins = fc.constantFrom('resume' as const, 'replace' as const, 'refuse' as const);

const frequent: fc.Arbitrary<Command>[] = [
  fc.record({ kind: kind('tick'), timeMs: number }),
  fc.record({ kind: kind('admit'), ...binding, clientSeq: number, msgId: number }),
  fc.record(
    { kind: kind('answer'), sessionId: text, clientSeq: number, body: bytes, overflowBody: bytes, zoneId: text },
    { requiredKeys: ['kind', 'sessionId', 'clientSeq', 'body', 'overflowBody'] },
  ),
  fc.record({
    ...{ kind: kind('push'), identity, openid: text, sessionId: text },
    ...{ body: bytes, bindClientSeq: number, order: orders, ttlMs: number },
  }),
  fc.record({ kind: kind('ack'), sessionId: text, upTo: number }),
  fc.record({ kind: kind('confirm'), ...binding }),
  fc.record({ kind: kind('detach'), ...binding }),
  fc.record({ kind: kind('withdraw'), sessionId: text, clientSeq: number }),
];
const members = { group: text, openids: fc.array(text), sessionIds: fc.array(text) };
const rare: fc.Arbitrary<Command>[] = [
  fc.record({ kind: kind('configure'), limits }),
  fc.record(
    {
      ...{ kind: kind('start'), openid: text, clientId: text, userIp: text, connection: number, wallMs: number },
      token: fc.record(binding),
      place: fc.record({ sessionId: text, epoch: number, receivedSeqId: number }),
      ...{ secondLogin: logins, newSessionId: text },
    },
    { requiredKeys: ['kind', 'openid', 'clientId', 'userIp', 'connection', 'wallMs', 'secondLogin', 'newSessionId'] },
  ),
  fc.record({
    ...{ kind: kind('broadcast'), identity, body: bytes, ttlMs: number },
    ...{ zoneIds: fc.array(text), openids: fc.array(text) },
  }),
  fc.record({ kind: kind('close'), sessionId: text, code: number, reason: text }),
  fc.record({ kind: kind('promote'), epoch: number, history: text }),
  fc.record({
    ...{ kind: kind('register-zone'), zoneId: text, address: text },
    ...{ instanceId: text, weight: number, leaseMs: number },
  }),
  fc.record({ kind: kind('unregister-zone'), zoneId: text, address: text, instanceId: text }),
  fc.record({ kind: kind('set-zones'), revision: number, zones: fc.array(zone) }),
  fc.record({ kind: fc.constantFrom('join-group' as const, 'leave-group' as const), ...members }),
  fc.record({ kind: kind('push-group'), identity, body: bytes, ttlMs: number, group: text }),
];
const commands = fc.array(fc.oneof(...frequent, ...rare), { maxLength: 12 });

describe('encodeCommands', () => {
  it('writes what needs no groups in the format of the release before, and groups in the next', () => {
    const tick: Command = { kind: 'tick', timeMs: 1 };
    const join: Command = { kind: 'join-group', group: 'room', openids: ['ann'], sessionIds: [] };
    expect(encodeCommands([tick])[0]).toBe(1);
    expect(encodeCommands([tick, join])[0]).toBe(2);
  });

  it('gives every command back as it was', () => {
    fc.assert(
      fc.property(commands, (batch) => {
        expect(decodeCommands(encodeCommands(batch))).toEqual(batch);
      }),
      { numRuns: 500 },
    );
  });

  it('never reads corrupt bytes as something else than commands or an error', () => {
    fc.assert(
      fc.property(commands, fc.nat(), fc.nat(255), (batch, at, value) => {
        const encoded = encodeCommands(batch);
        encoded[at % encoded.length] = value;
        try {
          decodeCommands(encoded);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptBytesError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('refuses a batch that is cut short, longer, or in an unknown format', () => {
    const encoded = encodeCommands([
      { kind: 'tick', timeMs: 5 },
      { kind: 'ack', sessionId: 'a', upTo: 3 },
    ]);
    for (let length = 0; length < encoded.length; length += 1) {
      expect(() => decodeCommands(encoded.subarray(0, length))).toThrow(CorruptBytesError);
    }
    expect(() => decodeCommands(Buffer.concat([encoded, Buffer.from([0])]))).toThrow(/expected the end/);
    encoded[0] = 9;
    expect(() => decodeCommands(encoded)).toThrow(/log format 9/);
  });

  it('refuses a number that would not mean the same elsewhere, and is usable afterwards', () => {
    expect(() => encodeCommands([{ kind: 'tick', timeMs: 1.5 }])).toThrow(RangeError);
    expect(decodeCommands(encodeCommands([{ kind: 'tick', timeMs: 1 }]))).toEqual([{ kind: 'tick', timeMs: 1 }]);
  });
});

function filledMachine(): SessionMachine {
  const machine = new SessionMachine();
  let index = 0;
  const apply = (command: Command): void => {
    index += 1;
    machine.apply(index, command, []);
  };
  apply({ kind: 'promote', epoch: 7, history: 'h' });
  apply({ kind: 'set-zones', revision: 3, zones: [{ zoneId: '001', uid: 'u', generation: 2, endpoints: [] }] });
  apply({ kind: 'register-zone', zoneId: '002', address: 'z:1', instanceId: 'i', weight: 1, leaseMs: 9_000 });
  for (let n = 1; n <= 20; n += 1) {
    const body = new Uint8Array(n);
    apply({
      ...{ kind: 'start', openid: `user-${n}`, clientId: 'c', userIp: '::1', connection: n },
      ...{ wallMs: 1_000, secondLogin: 'resume', newSessionId: `s-${n}` },
    });
    apply({ kind: 'admit', sessionId: `s-${n}`, binding: 1, clientSeq: 1, msgId: 4 });
    const push = { kind: 'push', openid: '', sessionId: `s-${n}`, body, ttlMs: n } as const;
    apply({ ...push, identity: { kind: 'id', pushId: `p-${n}` }, bindClientSeq: 0, order: 'immediate' });
    apply({ ...push, identity: { kind: 'producer', producerId: 'q', number: n }, bindClientSeq: 1, order: 'after' });
  }
  apply({ kind: 'join-group', group: 'room', openids: ['user-5'], sessionIds: ['s-6'] });
  apply({ kind: 'detach', sessionId: 's-3', binding: 1 });
  apply({ kind: 'close', sessionId: 's-4', code: 4006, reason: 'kicked' });
  apply({ kind: 'tick', timeMs: 10 });
  return machine;
}

describe('encodeImages', () => {
  it('gives a whole state back, chunk by chunk', () => {
    const machine = filledMachine();
    const images = machine.snapshot(1_000);
    const copied: SnapshotImage[] = [];
    let chunks = 0;
    for (let done = false; !done; chunks += 1) {
      const chunk = encodeImages(images, 400, () => true);
      copied.push(...decodeImages(chunk.bytes));
      done = chunk.done;
    }
    expect(chunks).toBeGreaterThan(5);
    const plain = (list: Iterable<SnapshotImage>) => JSON.parse(JSON.stringify([...list], plainBytes));
    expect(plain(copied)).toEqual(plain(machine.snapshot(1_000)));
    const restored = new SessionMachine();
    for (const image of copied) restored.restore(image);
    expect(restored.stateHash()).toBe(machine.stateHash());
    expect(plain(restored.snapshot(1_000))).toEqual(plain(machine.snapshot(1_000)));
  });

  it('ends a chunk when it is told to', () => {
    const chunk = encodeImages(filledMachine().snapshot(1), 1_000_000, () => false);
    expect(decodeImages(chunk.bytes)).toHaveLength(1);
    expect(chunk.done).toBe(false);
  });

  it('refuses corrupt images', () => {
    const { bytes: encoded } = encodeImages(filledMachine().snapshot(1), 1_000_000, () => true);
    expect(() => decodeImages(encoded.subarray(0, encoded.length - 1))).toThrow(CorruptBytesError);
  });
});

/** JSON that shows bytes the same whatever their class. */
function plainBytes(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  const buffer = value as { type?: string; data?: unknown } | null;
  return buffer !== null && typeof buffer === 'object' && buffer.type === 'Buffer' ? buffer.data : value;
}
