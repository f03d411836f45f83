import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClientHub, type GatesvrClientHub, type SessionReset } from '../client/client.ts';
import { freeAddresses } from './testing/free-addresses.ts';
import { eventually, GatesvrProcess, gatesvr } from './testing/gatesvr-process.ts';

const timeout = 120_000;
let quic = '';
let grpc = '';
let gateway: GatesvrProcess;
let gatewayFlags: string[] = [];
const zones: GatesvrProcess[] = [];

function client(...flags: string[]) {
  return gatesvr('client', '--addr', quic, '--insecure', '--timeout', '20s', ...flags);
}

function admin(name: string, ...flags: string[]) {
  return gatesvr('admin', name, '--gateway', grpc, '--timeout', '20s', ...flags);
}

beforeAll(async () => {
  const [quicAddress, grpcAddress, http, metrics] = await freeAddresses(4);
  quic = quicAddress;
  grpc = grpcAddress;
  const flags = [
    'gateway',
    '--dev',
    '--overload-protection-enabled=false',
    '--quic-addr',
    quic,
    '--grpc-addr',
    grpc,
    '--http-addr',
    http,
    '--metrics-addr',
    metrics,
  ];
  gatewayFlags = flags;
  gateway = new GatesvrProcess(flags);
  for (const zone of ['001', '003']) {
    zones.push(new GatesvrProcess(['upstream', '--zone', zone, '--addr', '127.0.0.1:0', '--gateway', grpc]));
  }
  await eventually('healthy zones', async () => {
    const { stdout } = await admin('zones', '--json');
    return stdout.match(/"healthy":true/g)?.length === 2 ? true : undefined;
  });
}, timeout);

afterAll(async () => {
  for (const zone of zones) expect((await zone.stop()).code).toBe(0);
  expect((await gateway.stop()).code).toBe(0);
}, timeout);

describe('one request', () => {
  it.each([
    ['echo', 'hi', 'hi\n'],
    ['hello', '', 'hello alice from zone 003\n'],
    ['login', '', 'welcome alice\n'],
    ['push-me', '3', 'ok\n'],
  ])('%s prints the response and nothing else', { timeout }, async (action, data, expected) => {
    const finished = await client('--openid', 'alice', '--action', action, '--data', data);
    expect(finished).toEqual({ code: 0, stdout: expected, stderr: '' });
  });

  it('in JSON', { timeout }, async () => {
    const { stdout } = await client('--openid', 'alice', '--action', 'echo', '--data', 'hi', '--json');
    expect(JSON.parse(stdout)).toEqual({ type: 'response', seq_id: 1, data: 'aGk=' });
  });

  it('that is refused ends with 4 and its code', { timeout }, async () => {
    const noZone = await client('--openid', 'user-1', '--action', 'echo');
    expect(noZone).toMatchObject({ code: 4, stdout: '' });
    expect(noZone.stderr).toMatch(/^gatesvr: ZONE_UNAVAILABLE: .*\n$/);
    const refused = await client('--openid', 'alice', '--action', 'unknown');
    expect(refused.stderr).toMatch(/^gatesvr: BAD_MESSAGE: .*\n$/);
  });

  it('does not trust a certificate that nobody vouches for', { timeout }, async () => {
    const { code } = await gatesvr(
      'client',
      '--addr',
      quic,
      '--openid',
      'alice',
      '--action',
      'echo',
      '--timeout',
      '2s',
    );
    expect(code).toBe(3);
  });
});

describe('a session in the terminal', () => {
  it('watches pushes in order, from its zone and from admin, until it is kicked', { timeout }, async () => {
    const flags = ['--addr', quic, '--openid', 'carol', '--insecure', '--timeout', '20s', '--json', '--watch'];
    const watching = new GatesvrProcess(['client', ...flags, '--action', 'push-me', '--data', '3']);
    await watching.says(/"seq_id":4/);
    expect((await admin('push', '--openid', 'carol', '--data', 'five', '--level', 'acked')).stdout).toBe(
      'ACKED as 5\n',
    );
    expect((await admin('broadcast', '--data', 'all')).stdout).toMatch(/^QUEUED, 1 of 1 sessions\n$/);
    await watching.says(/"seq_id":6/);
    const listed = JSON.parse((await admin('sessions', '--json')).stdout);
    expect(listed).toMatchObject({ openid: 'carol', zone_id: '003', connected: true });
    expect((await admin('kick', '--openid', 'carol', '--reason', 'enough')).code).toBe(0);
    const { code, stdout, stderr } = await watching.finished;
    expect(code).toBe(4);
    expect(stderr).toContain('KICKED');
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const told = lines.map(({ type, seq_id, data }) => [type, seq_id, Buffer.from(data, 'base64').toString()]);
    expect(told).toEqual([
      ['response', 1, 'ok'],
      ['notify', 2, 'push 1'],
      ['notify', 3, 'push 2'],
      ['notify', 4, 'push 3'],
      ['notify', 5, 'five'],
      ['notify', 6, 'all'],
    ]);
  });

  it('reads lines, resumes on demand and goes on', { timeout }, async () => {
    const input = 'echo one two\nunknown\n/reconnect\nhello\n/quit\n';
    const flags = ['--addr', quic, '--openid', 'alice', '--insecure', '--timeout', '20s'];
    const { code, stdout, stderr } = await new GatesvrProcess(['client', ...flags], input).finished;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'one two\nhello alice from zone 003\n' });
    expect(stderr).toContain('BAD_MESSAGE');
    expect(stderr).toContain('resumed at');
  });

  it('ends with 0 on SIGTERM', { timeout }, async () => {
    const flags = ['--addr', quic, '--openid', 'alice', '--insecure', '--timeout', '20s', '--watch'];
    const watching = new GatesvrProcess(['client', ...flags, '--action', 'echo', '--data', 'here']);
    await watching.says(/here/);
    expect((await watching.stop()).code).toBe(0);
  });
});

