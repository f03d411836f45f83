import { createSocket } from 'node:dgram';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../bench/lib/child.ts';
import { patientFlags, type RunningGateway, startExampleZones, startGateway } from '../../bench/lib/gateways.ts';
import { residentBytesOf } from '../../bench/lib/process-usage.ts';
import { ErrorCode } from '../../gateway/protocol/error-codes.ts';
import { Goaway, PushType, RequestType, ErrorCode as WireCode } from '../../proto/gen/message.ts';
import { RawClient } from './raw-client.ts';

const setUpDeadlineMs = 120_000;

let gateway: RunningGateway;
let zones: readonly Child[] = [];
let client: RawClient;

beforeAll(async () => {
  const flags = ['--upstream-zone-count=1', '--start-timeout=1s', '--idle-timeout=2s', '--heartbeat-interval=500ms'];
  gateway = await startGateway([...flags, '--log-level=error', ...patientFlags]);
  zones = await startExampleZones(gateway, ['001']);
  client = new RawClient(gateway.quicAddress);
}, setUpDeadlineMs);

afterAll(async () => {
  await client?.stop();
  for (const child of [...zones, gateway?.process]) await child?.stop();
});

/** Somebody else is served as if nothing were. */
async function expectServed(openid: string): Promise<void> {
  const innocent = await client.login(openid);
  expect(await innocent.outcome(innocent.business('echo', 'still here', 1))).toBe('still here');
  innocent.request(RequestType.REQUEST_STOP);
  expect(await innocent.closeCode()).toBe(0);
}

describe('a hostile client', () => {
  it.each([
    ['bytes that are no protobuf', Buffer.alloc(100, 0xff)],
    ['groups in groups in groups', Buffer.alloc(60_000, 0x0b)],
    ['a length past the end', Buffer.from([0x22, 0xff, 0xff, 0xff, 0x0f])],
  ])('that sends %s is closed, and nobody else (34)', async (_what, bytes) => {
    const fresh = client.connect();
    fresh.frame(bytes);
    expect(await fresh.closeCode()).toBe(ErrorCode.ERROR_PROTOCOL);
    const started = await client.login('mallory');
    started.frame(bytes);
    expect(await started.closeCode()).toBe(ErrorCode.ERROR_PROTOCOL);
    await expectServed('innocent-34');
  });

  it('that sends a frame over the limit is closed before it is read (35)', async () => {
    const connection = await client.login('mallory');
    connection.frame(Buffer.alloc(65_537));
    expect(await connection.closeCode()).toBe(ErrorCode.ERROR_FRAME_TOO_LARGE);
    await expectServed('innocent-35');
  });

  it('that never says START is closed, as is one that falls silent (36)', async () => {
    const silent = client.connect();
    const idle = await client.login('sleeper');
    expect(await silent.closeCode()).toBe(ErrorCode.ERROR_START_TIMEOUT);
    expect(await idle.closeCode()).toBe(ErrorCode.ERROR_IDLE_TIMEOUT);
  });

  it('that acknowledges what was never sent is closed (39), and one that goes back is ignored (40)', async () => {
    const liar = await client.login('liar');
    liar.ack(1_000_000);
    expect(await liar.closeCode()).toBe(ErrorCode.ERROR_PROTOCOL);
    const backward = await client.login('backward');
    for (const seq of [1, 2, 3]) await backward.outcome(backward.business('echo', 'x', seq));
    for (const upTo of [3, 1, 0, 2]) backward.ack(upTo);
    expect(await backward.outcome(backward.business('echo', 'after', 4))).toBe('after');
    expect(backward.closed).toBeUndefined();
  });

  it('that says START twice, or something else first, is closed', async () => {
    const twice = await client.login('twice');
    twice.request(RequestType.REQUEST_START);
    expect(await twice.closeCode()).toBe(ErrorCode.ERROR_PROTOCOL);
    const early = client.connect();
    early.request(RequestType.REQUEST_HEARTBEAT);
    expect(await early.closeCode()).toBe(ErrorCode.ERROR_PROTOCOL);
  });
});

