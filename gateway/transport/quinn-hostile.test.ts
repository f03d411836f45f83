import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, openClient } from './quinn.ts';
import { QuinnEndpoint } from './quinn-endpoint.ts';
import { eventually } from './testing/recorder.ts';
import { type Client, Rig, send } from './testing/rig.ts';

const rig = new Rig({ name: 'quinn', listen, openClient });
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await rig.stop();
});

async function udpSocket(): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  sockets.push(socket);
  await once(socket, 'listening');
  return socket;
}

function rawSender(client: Client): QuinnEndpoint {
  if (!(client.transport instanceof QuinnEndpoint)) throw new Error('not a quinn client');
  return client.transport;
}

function framed(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(frame.length);
      return [header, frame];
    }),
  );
}

describe('quinn: hostile peers', () => {
  it('finds frames cut at every byte', async () => {
    const [server, client] = [await rig.echo(), await rig.client()];
    const [mine] = await rig.pair(client, server);
    const raw = rawSender(client);
    const frames = [Buffer.from('first'), Buffer.alloc(0), Buffer.from('the third one')];
    const stream = framed(...frames);
    for (let cut = 0; cut <= stream.length; cut++) {
      const answered = client.events.frameCount + frames.length;
      for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
        raw.sendBytes(mine, piece);
        raw.flush();
        await new Promise(setImmediate);
      }
      await client.events.until('its echoes', () => client.events.frameCount === answered);
    }
    const echoes = client.events.framesOf(mine).map(String);
    expect(new Set(echoes)).toEqual(new Set(['first', '', 'the third one']));
    expect(echoes.slice(-3)).toEqual(['first', '', 'the third one']);
  });

  it('delivers what came before a FIN, then says fin', async () => {
    const [server, client] = [await rig.server(), await rig.client()];
    const [mine, theirs] = await rig.pair(client, server);
    const raw = rawSender(client);
    raw.send(mine, Buffer.from('the end'));
    raw.finish(mine);
    raw.flush();
    expect(await server.events.untilClosed(theirs)).toEqual({ origin: 'fin', code: 0, reason: '' });
    expect(server.events.framesOf(theirs).map(String)).toEqual(['the end']);
    expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'peer', code: 0 });
    const [cut, cutTheirs] = await rig.pair(client, server);
    raw.sendBytes(cut, Buffer.from([0, 0, 0, 9, 1]));
    raw.finish(cut);
    raw.flush();
    expect(await server.events.untilClosed(cutTheirs)).toEqual({ origin: 'fin', code: 0, reason: 'inside a frame' });
  });

  it('refuses an announced length over the limit before its bytes come', async () => {
    const [server, client] = [await rig.server(), await rig.client()];
    const [mine, theirs] = await rig.pair(client, server);
    rawSender(client).sendBytes(mine, Buffer.from([0xff, 0xff, 0xff, 0xff]));
    client.transport.flush();
    expect(await server.events.untilClosed(theirs)).toMatchObject({ origin: 'local', code: 4002 });
    expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'peer', code: 4002 });
  });

  it('throws garbage away and serves on', async () => {
    const [server, client] = [await rig.echo(), await rig.client()];
    const [mine] = await rig.pair(client, server);
    const socket = await udpSocket();
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
  });

  it('forgets a handshake that does not go on', async () => {
    const server = await rig.server({ handshakeTimeoutMs: 200 });
    const catcher = await udpSocket();
    const client = await rig.client();
    client.transport.connect({ host: '127.0.0.1', port: catcher.address().port, serverName: 'localhost' });
    const [initial] = (await once(catcher, 'message')) as [Buffer];
    // A client hello may take two datagrams; its first is enough to begin with.
    catcher.send(initial, server.transport.address.port, '127.0.0.1');
    await eventually('a handshake', () => server.transport.stats().handshakes === 1);
    await eventually('none', () => server.transport.stats().handshakes === 0);
    expect(server.events.opened.size).toBe(0);
    expect(server.events.closed.size).toBe(0);
  });

  it('asks newcomers to prove their address while many handshakes hang', async () => {
    const [server, client] = [await rig.echo({ retryThreshold: 0 }), await rig.client()];
    const [mine] = await rig.pair(client, server);
    send(client, mine, Buffer.from('validated'));
    await client.events.until('an echo', () => client.events.frameCount === 1);
    expect(server.transport.stats().retriesSent).toBe(1);
  });
});

describe('quinn: failure of its own thread', () => {
  it('closes every connection and throws, instead of dying in silence', async () => {
    const worker = new Worker(new URL('./testing/failing-worker.ts', import.meta.url));
    const [report] = await once(worker, 'message');
    expect(report).toMatchObject({
      name: 'TransportFailedError',
      message: expect.stringContaining('commands are packed'),
    });
    expect(report.closed).toEqual([{ origin: 'lost', code: 0, reason: report.message }]);
    await worker.terminate();
  });
});
