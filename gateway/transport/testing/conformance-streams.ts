import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from './recorder.ts';
import { boundSocket } from './relay.ts';
import { door, nameOf, type Pairing, Rig, send } from './rig.ts';

function framed(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(frame.length);
      return [header, frame];
    }),
  );
}

/** Bytes of a stream as no honest client cuts them, halves of streams, and datagrams that are nothing. */
export function streamConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: streams`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());

    it('finds frames cut at every byte', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const [mine] = await rig.pair(client, server);
      const frames = [Buffer.from('first'), Buffer.alloc(0), Buffer.from('the third one')];
      const stream = framed(...frames);
      for (let cut = 0; cut <= stream.length; cut++) {
        const answered = client.events.frameCount + frames.length;
        for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
          door(client).sendBytes(mine, piece);
          client.transport.flush();
          await new Promise(setImmediate);
        }
        await client.events.until('its echoes', () => client.events.frameCount === answered);
      }
      const echoes = client.events.framesOf(mine).map(String);
      expect(new Set(echoes)).toEqual(new Set(['first', '', 'the third one']));
      expect(echoes.slice(-3)).toEqual(['first', '', 'the third one']);
    });

    it('hands over many frames in few batches', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine] = await rig.talking(client, server);
      let batches = 0;
      server.events.onBatch = () => {
        batches += 1;
      };
      send(client, mine, ...Array.from({ length: 1000 }, () => Buffer.alloc(8)));
      await server.events.until('all frames', () => server.events.frameCount === 1001);
      expect(batches).toBeLessThan(200);
    });

    it('delivers what came before a FIN, then says fin, and answers on its own half', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const [mine, theirs] = await rig.pair(client, server);
      client.transport.send(mine, Buffer.from('the end'));
      door(client).finish(mine);
      client.transport.flush();
      expect(await server.events.untilClosed(theirs)).toEqual({ origin: 'fin', code: 0, reason: '' });
      expect(server.events.framesOf(theirs).map(String)).toEqual(['the end']);
      expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'peer', code: 0 });
    });

    it('says when a FIN cuts a frame', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [cut, cutTheirs] = await rig.pair(client, server);
      door(client).sendBytes(cut, Buffer.from([0, 0, 0, 9, 1]));
      door(client).finish(cut);
      client.transport.flush();
      expect(await server.events.untilClosed(cutTheirs)).toEqual({ origin: 'fin', code: 0, reason: 'inside a frame' });
    });

    it('refuses an announced length over the limit before its bytes come', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine, theirs] = await rig.pair(client, server);
      door(client).sendBytes(mine, Buffer.from([0xff, 0xff, 0xff, 0xff]));
      client.transport.flush();
      expect(await server.events.untilClosed(theirs)).toMatchObject({ origin: 'local', code: 4002 });
      expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'peer', code: 4002 });
    });

    it('throws garbage away and serves on', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const [mine] = await rig.pair(client, server);
      const socket = await boundSocket();
      const { port } = server.transport.address;
      const garbage = Array.from({ length: 300 }, (_, index) => randomBytes(1 + ((index * 37) % 1400)));
      // The long-header and short-header forms, and an Initial of a version nobody speaks.
      for (const [index, datagram] of garbage.entries()) datagram[0] = [0xc3, 0x43, 0x00, 0xff][index % 4] ?? 0;
      for (const datagram of garbage) socket.send(datagram, port, '127.0.0.1');
      await eventually('the garbage is counted', () => server.transport.stats().datagramsReceived >= 300);
      send(client, mine, Buffer.from('still here'));
      await client.events.until('an echo', () => client.events.frameCount === 1);
      expect(server.transport.stats().datagramsDropped).toBeGreaterThan(100);
      expect(server.transport.stats().connections).toBe(1);
      socket.close();
    });

    it('forgets a handshake that does not go on', async () => {
      const [server, client] = [await rig.server({ handshakeTimeoutMs: 200 }), await rig.client()];
      const relay = await rig.relay(server);
      relay.passToClient = () => [];
      // A client hello may take two datagrams; its first is enough to begin with.
      relay.passToServer = (datagram) => (relay.fromClient.length === 1 ? [datagram] : []);
      client.transport.connect({ host: '127.0.0.1', port: relay.port, serverName: 'localhost' });
      await eventually('a handshake', () => server.transport.stats().handshakes === 1);
      await eventually('none', () => server.transport.stats().handshakes === 0);
      expect(server.events.opened.size + server.events.closed.size).toBe(0);
    });
  });
}
