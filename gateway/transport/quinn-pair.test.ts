import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, openClient } from './quinn.ts';
import { QuinnEndpoint } from './quinn-endpoint.ts';
import { Rig, send } from './testing/rig.ts';

const rig = new Rig({ name: 'quinn', listen, openClient });
afterEach(() => rig.stop());

const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

describe('quinn: paths', () => {
  it('keeps a connection whose address changes', async () => {
    const [server, client] = [await rig.echo(), await rig.client()];
    const [mine, theirs] = await rig.talking(client, server);
    await client.events.until('an echo', () => client.events.frameCount === 1);
    for (let round = 2; round <= 4; round++) {
      const before = server.events.moved.get(theirs) ?? server.events.opened.get(theirs);
      client.transport.rebind();
      send(client, mine, Buffer.from(`from elsewhere ${round}`));
      await client.events.until('an echo', () => client.events.frameCount === round);
      await server.events.until('moved', () => server.events.moved.get(theirs) !== undefined);
      expect(server.events.moved.get(theirs)?.port).not.toBe(before?.port);
      expect(server.events.moved.get(theirs)?.address).toBe('127.0.0.1');
    }
    expect(server.events.closed.size + client.events.closed.size).toBe(0);
  });

  it('fails at once where no port is open', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    await once(socket, 'close');
    const client = await rig.client({ handshakeTimeoutMs: 60_000 });
    const cause = await client.events.untilClosed(client.transport.connect({ host: '127.0.0.1', port }));
    expect(cause).toEqual({ origin: 'lost', code: 0, reason: 'port unreachable' });
  });

  it('loses an open connection soon after its port closed', async () => {
    const [server, client] = [await rig.echo(), await rig.client()];
    const [mine] = await rig.talking(client, server);
    if (!(server.transport instanceof QuinnEndpoint)) throw new Error('not a quinn server');
    server.transport.abandon();
    send(client, mine, Buffer.from('are you there?'));
    expect(await client.events.untilClosed(mine)).toEqual({ origin: 'lost', code: 0, reason: 'port unreachable' });
  });

  it('names what is wrong with an address', async () => {
    const client = await rig.client();
    const named = await client.events.untilClosed(client.transport.connect({ host: 'localhost', port: 1 }));
    expect(named).toEqual({ origin: 'lost', code: 0, reason: '"localhost" is not an IP address' });
    const zero = await client.events.untilClosed(client.transport.connect({ host: '127.0.0.1', port: 0 }));
    expect(zero.reason).toMatch(/address/);
  });
});

describe('quinn: secrets of a pair', () => {
  const resumedAt = async (...servers: Awaited<ReturnType<Rig['server']>>[]) => {
    const client = await rig.client();
    const resumed: boolean[] = [];
    for (const server of servers) {
      const [mine, theirs] = await rig.talking(client, server);
      // The ticket comes after the handshake: an answer on the stream means that it is here.
      send(server, theirs, Buffer.from('answer'));
      await client.events.until('an answer', () => client.events.framesOf(mine).length === 1);
      resumed.push(client.events.opened.get(mine)?.resumed === true);
      expect(server.events.opened.get(theirs)?.resumed).toBe(resumed.at(-1));
    }
    return resumed;
  };

  it('resumes at the other server of the pair, and not at a stranger', async () => {
    const first = await rig.server({ secrets: [old] });
    const second = await rig.server({ secrets: [old] });
    const stranger = await rig.server({ secrets: [fresh] });
    expect(await resumedAt(first, second, stranger)).toEqual([false, true, false]);
  });

  it('accepts tickets of the old secret while it is listed, without dropping anybody', async () => {
    const [first, second] = [await rig.server({ secrets: [old] }), await rig.server({ secrets: [old] })];
    second.transport.setSecrets([fresh, old]);
    expect(await resumedAt(first, second)).toEqual([false, true]);
    second.transport.setSecrets([fresh]);
    expect(await resumedAt(first, second)).toEqual([false, false]);
    expect(second.events.closed.size).toBe(0);
  });

  it('tells the clients of a dead process that they are lost, by a reset of its successor', async () => {
    const client = await rig.client();
    const dead = await rig.server({ secrets: [old] });
    const { port } = dead.transport.address;
    const [mine] = await rig.talking(client, dead);
    // The process is gone without a word: its socket is closed, and only the client knows the connection.
    if (!(dead.transport instanceof QuinnEndpoint)) throw new Error('not a quinn server');
    dead.transport.abandon();
    const successor = await rig.server({ secrets: [fresh, old], port });
    send(client, mine, Buffer.from('are you there?'));
    const cause = await client.events.untilClosed(mine);
    expect(cause).toEqual({ origin: 'lost', code: 0, reason: 'reset by peer' });
    expect(successor.events.opened.size).toBe(0);
  });
});
