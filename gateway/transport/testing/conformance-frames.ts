import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { ConnectionId } from '../transport.ts';
import { type Client, nameOf, type Pairing, Rig, type Server, send } from './rig.ts';

/** Frames arrive whole, unchanged and in order. */
export function framesConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: frames`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());

    it('echoes frames of every size up to the limit, in order', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const [mine] = await rig.pair(client, server);
      const sizes = [1, 0, 3, 100, 0, 1199, 1200, 4096, 65_535, 65_536, 2];
      const sent = sizes.map((size) => randomBytes(size));
      send(client, mine, ...sent);
      await client.events.until('all frames', () => client.events.framesOf(mine).length === sent.length);
      expect(client.events.framesOf(mine)).toEqual(sent);
    });

    it('joins head and body, and gives a shared body to each', async () => {
      const server = await rig.server();
      const clients = [await rig.client(), await rig.client(), await rig.client()];
      await expectShared(rig, server, clients, randomBytes(10));
      await expectShared(rig, server, clients, randomBytes(5000));
    });

    it('keeps the order of frames among shared ones', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine, theirs] = await rig.talking(client, server);
      const expected: Buffer[] = [];
      for (let index = 0; index < 200; index++) {
        // Flushes follow each other faster than the transport takes them; each may bring bodies of its own.
        const body = Buffer.from(`shared since ${index - (index % 10)}`);
        if (index % 10 === 0) server.transport.flush();
        const head = Buffer.from(`${index} `);
        if (index % 3 === 0) server.transport.send(theirs, head, body);
        else server.transport.send(theirs, head);
        expected.push(index % 3 === 0 ? Buffer.concat([head, body]) : head);
      }
      server.transport.flush();
      await client.events.until('all frames', () => client.events.framesOf(mine).length === expected.length);
      expect(client.events.framesOf(mine)).toEqual(expected);
    });

    it('closes with 4002 at a frame over the limit, and delivers those before it', async () => {
      const [server, client] = [await rig.server({ maxFrameBytes: 1000 }), await rig.client()];
      const [mine, theirs] = await rig.pair(client, server);
      send(client, mine, Buffer.alloc(1000, 1), Buffer.alloc(1001, 2));
      expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'peer', code: 4002 });
      expect(await server.events.untilClosed(theirs)).toMatchObject({ origin: 'local', code: 4002 });
      expect(server.events.framesOf(theirs)).toEqual([Buffer.alloc(1000, 1)]);
    });

    it('serves 2,000 connections of one client at once', async () => {
      const patience = { handshakeTimeoutMs: 60_000, idleTimeoutMs: 120_000 };
      const [server, client] = [await rig.echo(patience), await rig.client(patience)];
      client.events.onOpened = (connection) => send(client, connection, Buffer.from(`hello ${connection}`));
      const ids: ConnectionId[] = [];
      // In waves: on a busy machine 2,000 handshakes at once are an overload, which is another test's matter.
      while (ids.length < 2000) {
        for (let count = 0; count < 100; count++) ids.push(rig.connect(client, server));
        await client.events.until(`${ids.length} answers`, () => client.events.frameCount === ids.length, 50_000);
      }
      for (const id of ids) expect(String(client.events.framesOf(id)[0])).toBe(`hello ${id}`);
      expect(new Set(ids).size).toBe(2000);
      expect(server.transport.stats()).toMatchObject({ connections: 2000, framesReceived: 2000, framesSent: 2000 });
    });

    it('sends what was queued while the handshake ran', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const mine = rig.connect(client, server);
      send(client, mine, Buffer.from('early'), Buffer.from('bird'));
      await client.events.until('echoes', () => client.events.frameCount === 2);
      expect(client.events.framesOf(mine).map(String)).toEqual(['early', 'bird']);
    });

    it('ignores calls for connections that are gone', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine, theirs] = await rig.pair(client, server);
      client.transport.close(mine, 0, '');
      client.transport.flush();
      await server.events.untilClosed(theirs);
      expect(send(server, theirs, Buffer.from('late'))).toBe(true);
      server.transport.close(theirs, 1, 'late');
      server.transport.flush();
      const [again] = await rig.pair(client, server);
      expect(again).not.toBe(mine);
      expect(client.events.framesOf(again)).toEqual([]);
    });
  });
}

async function expectShared(rig: Rig, server: Server, clients: readonly Client[], body: Buffer): Promise<void> {
  const ids = [];
  for (const client of clients) ids.push(await rig.talking(client, server));
  for (const [, theirs] of ids) server.transport.send(theirs, Buffer.from(`for ${theirs}: `), body);
  server.transport.flush();
  for (const [index, client] of clients.entries()) {
    const [mine, theirs] = ids[index] ?? [0, 0];
    await client.events.until('its frame', () => client.events.framesOf(mine).length === 1);
    expect(client.events.framesOf(mine)[0]).toEqual(Buffer.concat([Buffer.from(`for ${theirs}: `), body]));
  }
}
