import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from './recorder.ts';
import { nameOf, type Pairing, Rig, send, testAuthority } from './rig.ts';

/** How connections begin and end. */
export function closingConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: opening and closing`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());

    it('tells both sides who is there', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine, theirs] = await rig.pair(client, server);
      const { port } = server.transport.address;
      expect(client.events.opened.get(mine)).toEqual({ address: '127.0.0.1', port, resumed: false });
      expect(server.events.opened.get(theirs)).toMatchObject({ address: '127.0.0.1', resumed: false });
    });

    it('sends what is queued before a close, and the code and reason with it', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine, theirs] = await rig.talking(client, server);
      send(server, theirs, Buffer.alloc(60_000), Buffer.from('last words'));
      server.transport.close(theirs, 2002, 'going away');
      server.transport.send(theirs, Buffer.from('too late'));
      server.transport.flush();
      expect(await client.events.untilClosed(mine)).toEqual({ origin: 'peer', code: 2002, reason: 'going away' });
      expect(await server.events.untilClosed(theirs)).toEqual({ origin: 'local', code: 2002, reason: 'going away' });
      expect(client.events.framesOf(mine).map(String).slice(1)).toEqual(['last words']);
    });

    it('tells the server the code of a client that closes', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const [mine, theirs] = await rig.pair(client, server);
      send(client, mine, Buffer.from('stop'));
      client.transport.close(mine, 4005, 'bye');
      client.transport.flush();
      expect(await server.events.untilClosed(theirs)).toEqual({ origin: 'peer', code: 4005, reason: 'bye' });
      expect(server.events.framesOf(theirs).map(String)).toEqual(['stop']);
      expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'local', code: 4005 });
    });

    it('refuses a client that speaks another protocol', async () => {
      const [server, client] = [await rig.server(), await rig.client({ alpn: 'h3' })];
      const mine = rig.connect(client, server);
      const cause = await client.events.untilClosed(mine);
      expect(cause).toMatchObject({ origin: 'lost', code: 0 });
      expect(cause.reason).toMatch(/120|application protocol/i);
      expect(server.events.opened.size).toBe(0);
    });

    it('gives up on an address where nobody answers', async () => {
      const deaf = createSocket('udp4').bind(0, '127.0.0.1');
      await once(deaf, 'listening');
      const client = await rig.client({ handshakeTimeoutMs: 300 });
      const mine = client.transport.connect({ host: '127.0.0.1', port: deaf.address().port });
      expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'lost', code: 0 });
      deaf.close();
    });

    it('names what is wrong with an address', async () => {
      const client = await rig.client();
      const named = await client.events.untilClosed(client.transport.connect({ host: 'localhost', port: 1 }));
      expect(named).toEqual({ origin: 'lost', code: 0, reason: '"localhost" is not an IP address' });
      const zero = await client.events.untilClosed(client.transport.connect({ host: '127.0.0.1', port: 0 }));
      expect(zero.reason).toMatch(/address/);
    });

    it('refuses connections over the maximum, and takes one again when there is room', async () => {
      const [server, client] = [await rig.server({ maxConnections: 2 }), await rig.client()];
      const [first] = await rig.pair(client, server);
      await rig.pair(client, server);
      const third = rig.connect(client, server);
      expect((await client.events.untilClosed(third)).origin).toBe('lost');
      client.transport.close(first, 0, '');
      client.transport.flush();
      await server.events.until('one closed', () => server.events.closed.size === 1);
      await rig.pair(client, server);
    });
  });
}

/** Certificates and the life of the endpoint itself. */
export function endpointConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: endpoint`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());

    it('closes everybody at shutdown, with the code, and frees the port', async () => {
      const [server, client] = [await rig.server(), await rig.client()];
      const pairs = [await rig.pair(client, server), await rig.pair(client, server)];
      const { port } = server.transport.address;
      await server.transport.shutdown(2002, 'shutting down', 5000);
      for (const [mine, theirs] of pairs) {
        expect(await client.events.untilClosed(mine)).toMatchObject({ origin: 'peer', code: 2002 });
        expect(server.events.closed.get(theirs)).toMatchObject({ origin: 'local', code: 2002 });
      }
      const next = await rig.server({ port });
      expect(next.transport.address.port).toBe(port);
    });

    it('refuses newcomers after stopAccepting and keeps who is there', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const [mine] = await rig.pair(client, server);
      server.transport.stopAccepting();
      const late = rig.connect(client, server);
      expect((await client.events.untilClosed(late)).origin).toBe('lost');
      send(client, mine, Buffer.from('still here'));
      await client.events.until('an echo', () => client.events.frameCount === 1);
    });

    it('says when the port is taken', async () => {
      const server = await rig.server();
      const { port } = server.transport.address;
      await expect(rig.server({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    });

    it('changes its certificate for new connections, and refuses a broken one', async () => {
      const [server, client] = [await rig.echo(), await rig.client()];
      const [mine] = await rig.pair(client, server);
      const stranger = await (await import('./certificates.ts')).makeAuthority();
      const [foreign, other] = [await stranger.issue(), await (await testAuthority()).issue()];
      expect(() => server.transport.setCertificate('nonsense', 'nonsense')).toThrow(/certificate/);
      expect(() => server.transport.setCertificate(foreign.certificate, other.privateKey)).toThrow(/private key/);
      await rig.pair(client, server);
      server.transport.setCertificate(foreign.certificate, foreign.privateKey);
      const newcomer = await rig.client();
      const refused = await newcomer.events.untilClosed(rig.connect(newcomer, server));
      expect(refused).toMatchObject({ origin: 'lost' });
      expect(refused.reason).toMatch(/certificate|UnknownIssuer/i);
      await rig.pair(await rig.client({ trust: { insecure: true } }), server);
      send(client, mine, Buffer.from('still here'));
      await client.events.until('an echo', () => client.events.frameCount === 1);
    });

    it('refuses an expired certificate and another name', async () => {
      const expired = await (await testAuthority()).issue('localhost', new Date(Date.now() - 60_000));
      const [server, client] = [await rig.server(expired), await rig.client()];
      expect((await client.events.untilClosed(rig.connect(client, server))).reason).toMatch(/expired/i);
      // The server never had a connection: nothing is told of it, and its handshake is counted no more.
      await eventually('no handshake', () => server.transport.stats().handshakes === 0);
      expect(server.events.closed.size + server.events.opened.size).toBe(0);
      const valid = await rig.server();
      expect((await client.events.untilClosed(rig.connect(client, valid, 'example.org'))).reason).toMatch(/name/i);
    });

    it('listens on every address, IPv6 and IPv4', async () => {
      const [server, client] = [await rig.server({ host: '' }), await rig.client()];
      const { port } = server.transport.address;
      const hosts = server.transport.address.host === '::' ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
      for (const host of hosts) {
        const mine = client.transport.connect({ host, port });
        expect(await client.events.untilOpened(mine)).toMatchObject({ address: host });
      }
      await server.events.until('as many', () => server.events.opened.size === hosts.length);
      expect([...server.events.opened.values()].map((peer) => peer.address).sort()).toEqual(hosts.sort());
    });
  });
}
