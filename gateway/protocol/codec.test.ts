import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BusinessResponse, Error as ErrorMessage, PushType, ServerPush } from '../../proto/gen/message.ts';
import { decodeClientRequest } from './client-request.ts';
import {
  encodeErrorBody,
  encodePushBody,
  encodePushHead,
  encodeResponseBody,
  encodeSuccessBody,
  heartbeatResponseBody,
  safeNumber,
} from './codec.ts';
import { varintLength, writeVarint } from './varint.ts';

const decode = (head: Uint8Array, body: Uint8Array) => ServerPush.decode(Buffer.concat([head, body]));
const header = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((name) => name !== '__proto__');

describe('push encoding', () => {
  it('any head and body together are the ServerPush they were made of', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.maxSafeNat(),
        fc.uint8Array({ maxLength: 400 }),
        fc.dictionary(header, fc.string({ unit: 'grapheme', maxLength: 200 }), { maxKeys: 5, noNullPrototype: true }),
        (msgId, seqId, payload, headers) => {
          const push = decode(encodePushHead(msgId, seqId), encodePushBody(PushType.PUSH_NOTIFY, payload, headers));
          expect(push.msgId).toBe(msgId);
          expect(push.seqId).toBe(BigInt(seqId));
          expect(push.type).toBe(PushType.PUSH_NOTIFY);
          expect(new Uint8Array(push.payload)).toEqual(payload);
          expect(push.headers).toEqual(headers);
        },
      ),
    );
  });

  it('the hot path writes the same response as the generated encoder', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.uint8Array({ maxLength: 40_000 }), (clientSeq, data) => {
        const fast = ServerPush.decode(encodeSuccessBody(clientSeq, data));
        const plain = ServerPush.decode(encodeResponseBody({ success: true, clientSeq, data }));
        expect(BusinessResponse.decode(fast.payload)).toEqual(BusinessResponse.decode(plain.payload));
        expect(fast.type).toBe(PushType.PUSH_BUSINESS_RESPONSE);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps headers of a successful response', () => {
    const push = ServerPush.decode(encodeSuccessBody(7, Buffer.from('x'), { trace: 'abc' }));
    expect(push.headers).toEqual({ trace: 'abc' });
    expect(BusinessResponse.decode(push.payload).clientSeqId).toBe(7n);
  });

  it('an error carries its code and when to come back', () => {
    const push = ServerPush.decode(encodeErrorBody({ code: 1002, message: 'full', retryAfterMs: 250 }));
    expect(ErrorMessage.decode(push.payload)).toMatchObject({ code: 1002, message: 'full', retryAfterMs: 250 });
    expect(ServerPush.decode(heartbeatResponseBody).type).toBe(PushType.PUSH_HEARTBEAT_RESPONSE);
  });
});

it('writes every error as the generated encoder does', () => {
  const error = fc.record({
    code: fc.constantFrom(0, 1001, 1002, 2009, 4003),
    message: fc.oneof(fc.constantFrom('', 'max_qps', 'é'), fc.string({ maxLength: 100 })),
    retryAfterMs: fc.oneof(fc.constant(0), fc.nat(100_000)),
    redirect: fc.constantFrom('', 'b:8453'),
  });
  fc.assert(
    fc.property(error, (given) => {
      const { type, payload } = ServerPush.decode(encodeErrorBody(given));
      expect([type, ErrorMessage.decode(payload)]).toEqual([PushType.PUSH_ERROR, ErrorMessage.fromPartial(given)]);
    }),
  );
});

describe('client frames', () => {
  it('arbitrary bytes either decode or throw an Error, in bounded time', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (frame) => {
        try {
          expect(typeof decodeClientRequest(frame).msgId).toBe('number');
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('a counter beyond a safe integer is no number', () => {
    expect(safeNumber(2n ** 53n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(safeNumber(2n ** 53n)).toBeUndefined();
  });

  it('varints have the length they say', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const target = new Uint8Array(10);
        expect(writeVarint(target, 0, value)).toBe(varintLength(value));
      }),
    );
  });
});
