import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settle, VirtualClock } from './testing/virtual-clock.ts';
import { type Handle, type QueueMetrics, WorkQueue } from './work-queue.ts';

function harness(handle: Handle, { workers = 1, timeoutMs = 10_000 } = {}) {
  const clock = new VirtualClock();
  const counted = { added: 0, retried: 0, results: [] as string[], depth: 0, workedMs: [] as number[] };
  const metrics: QueueMetrics = {
    added: () => {
      counted.added += 1;
    },
    retried: () => {
      counted.retried += 1;
    },
    depth: (_, keys) => {
      counted.depth = keys;
    },
    waited: () => {},
    worked: (_, ms, result) => {
      counted.results.push(result);
      counted.workedMs.push(ms);
    },
  };
  const queue = new WorkQueue({ name: 'test', workers, handle, timeoutMs, clock, random: () => 0, metrics });
  return { queue, clock, counted };
}

/** A handle whose ends are decided by the test. */
function byHand() {
  const open: { key: string; end: () => void; fail: (error: Error) => void; signal: AbortSignal }[] = [];
  const started: string[] = [];
  const handle: Handle = (key, signal) =>
    new Promise<void>((resolve, reject) => {
      started.push(key);
      open.push({ key, end: resolve, fail: reject, signal });
    });
  return { handle, open, started };
}

