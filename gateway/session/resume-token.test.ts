import { describe, expect, it } from 'vitest';
import { mintResumeToken, verifyResumeToken } from './resume-token.ts';

const key = new Uint8Array(32).fill(1);
const other = new Uint8Array(32).fill(2);
const place = { sessionId: '0b5c9b9e-6b0f-4a53-9a51-0d1f6a3b7c10', binding: 3_000_000_000 };

describe('a resume token', () => {
  it('says what it was minted for', () => {
    expect(verifyResumeToken([key], mintResumeToken(key, place))).toEqual(place);
  });

  it('is accepted under any of the keys, so that they can be rotated', () => {
    const token = mintResumeToken(key, place);
    expect(verifyResumeToken([other, key], token)).toEqual(place);
    expect(verifyResumeToken([other], token)).toBeUndefined();
    expect(verifyResumeToken([], token)).toBeUndefined();
  });

  it('is refused when any bit of it is changed, or it is cut or extended', () => {
    const token = mintResumeToken(key, place);
    for (let bit = 0; bit < token.length * 8; bit += 1) {
      const forged = Uint8Array.from(token);
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyResumeToken([key], forged)).toBeUndefined();
    }
    for (let length = 0; length < token.length; length += 1) {
      expect(verifyResumeToken([key], token.subarray(0, length))).toBeUndefined();
    }
    expect(verifyResumeToken([key], Uint8Array.from([...token, 0]))).toBeUndefined();
    expect(verifyResumeToken([key], new Uint8Array(10_000))).toBeUndefined();
  });

  it('differs from binding to binding', () => {
    const next = mintResumeToken(key, { ...place, binding: place.binding + 1 });
    expect(Buffer.from(next).equals(mintResumeToken(key, place))).toBe(false);
  });

  it('is not minted for an id that does not fit', () => {
    expect(() => mintResumeToken(key, { sessionId: '', binding: 1 })).toThrow(RangeError);
    expect(() => mintResumeToken(key, { sessionId: 'x'.repeat(129), binding: 1 })).toThrow(
      /129 bytes: expected 1 to 128/,
    );
    expect(() => mintResumeToken(key, { sessionId: 'x', binding: -1 })).toThrow(RangeError);
  });
});
