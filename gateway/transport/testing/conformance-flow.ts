import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectionId, TransportStats } from '../transport.ts';
import { eventually } from './recorder.ts';
import { type Client, nameOf, type Pairing, Rig, type Server, send } from './rig.ts';
import { StalledPeer } from './stalled-peer.ts';

const frame = Buffer.alloc(10_000, 5);
const sendBufferBytes = { low: 100_000, high: 400_000, hard: 3_000_000 };
/** What may be under way beside the buffers of both ends: windows of QUIC, and the packets' own bytes. */
const windowsBytesMax = 2_500_000;

/** Slow readers on either side cost bounded memory and lose nothing. */
export function flowConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: backpressure`, () => {
    const rig = new Rig(pairing);
    const peers: StalledPeer[] = [];
    afterEach(async () => {
      await Promise.all(peers.map((peer) => peer.stop()));
      peers.length = 0;
      await rig.stop();
    });

    const stalled = async (role: 'server' | 'client', port = 0) => {
      const peer = await StalledPeer.start(pairing[role].module, role, port);
      peers.push(peer);
      return peer;
    };

    it('tells when a client does not read, and when it reads again', async () => {
      const server = await rig.server({ sendBufferBytes });
      const peer = await stalled('client', server.transport.address.port);
      await server.events.until('its frame', () => server.events.frameCount === 1);
      const [theirs = 0] = server.events.opened.keys();
      await peer.stall();
      const queued = await sendUntilFull(server, theirs);
      expect(queued * frame.length).toBeLessThan(sendBufferBytes.high + windowsBytesMax);
      expect(server.events.writable).toEqual([]);
      peer.resume();
      await server.events.until('writable', () => server.events.writable.includes(theirs));
      expect(await peer.received(queued)).toEqual({ frames: queued, bytes: queued * frame.length });
      expect(send(server, theirs, frame)).toBe(true);
    });

    it('closes a client that lets more wait than the hard limit, at once and with 2007', async () => {
      const server = await rig.server({ sendBufferBytes });
      const peer = await stalled('client', server.transport.address.port);
      await server.events.until('its frame', () => server.events.frameCount === 1);
      const [theirs = 0] = server.events.opened.keys();
      await peer.stall();
      for (let sent = 0; sent < 1000; sent++) {
        send(server, theirs, frame);
        if (sent % 10 === 0) await new Promise(setImmediate);
      }
      await server.events.untilClosed(theirs);
      expect(server.events.closed.get(theirs)).toMatchObject({ origin: 'local', code: 2007 });
      peer.resume();
      const cause = await peer.closed();
      // Who stood still for longer than the close is repeated learns of it by a reset.
      const told =
        cause.origin === 'peer' ? { origin: 'peer', code: 2007 } : { origin: 'lost', reason: 'reset by peer' };
      expect(cause).toMatchObject(told);
    });

    it('stops reading while its own listener is behind, and loses nothing', async () => {
      const peer = await stalled('server');
      const client = await rig.client({ sendBufferBytes: { ...sendBufferBytes, hard: 1 << 30 } });
      const mine = client.transport.connect({ host: '127.0.0.1', port: peer.port, serverName: 'localhost' });
      await client.events.untilOpened(mine);
      await peer.stall();
      for (let sent = 0; sent < 2000; sent++) send(client, mine, frame);
      const stats = await settledStats(client);
      expect(stats.bytesSent).toBeLessThan(peer.receiveBufferBytesMax + windowsBytesMax);
      peer.resume();
      expect(await peer.received(2000)).toEqual({ frames: 2000, bytes: 2000 * frame.length });
    });
  });
}

async function sendUntilFull(server: Server, connection: ConnectionId): Promise<number> {
  for (let sent = 1; ; sent++) {
    if (!send(server, connection, frame)) return sent;
    if (sent > 10_000) throw new Error('send never answered false');
    await new Promise(setImmediate);
  }
}

/** The client's figures once no more bytes leave it: QUIC's own timers aside, it is blocked. */
async function settledStats(client: Client): Promise<TransportStats> {
  let [last, since] = [-1, performance.now()];
  await eventually('nothing leaves the client', () => {
    const { bytesSent } = client.transport.stats();
    if (Math.abs(bytesSent - last) > 2000) [last, since] = [bytesSent, performance.now()];
    return performance.now() - since > 300;
  });
  return client.transport.stats();
}
