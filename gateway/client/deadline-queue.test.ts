import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineQueue, type Sleeper } from './deadline-queue.ts';

const operation = fc.oneof(
  fc.record({ kind: fc.constant('schedule' as const), who: fc.nat(9), at: fc.nat(100) }),
  fc.record({ kind: fc.constant('remove' as const), who: fc.nat(9), at: fc.constant(0) }),
  fc.record({ kind: fc.constant('take' as const), who: fc.constant(0), at: fc.nat(100) }),
);

describe('the deadline queue', () => {
  it('always gives the earliest, as a sorted list would', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const sleepers: Sleeper[] = Array.from({ length: 10 }, () => ({
          wakeMs: Number.POSITIVE_INFINITY,
          wakeIndex: -1,
        }));
        const queue = new DeadlineQueue<Sleeper>();
        const model = new Map<Sleeper, number>();
        for (const { kind, who, at } of operations) {
          const sleeper = sleepers[who] as Sleeper;
          if (kind === 'schedule') {
            queue.schedule(sleeper, at);
            model.set(sleeper, at);
          } else if (kind === 'remove') {
            queue.remove(sleeper);
            model.delete(sleeper);
          } else {
            const earliest = Math.min(...model.values());
            const taken = queue.take(at);
            expect(taken === undefined ? undefined : model.get(taken)).toBe(earliest <= at ? earliest : undefined);
            if (taken !== undefined) model.delete(taken);
          }
          expect(queue.size).toBe(model.size);
          expect(queue.nextMs).toBe(Math.min(...model.values()));
        }
      }),
    );
  });
});
