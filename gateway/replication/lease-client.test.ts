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
