import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KubeApiError, type KubeObject } from './kube-api.ts';
import { LeaderElection } from './leader-election.ts';
import { leases } from './resources.ts';
import { ApiStore } from './testing/api-store.ts';
import { MemoryKube, type MemoryKubeOptions } from './testing/memory-kube.ts';
import { settle, VirtualClock } from './testing/virtual-clock.ts';

type Lease = KubeObject & { readonly spec: Readonly<Record<string, unknown>> };

function candidate(clock: VirtualClock, store: ApiStore, identity: string, options: MemoryKubeOptions = {}) {
  const client = new MemoryKube({ ...options, store });
  const events: string[] = [];
  const election = new LeaderElection({
    client,
    namespace: 'ops',
    name: 'operator',
    identity,
    clock,
    random: () => 0.5,
    onElected: () => events.push(`elected ${clock.nowMs()}`),
    onLost: () => events.push(`lost ${clock.nowMs()}`),
  });
  return { election, events, client };
}

function harness() {
  const clock = new VirtualClock();
  const store = new ApiStore({ wallMs: () => clock.wallMs() });
  const leaseOf = () => store.get<Lease>(leases, 'ops', 'operator')?.spec;
  return { clock, store, leaseOf };
}

describe('one candidate', () => {
  it('makes the Lease, renews it, and gives it back', async () => {
    const { clock, store, leaseOf } = harness();
    const { election, events } = candidate(clock, store, 'one');
    election.start();
    await settle();
    expect(events).toEqual(['elected 0']);
    expect(leaseOf()).toMatchObject({ holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 0 });
    await clock.advance(10_000);
    expect(leaseOf()).toMatchObject({ renewTime: '2023-11-14T22:13:30.000000Z' });
    expect(leaseOf()).toMatchObject({ acquireTime: '2023-11-14T22:13:20.000000Z' });
    await election.stop();
    expect(leaseOf()).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    expect(election.isLeader).toBe(false);
    expect(events).toHaveLength(1);
  });

  it('needs no reads while it renews', async () => {
    const { clock, store } = harness();
    let reads = 0;
    const { election } = candidate(clock, store, 'one', {
      beforeRead: () => {
        reads += 1;
      },
    });
    election.start();
    await clock.advance(100_000);
    expect(reads).toBe(1);
    expect(election.isLeader).toBe(true);
    await election.stop();
  });

  it('makes a Lease again that was deleted, and goes on', async () => {
    const { clock, store, leaseOf } = harness();
    const { election, events } = candidate(clock, store, 'one');
    election.start();
    await clock.advance(5000);
    store.delete(leases, 'ops', 'operator');
    await clock.advance(20_000);
    expect(leaseOf()).toMatchObject({ holderIdentity: 'one' });
    expect(events).toEqual(['elected 0']);
    await election.stop();
  });

  it.each([
    { name: 'fails', hook: () => Promise.reject(new KubeApiError('no', { status: 500 })) },
    { name: 'hangs', hook: () => new Promise<void>(() => {}) },
  ])('gives up ten seconds after the last renewal when the API server $name', async ({ hook }) => {
    const { clock, store } = harness();
    let broken = false;
    const { election, events } = candidate(clock, store, 'one', { beforeWrite: () => (broken ? hook() : undefined) });
    election.start();
    await clock.advance(5000);
    broken = true;
    await clock.advance(60_000);
    expect(events).toEqual(['elected 0', 'lost 14000']);
    expect(election.isLeader).toBe(false);
  });

  it('survives an API server that is away for less', async () => {
    const { clock, store } = harness();
    let broken = false;
    const { election, events } = candidate(clock, store, 'one', {
      beforeWrite: () => {
        if (broken) throw new KubeApiError('no', { status: 503 });
      },
    });
    election.start();
    await clock.advance(5000);
    broken = true;
    await clock.advance(6000);
    broken = false;
    await clock.advance(60_000);
    expect(events).toEqual(['elected 0']);
    expect(election.isLeader).toBe(true);
    await election.stop();
  });
});

describe('two candidates', () => {
  it('take turns: the second leads at once after a release, and after the full time after a death', async () => {
    const { clock, store, leaseOf } = harness();
    const one = candidate(clock, store, 'one');
    const two = candidate(clock, store, 'two');
    one.election.start();
    await settle();
    two.election.start();
    await clock.advance(30_000);
    expect(two.events).toEqual([]);
    expect(two.election.leader).toBe('one');
    await one.election.stop();
    await clock.advance(5000);
    expect(two.election.isLeader).toBe(true);
    expect(leaseOf()).toMatchObject({ holderIdentity: 'two', leaseTransitions: 1 });

    const three = candidate(clock, store, 'three');
    three.election.start();
    await clock.advance(4000);
    two.client.kill();
    const diedMs = clock.nowMs();
    await clock.advance(14_000);
    expect(three.events).toEqual([]);
    await clock.advance(6000);
    expect(three.events).toHaveLength(1);
    expect(Number(three.events[0]?.split(' ')[1])).toBeLessThanOrEqual(diedMs + 20_000);
    await three.election.stop();
  });

  it('stops at once when it sees another one named', async () => {
    const { clock, store } = harness();
    const { election, events } = candidate(clock, store, 'one');
    election.start();
    await clock.advance(3000);
    store.patch(leases, 'ops', 'operator', { spec: { holderIdentity: 'usurper' } });
    await clock.advance(2000);
    expect(events).toEqual(['elected 0', 'lost 4000']);
  });

  it('never lead at the same time, whatever fails', async () => {
    const fault = fc.constantFrom('none', 'none', 'none', 'before', 'after', 'hang', 'hang-after', 'slow');
    const plan = fc.array(fault, { minLength: 30, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(plan, async (faults) => {
        const { clock, store } = harness();
        let call = 0;
        const meddle = (when: 'before' | 'after'): Promise<void> => {
          const kind = faults[Math.floor(call / 2) % faults.length];
          call += 1;
          if (kind === when) return Promise.reject(new KubeApiError('by plan', { status: 0 }));
          const waitsMs = kind === 'slow' ? 3000 : kind === (when === 'before' ? 'hang' : 'hang-after') ? 12_000 : 0;
          return new Promise((resolve) => {
            clock.after(waitsMs, resolve);
          });
        };
        const options = { beforeWrite: () => meddle('before'), afterWrite: () => meddle('after') };
        const all = ['one', 'two', 'three'].map((name) => candidate(clock, store, name, options));
        for (const { election } of all) election.start();
        for (let step = 0; step < 400; step += 1) {
          await clock.advance(250);
          const leaders = all.filter(({ election }) => election.isLeader);
          expect(leaders.length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 30 },
    );
  });
});
