import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventLine, FakeLeaseServer } from '../testing/fake-lease-server.ts';
import { makeAuthority } from '../transport/testing/certificates.ts';
import type { ArbiterAnswer, ArbiterRequest, Lease, LeaseContent } from './arbiter.ts';
import { KubernetesArbiter } from './kubernetes-arbiter.ts';
import { LeaseHttp } from './lease-http.ts';

const timeoutMs = 1_000;
const content: LeaseContent = { epoch: 5, history: 'h', holder: 'a/1', inSync: ['a/1'] };
const read: ArbiterRequest = { kind: 'read' };

let server: FakeLeaseServer;
let files: { token: string; authority: string };
let problems: string[];
let changes: number;
let api: LeaseHttp;
let arbiter: KubernetesArbiter;

function connect(): KubernetesArbiter {
  const place = { namespace: 'ns', name: 'shop-p0' };
  const random = () => 0;
  const { readToken, readAuthority } = { readToken: () => files.token, readAuthority: () => files.authority };
  api = new LeaseHttp({ ...place, server: server.url, timeoutMs, readToken, readAuthority, random });
  const changed = () => {
    changes += 1;
  };
  return new KubernetesArbiter({ ...place, api, random, changed, onProblem: (problem) => problems.push(problem) });
}

beforeEach(async () => {
  server = await FakeLeaseServer.start();
  files = { token: `${server.token}\n`, authority: server.authority.certificate };
  problems = [];
  changes = 0;
  arbiter = connect();
});

afterEach(async () => {
  arbiter.stop();
  api.close();
  await server.close();
});

function ask(request: ArbiterRequest): Promise<ArbiterAnswer> {
  return new Promise((resolve) => arbiter.ask(request, resolve));
}

function swap(expected: Lease | undefined, next: LeaseContent): Promise<ArbiterAnswer> {
  return ask({ kind: 'swap', expected, next });
}

async function leaseNow(): Promise<Lease | undefined> {
  const answer = await ask(read);
  if (answer.kind !== 'lease') throw new Error(answer.kind);
  return answer.lease;
}

/** Makes the first Lease. */
async function first(): Promise<Lease> {
  await leaseNow();
  const answer = await swap(undefined, content);
  if (answer.kind !== 'swapped') throw new Error(answer.kind);
  return answer.lease;
}

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('the arbiter in Kubernetes', () => {
  it('makes, reads and changes the Lease by compare-and-swap', async () => {
    expect(await leaseNow()).toBeUndefined();
    const made = await first();
    expect(made).toMatchObject(content);
    expect(await leaseNow()).toEqual(made);
    const grown = { ...content, inSync: ['a/1', 'b/1'] };
    const answer = await swap(made, grown);
    expect(answer).toMatchObject({ kind: 'swapped', lease: grown });
    expect((await leaseNow())?.revision).toBeGreaterThan(made.revision);
    // The version before it is no longer there to be changed, which needs no asking.
    const asked = server.requests.length;
    expect(await swap(made, content)).toEqual({ kind: 'conflict' });
    expect(server.requests).toHaveLength(asked);
    expect(problems).toEqual([]);
  });

  it('loses against one who was faster', async () => {
    const made = await first();
    server.set({ ...server.object });
    expect(await swap(made, { ...content, epoch: 6 })).toEqual({ kind: 'conflict' });
    expect(await leaseNow()).toMatchObject({ epoch: 5 });
  });

  it('loses against one who made the first', async () => {
    await leaseNow();
    const other = connect();
    await new Promise((resolve) => other.ask(read, resolve));
    await new Promise((resolve) => other.ask({ kind: 'swap', expected: undefined, next: content }, resolve));
    expect(await swap(undefined, { ...content, holder: 'b/1', inSync: ['b/1'] })).toEqual({ kind: 'conflict' });
    expect(await leaseNow()).toMatchObject(content);
  });

  it('does not bring a deleted Lease back by a change, nor mistake another of that name for it', async () => {
    const made = await first();
    const stored = server.object;
    server.set(undefined);
    expect(await swap(made, { ...content, inSync: ['a/1', 'b/1'] })).toEqual({ kind: 'conflict' });
    expect(await leaseNow()).toBeUndefined();
    server.set({ ...stored, metadata: { name: 'shop-p0', namespace: 'ns', uid: 'another', annotations: {} } });
    expect(await swap(made, content)).toEqual({ kind: 'conflict' });
  });

  it('takes a prepared Lease over with what its owner wrote', async () => {
    const ownerReferences = [{ kind: 'GateSvr', name: 'shop' }];
    const metadata = { name: 'shop-p0', namespace: 'ns', ownerReferences };
    server.set({ metadata });
    const made = await first();
    expect(made).toMatchObject(content);
    expect(server.object).toMatchObject({ metadata: { ownerReferences } });
  });

  it.each([
    ['a write that was carried out and not answered', 'lost', 6],
    ['a write that hangs', 'hang', 5],
    ['a write that fails inside', 500, 5],
    ['a server that is busy', 429, 5],
    ['a gateway that may not', 403, 5],
  ] as const)('does not know the outcome of %s', async (_name, fault, epoch) => {
    const made = await first();
    server.faults.push(fault);
    expect(await swap(made, { ...content, epoch: 6 })).toEqual({ kind: 'unknown' });
    expect(problems).toHaveLength(1);
    expect(await leaseNow()).toMatchObject({ epoch });
    expect(problems.at(-1)).toBe('');
  });

  it('knows nothing while nobody answers, and says so once', async () => {
    await first();
    server.faults.push(500, 500, 503);
    for (const expected of ['unknown', 'unknown', 'unknown', 'lease']) expect((await ask(read)).kind).toBe(expected);
    expect(problems).toEqual([
      'Lease ns/shop-p0: HTTP 500: as the test asked',
      'Lease ns/shop-p0: HTTP 503: as the test asked',
      '',
    ]);
  });

  it('tells what was written into the Lease by hand, and works again once it is mended', async () => {
    const made = await first();
    const stored = server.object;
    const annotations = { ...stored?.metadata.annotations, 'gatesvr.io/epoch': 'six' };
    server.set({ ...stored, metadata: { ...server.object?.metadata, annotations } as never });
    expect(await ask(read)).toEqual({ kind: 'unknown' });
    expect(await swap(made, content)).toEqual({ kind: 'conflict' });
    expect(problems[0]).toContain('metadata.annotations[gatesvr.io/epoch]: "six": expected a whole number');
    server.set({ ...stored });
    expect(await leaseNow()).toMatchObject(content);
  });

  it('reads token and authority anew when they were replaced', async () => {
    await first();
    const token = files.token;
    files.token = 'expired';
    expect(await ask(read)).toEqual({ kind: 'unknown' });
    files.token = token;
    files.authority = (await makeAuthority()).certificate;
    expect(await ask(read)).toEqual({ kind: 'unknown' });
    files.authority = server.authority.certificate;
    expect(await leaseNow()).toMatchObject(content);
    expect(problems[0]).toContain('HTTP 401');
    expect(problems[1]).toMatch(/certificate/);
  });
});

