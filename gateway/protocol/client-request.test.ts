import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BusinessRequest, ClientRequest } from '../../proto/gen/message.ts';
import { decodeBusinessRequest, decodeClientRequest } from './client-request.ts';

const number = fc.oneof(fc.nat(300), fc.nat(2 ** 28), fc.nat());
const text = fc.oneof(fc.constantFrom('', 'echo', 'push-me'), fc.string({ unit: 'binary' }));
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const request = fc.record({
  msgId: number,
  seqId: fc.oneof(number.map(BigInt), fc.bigInt(0n, 2n ** 64n - 1n)),
  type: fc.nat(7) as fc.Arbitrary<ClientRequest['type']>,
  payload: bytes,
  headers: fc.oneof(fc.constant({}), fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 2 })),
  openid: fc.oneof(fc.constant(''), text),
});

/** What a decoder makes of bytes; the reason of a refusal is not compared. */
function resultOf(decode: () => object): unknown {
  try {
    return JSON.parse(JSON.stringify(decode(), (_, value) => (typeof value === 'bigint' ? String(value) : value)));
  } catch {
    return 'refused';
  }
}

describe('the decoder of the usual shape', () => {
  it('reads every ClientRequest as the generated one does', () => {
    fc.assert(
      fc.property(request, (given) => {
        const frame = ClientRequest.encode(ClientRequest.fromPartial(given)).finish();
        expect(resultOf(() => decodeClientRequest(frame))).toEqual(resultOf(() => ClientRequest.decode(frame)));
      }),
    );
  });

  it('reads every BusinessRequest as the generated one does, into memory of its own', () => {
    fc.assert(
      fc.property(text, bytes, (action, data) => {
        const payload = BusinessRequest.encode({ action, data }).finish();
        const decoded = decodeBusinessRequest(payload);
        const expected = resultOf(() => BusinessRequest.decode(payload));
        payload.fill(0xff);
        expect(resultOf(() => decoded)).toEqual(expected);
      }),
    );
  });

  it.each([
    ['ClientRequest', decodeClientRequest, (frame: Uint8Array) => ClientRequest.decode(frame)],
    ['BusinessRequest', decodeBusinessRequest, (frame: Uint8Array) => BusinessRequest.decode(frame)],
  ] as const)(
    'takes and refuses the same bytes as the generated %s: cut, changed, of other fields',
    (_, own, generated) => {
      const tags = fc.constantFrom(0x08, 0x0a, 0x10, 0x12, 0x18, 0x1a, 0x22, 0x2a, 0x32, 0x38, 0x80);
      const hostile = fc.array(fc.oneof(tags, fc.nat(4), fc.nat(255)), { maxLength: 24 });
      fc.assert(
        fc.property(hostile, (list) => {
          const frame = Uint8Array.from(list);
          expect(resultOf(() => own(frame))).toEqual(resultOf(() => generated(frame)));
        }),
        { numRuns: 5_000 },
      );
    },
  );
});
