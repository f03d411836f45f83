import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestWindow, requestWindow } from './request-window.ts';

describe('the request window', () => {
  it('remembers what a set would, down to 64 below the highest', () => {
    const step = fc.tuple(fc.constantFrom(0, 1, 2, 31, 32, 33, 63, 64, 65, 1_000), fc.nat(70));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12, size: 'max' }), (steps) => {
        const window = new RequestWindow();
        const answered = new Set<number>();
        window.raise(1);
        for (const [by, back] of steps) {
          window.raise(window.max + by);
          const seq = Math.max(1, window.max - back);
          window.markAnswered(seq);
          if (!window.isBelow(seq)) answered.add(seq);
          const copy = new RequestWindow();
          copy.import(window.export());
          for (let below = 0; below <= requestWindow; below += 1) {
            const known = answered.has(window.max - below);
            expect(window.isAnswered(window.max - below)).toBe(known);
            expect(copy.isAnswered(window.max - below)).toBe(known);
          }
          expect(window.isBelow(window.max - requestWindow)).toBe(false);
          expect(window.isBelow(window.max - requestWindow - 1)).toBe(true);
        }
      }),
    );
  });

  it('knows nothing of what is above or below it', () => {
    const window = new RequestWindow();
    window.raise(100);
    window.markAnswered(100);
    window.raise(100 + requestWindow);
    expect(window.isAnswered(100)).toBe(true);
    window.raise(101 + requestWindow);
    expect(window.isAnswered(100)).toBe(false);
    expect(window.isAnswered(500)).toBe(false);
  });
});