describe('admin', () => {
  it('says what there is', { timeout }, async () => {
    const status = JSON.parse((await admin('status', '--json')).stdout);
    expect(status).toMatchObject({ ready: true, draining: false, shards: [{ role: 'primary' }] });
    expect((await admin('status')).stdout).toMatch(/^SERVER +VERSION +STATE/);
    expect((await admin('zones')).stdout).toMatch(/^003 +127\.0\.0\.1:\d+ +1 +healthy$/m);
  });

  it('changes limits, and shows why it cannot', { timeout }, async () => {
    expect((await admin('limits', '--max-qps', '7000')).stdout).toMatch(/requests a second +1600 +7000/);
    const { code, stderr } = await admin('limits', '--max-qps', '0');
    expect(code).toBe(4);
    expect(stderr).toMatch(/^gatesvr: BAD_MESSAGE: .*max_qps/);
  });

  it('is told when nobody has the openid', { timeout }, async () => {
    const { code, stderr } = await admin('push', '--openid', 'nobody', '--data', 'x');
    expect(code).toBe(4);
    expect(stderr).toMatch(/^gatesvr: NO_SESSION/);
  });
});

describe('the SDK on real connections', () => {
  it('keeps every push and answer over forced reconnects', { timeout }, async () => {
    const hub: GatesvrClientHub = await createClientHub({ trust: { insecure: true } });
    const users = ['alice', 'bob', 'carol'];
    const results = await Promise.all(users.map((openid) => reconnectingUser(hub, openid)));
    for (const { seen, answers } of results) {
      expect(answers).toEqual(Array.from({ length: 40 }, (_, i) => `request ${i}`));
      expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => `push ${i + 1}`));
    }
    await hub.shutdown();
  });
});

describe('a gateway that is killed and comes back empty', () => {
  it('costs the session, which is said, and not the client', { timeout }, async () => {
    const hub = await createClientHub({ trust: { insecure: true } });
    const resets: SessionReset[] = [];
    const states: string[] = [];
    const client = await hub.connect({
      endpoints: [quic],
      openid: 'alice',
      backoffMaxMs: 500,
      connectTimeoutMs: 1_000,
      onSessionReset: (reset) => resets.push(reset),
      onStateChange: (state) => states.push(state),
    });
    const before = client.sessionId;
    await gateway.stop('SIGKILL');
    const answer = client.request('echo', 'still here', { timeoutMs: 60_000 });
    await eventually('loss', () => (client.state === 'reconnecting' ? true : undefined));
    // Sent into the void, so nobody knows what became of it; what is asked now waits.
    const waiting = client.request('echo', 'and again', { timeoutMs: 60_000 });
    gateway = new GatesvrProcess(gatewayFlags);
    await expect(answer).rejects.toMatchObject({ name: 'SessionLostError', outcome: 'unknown' });
    expect(Buffer.from(await waiting).toString()).toBe('and again');
    expect(resets).toMatchObject([{ lostRequests: 1 }]);
    expect(client.sessionId).not.toBe(before);
    expect(states.at(-1)).toBe('connected');
    await client.close();
    await hub.shutdown();
  });
});

async function reconnectingUser(hub: GatesvrClientHub, openid: string) {
  const seen: string[] = [];
  const seqs: number[] = [];
  const client = await hub.connect({
    endpoints: [quic],
    openid,
    onPush: (data, { seqId }) => {
      seen.push(Buffer.from(data).toString());
      seqs.push(seqId);
    },
  });
  await client.request('push-me', '100', { timeoutMs: 30_000 });
  const asked: Promise<Uint8Array>[] = [];
  for (let i = 0; i < 40; i += 1) {
    asked.push(client.request('echo', `request ${i}`, { timeoutMs: 60_000 }));
    if (i % 10 === 5) client.reconnect();
    if (i % 10 === 9) await eventually('connection', () => (client.state === 'connected' ? true : undefined));
  }
  const answers = (await Promise.all(asked)).map((data) => Buffer.from(data).toString());
  await eventually('all pushes', () => (seen.length >= 100 ? true : undefined));
  expect([...seqs].sort((a, b) => a - b)).toEqual(seqs);
  await client.close();
  return { seen, answers };
}