describe('one key', () => {
  it('waits once however often it is added, and is handled again when added meanwhile', async () => {
    const { handle, open, started } = byHand();
    const { queue, counted } = harness(handle);
    for (let count = 0; count < 5; count += 1) queue.add('other');
    await settle();
    for (let count = 0; count < 5; count += 1) queue.add('k');
    for (let count = 0; count < 5; count += 1) queue.add('other');
    expect(started).toEqual(['other']);
    open.shift()?.end();
    await settle();
    expect(started).toEqual(['other', 'k']);
    open.shift()?.end();
    await settle();
    open.shift()?.end();
    await settle();
    expect(started).toEqual(['other', 'k', 'other']);
    expect(counted).toMatchObject({ added: 3, depth: 0 });
    expect(queue.empty).toBe(true);
  });

  it('backs off from 5 ms to 1000 s, and starts anew after a success', async () => {
    const startedMs: number[] = [];
    let fails = true;
    const { queue, clock, counted } = harness(async () => {
      startedMs.push(clock.nowMs());
      if (fails) throw new Error('not yet');
    });
    queue.add('k');
    await clock.advance(4_000_000);
    const gaps = startedMs.slice(1).map((at, index) => at - (startedMs[index] ?? 0));
    expect(gaps.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
    expect(Math.max(...gaps)).toBe(1_000_000);
    expect(counted.retried).toBe(startedMs.length);
    fails = false;
    queue.add('k');
    await settle();
    fails = true;
    startedMs.length = 0;
    queue.add('k');
    await clock.advance(14);
    expect(startedMs).toHaveLength(2);
  });

  it('comes again when asked, at the earliest of several times', async () => {
    const startedMs: number[] = [];
    const { queue, clock, counted } = harness(async () => {
      startedMs.push(clock.nowMs());
      return startedMs.length === 1 ? { requeueAfterMs: 500 } : undefined;
    });
    queue.add('k');
    queue.addAfter('k', 900);
    queue.addAfter('k', 200);
    queue.addAfter('k', 700);
    await clock.advance(10_000);
    expect(startedMs).toEqual([0, 200]);
    expect(counted.results).toEqual(['requeue_after', 'success']);
  });

  it.each([
    [
      'a handle that throws at once',
      () => {
        throw new TypeError('panic');
      },
    ],
    ['a handle that throws nothing', () => Promise.reject(undefined)],
  ])('survives %s', async (_, handle) => {
    const { queue, clock, counted } = harness(handle as Handle);
    queue.add('k');
    await clock.advance(6);
    expect(counted.results).toEqual(['error', 'error']);
  });
});

describe('handles that take too long', () => {
  it('are told so, count as failed, and give their worker to the next key', async () => {
    const { handle, open, started } = byHand();
    const { queue, clock, counted } = harness(handle, { timeoutMs: 1000 });
    queue.add('slow');
    queue.add('next');
    await clock.advance(1000);
    expect(open[0]?.signal.reason).toMatchObject({
      name: 'HandleTimeoutError',
      message: 'slow: not done within 1000 ms',
    });
    expect(started).toEqual(['slow', 'next']);
    expect(counted.results).toEqual(['error']);
  });

  it('keep their key to themselves until they end, and make the queue stuck', async () => {
    const { handle, open, started } = byHand();
    const { queue, clock } = harness(handle, { timeoutMs: 1000 });
    queue.add('slow');
    await clock.advance(20_000);
    queue.add('slow');
    expect(queue.stuckKeys(clock.nowMs())).toEqual([]);
    await clock.advance(20_000);
    expect(queue.stuckKeys(clock.nowMs())).toEqual(['slow']);
    expect(started).toEqual(['slow']);
    open[0]?.end();
    await settle();
    expect(started).toEqual(['slow', 'slow']);
  });
});

describe('all keys', () => {
  it('shares the workers, and retries of all together are limited', async () => {
    let most = 0;
    let running = 0;
    let handled = 0;
    const { queue, clock } = harness(
      async () => {
        handled += 1;
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => clock.after(1, () => resolve(undefined)));
        running -= 1;
        throw new Error('no');
      },
      { workers: 4 },
    );
    for (let index = 0; index < 1000; index += 1) queue.add(`k${index}`);
    await clock.advance(20_000);
    expect(most).toBe(4);
    // Each once, a burst of 100, and ten a second.
    expect(handled).toBeGreaterThan(1000);
    expect(handled).toBeLessThan(1000 + 100 + 201);
  });

  it('stops: aborts what runs, takes nothing more, and waits for the ends', async () => {
    const { handle, open, started } = byHand();
    const { queue, clock } = harness(handle, { workers: 1 });
    queue.add('a');
    queue.add('b');
    let stopped = false;
    const stop = queue.stop(5000).then(() => {
      stopped = true;
    });
    await settle();
    expect(open[0]?.signal.aborted).toBe(true);
    expect(stopped).toBe(false);
    open[0]?.fail(new Error('aborted'));
    await stop;
    queue.add('c');
    queue.addAfter('c', 1);
    await clock.advance(10_000);
    expect(started).toEqual(['a']);
  });

  it('never handles a key twice at once, and handles each after its last add', async () => {
    const steps = fc.array(
      fc.record({ key: fc.integer({ min: 0, max: 3 }), afterMs: fc.integer({ min: 0, max: 40 }), waitMs: fc.nat(20) }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 3 }), async (plan, workers) => {
        const running = new Set<string>();
        const startedMs = new Map<string, number>();
        let calls = 0;
        const { queue, clock } = harness(
          async (key) => {
            if (running.has(key)) throw new Error('twice at once');
            running.add(key);
            startedMs.set(key, clock.nowMs());
            calls += 1;
            const fails = calls % 3 === 0;
            await new Promise((resolve) => clock.after(calls % 7, () => resolve(undefined)));
            running.delete(key);
            if (fails) throw new Error('now and then');
          },
          { workers },
        );
        const addedMs = new Map<string, number>();
        for (const { key, afterMs, waitMs } of plan) {
          queue.addAfter(String(key), afterMs);
          if (afterMs === 0) addedMs.set(String(key), clock.nowMs());
          await clock.advance(waitMs);
        }
        await clock.advance(5000);
        expect(queue.empty).toBe(true);
        for (const [key, atMs] of addedMs) expect(startedMs.get(key)).toBeGreaterThanOrEqual(atMs);
      }),
      { numRuns: 50 },
    );
  });
});
