import { describe, expect, it } from 'vitest';
import type { Arbiter, ArbiterAnswer, ArbiterRequest, Lease } from './arbiter.ts';
import { LeaseClient, type LeasePurpose } from './lease-client.ts';

const lease = (change: Partial<Lease> = {}): Lease => {
  return { epoch: 5, history: 'h', holder: 'A/1', inSync: ['A/1'], revision: 1, token: 't1', ...change };
};

function client() {
  const requests: { request: ArbiterRequest; answer: (answer: ArbiterAnswer) => void }[] = [];
  const heard: string[] = [];
  const arbiter: Arbiter = { ask: (request, answer) => requests.push({ request, answer }) };
  const answered = (purpose: LeasePurpose, { kind }: ArbiterAnswer) => heard.push(`${purpose} ${kind}`);
  const leases = new LeaseClient({
    arbiter,
    timeoutMs: 500,
    readIntervalMs: 1_000,
    urgentReadIntervalMs: 200,
    answered,
  });
  const answer = (given: ArbiterAnswer) => requests.at(-1)?.answer(given);
  const write: ArbiterRequest = { kind: 'swap', expected: lease(), next: lease() };
  return { leases, requests, heard, answer, write };
}

describe('LeaseClient', () => {
  it('reads first, then now and then', () => {
    const { leases, requests, answer } = client();
    leases.tick(0);
    expect([requests.length, leases.known, leases.free]).toEqual([1, false, false]);
    answer({ kind: 'lease', lease: lease() });
    expect([leases.known, leases.free, leases.lease?.revision]).toEqual([true, true, 1]);
    leases.tick(900);
    expect(requests).toHaveLength(1);
    leases.tick(1_000);
    expect(requests).toHaveLength(2);
  });

  it('reads more often while the peer is lost, and after a read without an answer', () => {
    const { leases, requests, answer } = client();
    leases.tick(0);
    answer({ kind: 'lease', lease: lease() });
    leases.tick(100, true);
    leases.tick(300, true);
    expect(requests).toHaveLength(2);
    answer({ kind: 'unknown' });
    leases.tick(450);
    expect(requests).toHaveLength(2);
    leases.tick(500);
    expect(requests).toHaveLength(3);
  });

  it('reads once more when something changed after the read under way was sent', () => {
    const { leases, requests, answer } = client();
    leases.tick(0);
    leases.read();
    leases.read();
    expect(requests).toHaveLength(1);
    answer({ kind: 'lease', lease: lease() });
    expect([requests.length, leases.free]).toEqual([2, false]);
    answer({ kind: 'lease', lease: lease({ epoch: 6 }) });
    expect([requests.length, leases.free, leases.lease?.epoch]).toEqual([2, true, 6]);
  });

  it('knows a lost Lease: deleted, or set back to an old one, until there is a newer one', () => {
    const { leases, answer } = client();
    const reads = (present: Lease | undefined) => {
      leases.read();
      answer({ kind: 'lease', lease: present });
      return leases.missing;
    };
    leases.tick(0);
    expect(reads(undefined)).toBeUndefined();
    expect(reads(lease({ epoch: 6, revision: 7 }))).toBeUndefined();
    expect(reads(undefined)).toEqual({ present: undefined });
    const old = lease({ epoch: 6, revision: 4 });
    expect(reads(old)).toEqual({ present: old });
    expect(leases.lease).toMatchObject({ epoch: 6, revision: 7 });
    expect(reads(lease({ epoch: 7 }))).toBeUndefined();
  });

  it('says how long the arbiter leaves requests without an answer, not how long ago it was asked', () => {
    const { leases, answer } = client();
    leases.tick(0);
    answer({ kind: 'lease', lease: lease() });
    leases.tick(900);
    expect([leases.silentMs, leases.unchangedMs]).toEqual([0, 900]);
    leases.tick(1_000);
    leases.tick(1_400);
    expect(leases.silentMs).toBe(400);
    answer({ kind: 'unknown' });
    leases.tick(1_600);
    leases.tick(1_700);
    expect(leases.silentMs).toBe(700);
    answer({ kind: 'lease', lease: lease({ revision: 2 }) });
    expect([leases.silentMs, leases.unchangedMs]).toEqual([0, 0]);
  });

  it('keeps the newest Lease whatever comes late', () => {
    const { leases, answer } = client();
    leases.tick(0);
    answer({ kind: 'lease', lease: lease({ epoch: 6, revision: 4 }) });
    leases.read();
    answer({ kind: 'lease', lease: lease({ epoch: 5, revision: 9 }) });
    expect(leases.lease).toMatchObject({ epoch: 6, revision: 4 });
    leases.read();
    answer({ kind: 'lease', lease: lease({ epoch: 6, revision: 4, token: 'touched' }) });
    expect(leases.lease?.token).toBe('touched');
    leases.read();
    answer({ kind: 'lease', lease: undefined });
    expect(leases.lease?.token).toBe('touched');
  });

  it('counts evidence only from the tick after a Lease was first seen', () => {
    const { leases, answer } = client();
    leases.tick(0);
    answer({ kind: 'lease', lease: lease() });
    expect(leases.seenMs).toBe(Number.POSITIVE_INFINITY);
    leases.tick(70);
    expect(leases.seenMs).toBe(70);
    leases.tick(1_100);
    answer({ kind: 'lease', lease: lease({ token: 'touched' }) });
    expect(leases.seenMs).toBe(70);
  });

  it('has one request at a time; one without an answer is unknown, and what comes then means nothing', () => {
    const { leases, requests, heard, answer, write } = client();
    leases.tick(0);
    answer({ kind: 'lease', lease: lease() });
    leases.swap('promote', write);
    leases.swap('begin', write);
    expect(requests).toHaveLength(2);
    leases.tick(600);
    expect(heard).toEqual(['read lease', 'promote unknown']);
    requests[1]?.answer({ kind: 'swapped', lease: lease({ epoch: 9 }) });
    expect(leases.lease?.epoch).toBe(5);
  });

  it('reads again before it writes after a conflict or an unknown outcome', () => {
    const { leases, requests, answer, write } = client();
    leases.tick(0);
    answer({ kind: 'lease', lease: lease() });
    leases.swap('promote', write);
    answer({ kind: 'conflict' });
    expect(leases.free).toBe(false);
    leases.swap('promote', write);
    leases.tick(50);
    expect(requests.at(-1)?.request.kind).toBe('read');
    answer({ kind: 'lease', lease: lease() });
    expect(leases.free).toBe(true);
  });
});
