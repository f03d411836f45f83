import { afterEach, describe, expect, it } from 'vitest';
import { type Client, door, nameOf, type Pairing, Rig, type Server, send } from './rig.ts';

const initialType = 0;
const zeroRttType = 1;

/** RFC 9000, section 17.2: the type of a long header of version 1, or undefined for a short one. */
function longTypeOf(datagram: Buffer): number | undefined {
  const first = datagram[0] ?? 0;
  return (first & 0x80) === 0 ? undefined : (first >> 4) & 3;
}

async function echoed(client: Client, mine: number, text: string): Promise<void> {
  send(client, mine, Buffer.from(text));
  await client.events.until(`the echo of ${text}`, () => String(client.events.framesOf(mine).at(-1)) === text);
}

/** Handshakes, addresses and keys: what happens below the stream. */
export function pathConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: paths and keys`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());
    const both = async (): Promise<readonly [Server, Client]> => [await rig.echo(), await rig.client()];

    it('shakes hands whatever the first flight needs, in order or not', async () => {
      const [server, client] = await both();
      const relay = await rig.relay(server);
      let held: Buffer | undefined;
      // The first datagram comes after the second, if there is one, else after it was sent again.
      relay.passToServer = (datagram) => {
        if (relay.fromClient.length === 1) {
          held = datagram;
          return [];
        }
        const passed = held === undefined ? [datagram] : [datagram, held];
        held = undefined;
        return passed;
      };
      const [mine] = await rig.pair(client, server, relay.port);
      await echoed(client, mine, 'after a shuffled hello');
      const firstFlight = relay.fromClient.slice(0, 2).filter((datagram) => longTypeOf(datagram) === initialType);
      expect(firstFlight.length).toBe(2);
      if (client.transport.capabilities.twoPacketHello === true) expect(firstFlight[0]).not.toEqual(firstFlight[1]);
    });

    it('asks newcomers to prove their address while many handshakes hang', async () => {
      const [server, client] = [await rig.echo({ retryThreshold: 0 }), await rig.client()];
      const [mine] = await rig.pair(client, server);
      await echoed(client, mine, 'validated');
      expect(server.transport.stats().retriesSent).toBe(1);
    });

    it('sends at most three times the bytes it got to an address that proved nothing', async () => {
      const [server, client] = await both();
      const relay = await rig.relay(server);
      relay.passToClient = () => [];
      client.transport.connect({ host: '127.0.0.1', port: relay.port, serverName: 'localhost' });
      await new Promise((resolve) => setTimeout(resolve, 700));
      const bytes = (datagrams: readonly Buffer[]) => datagrams.reduce((sum, one) => sum + one.length, 0);
      expect(bytes(relay.fromServer)).toBeGreaterThan(0);
      expect(bytes(relay.fromServer)).toBeLessThanOrEqual(3 * bytes(relay.fromClient));
    });

    it('keeps a connection whose address changes, as often as it does', async () => {
      const [server, client] = await both();
      const [mine, theirs] = await rig.talking(client, server);
      for (let round = 1; round <= 3; round++) {
        const before = server.events.moved.get(theirs) ?? server.events.opened.get(theirs);
        client.transport.rebind();
        await echoed(client, mine, `from elsewhere ${round}`);
        await server.events.until('moved', () => {
          const now = server.events.moved.get(theirs);
          return now !== undefined && now.port !== before?.port;
        });
        expect(server.events.moved.get(theirs)?.address).toBe('127.0.0.1');
      }
      expect(server.events.closed.size + client.events.closed.size).toBe(0);
    });

    it('keeps a connection whose NAT rebinds, which the client does not notice', async () => {
      const [server, client] = await both();
      const relay = await rig.relay(server);
      const [mine, theirs] = await rig.talking(client, server, relay.port);
      const { port: before } = server.events.opened.get(theirs) ?? {};
      await relay.move();
      await echoed(client, mine, 'through another port');
      await server.events.until('moved', () => server.events.moved.get(theirs) !== undefined);
      expect(server.events.moved.get(theirs)?.port).not.toBe(before);
      await echoed(client, mine, 'and on');
      expect(server.events.closed.size + client.events.closed.size).toBe(0);
    });

    it('goes on under new keys, whoever asks for them', async () => {
      const [server, client] = await both();
      const [mine, theirs] = await rig.talking(client, server);
      const ends = [
        [client, mine],
        [server, theirs],
      ] as const;
      for (const [end, id] of ends) {
        const update = door(end).updateKeys;
        // An implementation that never asks must say so.
        expect(update === undefined).toBe(end.transport.capabilities.keyUpdate !== true);
        update?.call(end.transport, id);
        end.transport.flush();
        await echoed(client, mine, 'under new keys');
        await echoed(client, mine, 'and again');
      }
    });

    it('loses a connection on which nothing arrives for as long as either side said', async () => {
      const server = await rig.server({ idleTimeoutMs: 400 });
      const client = await rig.client();
      const relay = await rig.relay(server);
      const [mine, theirs] = await rig.pair(client, server, relay.port);
      relay.passToServer = () => [];
      relay.passToClient = () => [];
      expect(await server.events.untilClosed(theirs)).toEqual({ origin: 'lost', code: 0, reason: 'timed out' });
      expect(await client.events.untilClosed(mine)).toEqual({ origin: 'lost', code: 0, reason: 'timed out' });
    });

    it('takes no early data: a resumed client sends none, and a packet of it changes nothing', async () => {
      const [server, client] = await both();
      const relay = await rig.relay(server);
      const [first] = await rig.pair(client, server, relay.port);
      await echoed(client, first, 'for a ticket');
      const [mine] = await rig.pair(client, server, relay.port);
      expect(client.events.opened.get(mine)?.resumed).toBe(true);
      const initial = relay.fromClient.findLast((datagram) => longTypeOf(datagram) === initialType);
      if (initial === undefined) throw new Error('no Initial passed the relay');
      const forged = Buffer.from(initial);
      forged[0] = (initial[0] ?? 0) | 0x10;
      relay.sendToServer(forged);
      await echoed(client, mine, 'undisturbed');
      expect(relay.fromClient.map(longTypeOf)).not.toContain(zeroRttType);
    });
  });
}