describe('a resume', () => {
  it('with a token that was used is refused (41)', async () => {
    const first = await client.login('carol');
    const { sessionId, epoch, resumeToken } = first.session;
    const second = await client.login('carol', { sessionId, epoch, resumeToken });
    expect(second.session).toMatchObject({ success: true, resumed: true, sessionId });
    expect(await second.outcome(second.business('echo', 'confirms', 1))).toBe('confirms');
    const third = await client.login('carol', { sessionId, epoch, resumeToken });
    expect(third.session.success).toBe(false);
    expect(third.session.error?.code).toBe(WireCode.ERROR_RESUME_REJECTED);
    expect(await third.closeCode()).toBe(ErrorCode.ERROR_RESUME_REJECTED);
    expect(await second.outcome(second.business('echo', 'unharmed', 2))).toBe('unharmed');
  });

  it('with any bit of its token changed, or for another openid, is refused', async () => {
    const { session } = await client.login('dave');
    for (const place of [0, 5, session.resumeToken.length - 1]) {
      const resumeToken = Buffer.from(session.resumeToken);
      resumeToken[place] = (resumeToken[place] ?? 0) ^ 1;
      const forged = await client.login('dave', { sessionId: session.sessionId, epoch: session.epoch, resumeToken });
      expect(forged.session.error?.code).toBe(WireCode.ERROR_RESUME_REJECTED);
    }
    const { sessionId, epoch, resumeToken } = session;
    const thief = await client.login('mallory', { sessionId, epoch, resumeToken });
    expect(thief.session).toMatchObject({ success: false, error: { code: WireCode.ERROR_RESUME_REJECTED } });
  });

  it('from two places at once leaves the newest (43)', async () => {
    const { session } = await client.login('erin');
    const { sessionId, epoch, resumeToken } = session;
    const rivals = await Promise.all([1, 2].map(() => client.login('erin', { sessionId, epoch, resumeToken })));
    expect(rivals.map((rival) => rival.session.resumed)).toEqual([true, true]);
    const told = rivals.filter((rival) => rival.pushes.some((push) => push.type === PushType.PUSH_GOAWAY));
    expect(told.length).toBe(1);
    const [loser] = told;
    const goaway = loser?.pushes.find((push) => push.type === PushType.PUSH_GOAWAY);
    expect(Goaway.decode(goaway?.payload ?? Buffer.alloc(0)).reconnect).toBe(false);
    const winner = rivals.find((rival) => rival !== loser);
    expect(await winner?.outcome(winner.business('echo', 'mine', 1))).toBe('mine');
  });
});

/** Datagrams that look a little like QUIC: version 1 Initials of unknown clients, short headers, noise. */
function hostileDatagram(number: number): Buffer {
  const bytes = Buffer.alloc(number % 3 === 0 ? 1200 : 40 + (number % 400), number % 251);
  if (number % 3 === 0) {
    bytes[0] = 0xc0 | (number % 16);
    bytes.writeUInt32BE(1, 1);
    bytes[5] = 8;
    bytes.writeUInt32BE(number, 6);
    bytes[14] = 8;
  } else if (number % 3 === 1) bytes[0] = 0x40 | (number % 64);
  return bytes;
}

describe('a flood of datagrams', () => {
  const datagrams = 1_000_000;
  const batch = 500;

  async function flood(count: number): Promise<void> {
    const [host, port] = gateway.quicAddress.split(':');
    const socket = createSocket('udp4');
    for (let sent = 0; sent < count; sent += batch) {
      const sends = Array.from({ length: batch }, (_, index) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        socket.send(hostileDatagram(sent + index), Number(port), host, () => resolve());
        return promise;
      });
      await Promise.all(sends);
    }
    socket.close();
  }

  it('neither ends the gateway nor makes it grow (37)', { timeout: 300_000 }, async () => {
    await flood(datagrams / 10);
    const before = residentBytesOf(gateway.process.pid);
    await flood(datagrams);
    await expectServed('innocent-37');
    const grown = () => residentBytesOf(gateway.process.pid) / before;
    await expect.poll(grown, { timeout: 60_000, interval: 500 }).toBeLessThan(1.1);
  });
});
