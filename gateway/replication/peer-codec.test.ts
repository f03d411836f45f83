import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerFrame } from '../../proto/gen/replication.ts';
import { decodePeerMessage, encodePeerMessage, PeerFrameError } from './peer-codec.ts';
import type { PeerMessage } from './peer-messages.ts';

const number = fc.maxSafeNat();
const text = fc.string({ maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 200 });
const lease = fc.record({
  epoch: number,
  history: text,
  holder: text,
  inSync: fc.array(text, { maxLength: 3 }),
  revision: number,
  token: text,
});
const status = fc.record({
  serverId: text,
  incarnation: text,
  mode: fc.constantFrom('primary' as const, 'backup' as const),
  role: fc.constantFrom('standby' as const, 'backup' as const, 'primary' as const, 'deposed' as const),
  epoch: number,
  history: text,
  complete: fc.boolean(),
  logIndex: number,
  lease: fc.option(lease, { nil: undefined }),
  clientEndpoint: text,
  zoneEndpoint: text,
});
const data = { stream: number, frame: number, epoch: number, history: text, bytes, checksum: number };
const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ping' as const, 'pong' as const), number, status }),
  fc.record({
    kind: fc.constant('join' as const),
    stream: number,
    incarnation: text,
    history: text,
    epoch: number,
    primary: text,
    applied: number,
    hash: number,
    formatMax: fc.nat({ max: 1_000 }),
  }),
  fc.record({
    kind: fc.constant('ack' as const),
    stream: number,
    incarnation: text,
    history: text,
    epoch: number,
    frame: number,
    index: number,
    hash: number,
  }),
  fc.record({
    kind: fc.constant('welcome' as const),
    stream: number,
    primary: text,
    epoch: number,
    history: text,
    after: number,
    snapshot: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('batch' as const), ...data, first: number, last: number }),
  fc.record({ kind: fc.constant('chunk' as const), ...data, last: fc.boolean() }),
  fc.record({ kind: fc.constant('dismiss' as const), stream: number, discard: fc.boolean(), reason: text }),
);

describe('messages between peers', () => {
  it('arrive as they were sent', () => {
    fc.assert(
      fc.property(message, (sent) => {
        const received = decodePeerMessage(PeerFrame.decode(PeerFrame.encode(encodePeerMessage(sent)).finish()));
        const plain = 'bytes' in received ? { ...received, bytes: new Uint8Array(received.bytes) } : received;
        expect(plain).toEqual(sent);
      }),
    );
  });

  it('that are none are refused', () => {
    expect(() => decodePeerMessage({ frame: undefined })).toThrow(PeerFrameError);
    const hello = { serverId: 'x', version: '1.0.0', nonce: Buffer.alloc(0), proof: Buffer.alloc(0) };
    expect(() => decodePeerMessage({ frame: { $case: 'hello', value: hello } })).toThrow(PeerFrameError);
    const huge = { stream: 2n ** 60n, discard: false, reason: '' };
    expect(() => decodePeerMessage({ frame: { $case: 'dismiss', value: huge } })).toThrow(/2\^53/);
  });
});
