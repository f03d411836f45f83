import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExchangeRequest, ExchangeResponse, UpstreamRequest, UpstreamResponse } from '../../proto/gen/upstream.ts';
import {
  decodeExchangeResponse,
  decodeUpstreamResponse,
  ExchangeEncoder,
  UpstreamWireError,
} from './exchange-codec.ts';
import type { ZoneRequest } from './zone-request.ts';

const text = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'grapheme', maxLength: 80 }), fc.constant(''));
const headers = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  text,
  { maxKeys: 4, noNullPrototype: true },
);
const id = fc.oneof(fc.nat(300), fc.maxSafeInteger().map(Math.abs));

const requests: fc.Arbitrary<ZoneRequest> = fc.record({
  openid: text,
  sessionId: text,
  zoneId: text,
  clientSeq: id,
  action: text,
  data: fc.uint8Array({ maxLength: 400 }),
  headers,
  epoch: id,
  shardId: text,
  history: text,
});

function expected(request: ZoneRequest, requestId: number, deadlineMs: number): UpstreamRequest {
  const { openid, sessionId, zoneId, action, shardId, history } = request;
  return {
    openid,
    sessionId,
    zoneId,
    action,
    shardId,
    history,
    data: Buffer.from(request.data),
    headers: { ...request.headers },
    clientSeqId: BigInt(request.clientSeq),
    epoch: BigInt(request.epoch),
    requestId: BigInt(requestId),
    deadlineMs,
  };
}

describe('ExchangeEncoder', () => {
  it('writes what the generated code reads, many or one', () => {
    fc.assert(
      fc.property(fc.array(requests, { maxLength: 8 }), fc.nat(0xffff_ffff), (items, deadlineMs) => {
        const encoder = new ExchangeEncoder();
        for (const [index, item] of items.entries()) encoder.add(item, index + 1, deadlineMs);
        const read = ExchangeRequest.decode(encoder.take());
        expect(read.requests).toEqual(items.map((item, index) => expected(item, index + 1, deadlineMs)));
        expect(encoder.length).toBe(0);
        for (const item of items) {
          expect(UpstreamRequest.decode(encoder.single(item, deadlineMs))).toEqual(expected(item, 0, deadlineMs));
        }
      }),
    );
  });

  it('grows for large data, and for text of four bytes a character', () => {
    const large = {
      openid: '🎮'.repeat(20_000),
      sessionId: 's',
      zoneId: '001',
      clientSeq: 1,
      action: 'a',
      data: Buffer.alloc(300_000, 7),
      headers: { k: '值'.repeat(50_000) },
      epoch: 1,
      shardId: 'p',
      history: 'h',
    };
    const encoder = new ExchangeEncoder();
    for (const seq of [1, 2, 3]) encoder.add(large, seq, 5);
    const read = ExchangeRequest.decode(encoder.take());
    expect(read.requests).toEqual([1, 2, 3].map((seq) => expected(large, seq, 5)));
  });
});

const responses: fc.Arbitrary<UpstreamResponse> = fc.record({
  success: fc.boolean(),
  data: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  error: fc.option(
    fc.record({
      code: fc.constantFrom(1005 as const, 1007 as const),
      message: text,
      retryAfterMs: fc.nat(),
      redirect: text,
    }),
    { nil: undefined },
  ),
  zoneId: fc.oneof(fc.constant('001'), text),
  requestId: fc.constant(0n),
  headers,
});

describe('decodeExchangeResponse', () => {
  it('reads what the generated code writes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(responses, id), { maxLength: 8 }), (items) => {
        const sent = items.map(([response, requestId]) => ({ ...response, requestId: BigInt(requestId) }));
        const bytes = Buffer.from(ExchangeResponse.encode({ responses: sent }).finish());
        const read: [UpstreamResponse, number][] = [];
        decodeExchangeResponse(bytes, '001', (requestId, response) => read.push([response, requestId]));
        expect(read).toEqual(items);
        for (const [response] of items) {
          const single = Buffer.from(UpstreamResponse.encode(response).finish());
          expect(decodeUpstreamResponse(single, '001')).toEqual(response);
        }
      }),
    );
  });

  it('throws its own error on anything else, and reads nothing beyond the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeExchangeResponse(Buffer.from(bytes), '001', () => {});
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(UpstreamWireError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a length past the end', [0x0a, 0x05, 0x08, 0x01]],
    ['a field past its message', [0x0a, 0x02, 0x12, 0x05, 1, 2, 3, 4, 5]],
    ['a varint without end', [0x0a, 0xff, 0xff, 0xff]],
    ['a group', [0x0a, 0x01, 0x0b]],
    ['a fixed64 past the end', [0x11, 1, 2]],
  ])('refuses %s', (_name, bytes) => {
    expect(() => decodeExchangeResponse(Buffer.from(bytes), '', () => {})).toThrow(UpstreamWireError);
  });

  it('passes over fields it does not know', () => {
    const bytes = Buffer.of(0x0a, 0x0c, 0x08, 0x01, 0x7a, 0x02, 1, 2, 0x7d, 1, 2, 3, 4, 0x28);
    const read: [number, boolean][] = [];
    const item = Buffer.concat([bytes, Buffer.of(0x09)]);
    item[1] = item.length - 2;
    decodeExchangeResponse(item, '', (requestId, { success }) => read.push([requestId, success]));
    expect(read).toEqual([[9, true]]);
  });
});
