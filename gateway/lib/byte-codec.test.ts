import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, CorruptBytesError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

describe('ByteWriter and ByteReader', () => {
  it('give back every whole number, text and byte string', () => {
    fc.assert(
      fc.property(
        fc.array(fc.maxSafeNat()),
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.uint8Array(),
        (n, t, b) => {
          const writer = new ByteWriter();
          writer.list(n, (number) => writer.uint(number));
          writer.text(t);
          writer.bytes(b);
          writer.boolean(true);
          const reader = new ByteReader(writer.take());
          expect(reader.list(() => reader.uint())).toEqual(n);
          expect(reader.text()).toBe(t);
          expect(new Uint8Array(reader.bytes())).toEqual(b);
          expect(reader.boolean()).toBe(true);
          reader.end();
        },
      ),
    );
  });

  it.each([0, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 49, Number.MAX_SAFE_INTEGER])(
    'give back %d',
    (n) => {
      const writer = new ByteWriter();
      writer.uint(n);
      expect(new ByteReader(writer.take()).uint()).toBe(n);
    },
  );

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('refuse to write %d as a whole number', (n) => {
    expect(() => new ByteWriter().uint(n)).toThrow(RangeError);
  });

  it.each([
    ['a text longer than what is left', [5, 65], (reader: ByteReader) => reader.text()],
    ['a text that is not UTF-8', [2, 0xc3, 0x28], (reader: ByteReader) => reader.text()],
    ['a number that never ends', [255, 255, 255, 255, 255, 255, 255, 255], (reader: ByteReader) => reader.uint()],
    ['a list larger than its bytes', [200, 1, 1], (reader: ByteReader) => reader.list(() => reader.byte())],
    ['a switch that is neither on nor off', [2], (reader: ByteReader) => reader.boolean()],
    ['bytes after the end', [1], (reader: ByteReader) => reader.end()],
  ])('refuse %s', (_name, bytes, read) => {
    expect(() => read(new ByteReader(Uint8Array.from(bytes)))).toThrow(CorruptBytesError);
  });
});