describe('the watch of the Lease', () => {
  beforeEach(async () => {
    await first();
    arbiter.start();
    await until(() => server.watching === 1);
  });

  it('tells of what others write, not of its own', async () => {
    const made = await leaseNow();
    await swap(made, { ...content, epoch: 6 });
    await leaseNow();
    const before = changes;
    server.set({ ...server.object });
    await until(() => changes > before);
    expect(changes).toBe(before + 1);
  });

  it('tells of a deletion', async () => {
    server.set(undefined);
    await until(() => changes > 0);
  });

  it('goes on from where it was when its connection is cut, and has the Lease read', async () => {
    server.say(eventLine('BOOKMARK', { kind: 'Lease', metadata: { resourceVersion: '4711' } }));
    const reads = changes;
    await leaseNow();
    server.cut();
    await until(() => server.requests.includes('WATCH 4711'));
    expect(changes).toBeGreaterThan(reads);
  });

  it.each([
    ['an answer 410', () => server.watchFaults.push(410) && server.cut()],
    ['an event 410', () => server.say(eventLine('ERROR', { kind: 'Status', code: 410, message: 'too old' }))],
  ])('begins anew after %s', async (_name, gone) => {
    server.say(eventLine('BOOKMARK', { kind: 'Lease', metadata: { resourceVersion: '4711' } }));
    await leaseNow();
    gone();
    const begun = () => server.requests.filter((request) => request === 'WATCH').length;
    await until(() => begun() === 2);
  });

  it.each([
    ['an error inside', () => server.say(eventLine('ERROR', { kind: 'Status', code: 500, message: 'etcd' })), 'etcd'],
    ['what is no event', () => server.say('<html>\n'), 'JSON'],
    ['a refusal', () => server.watchFaults.push(403) && server.cut(), 'as the test asked'],
    ['a server that hangs', () => server.watchFaults.push('hang') && server.cut(), 'no answer within'],
  ])('comes back after %s', async (_name, fails, problem) => {
    fails();
    await until(() => problems.some((text) => text.includes(problem)));
    await until(() => server.watching === 1);
    const before = changes;
    server.set({ ...server.object });
    await until(() => changes > before && problems.at(-1) === '');
  });
});
