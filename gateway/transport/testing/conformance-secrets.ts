import { afterEach, describe, expect, it } from 'vitest';
import { door, nameOf, type Pairing, Rig, send } from './rig.ts';

const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

/** What the two gateways of a pair share: tickets and resets. */
export function secretsConformance(pairing: Pairing): void {
  describe(`${nameOf(pairing)}: secrets of a pair`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());

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

    it('accepts tickets of the old secret while it is listed, as far as it can, without dropping anybody', async () => {
      const [first, second] = [await rig.server({ secrets: [old] }), await rig.server({ secrets: [old] })];
      second.transport.setSecrets([fresh, old]);
      const rotates = second.transport.capabilities.ticketRotation === true;
      expect(await resumedAt(first, second)).toEqual([false, rotates]);
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
      door(dead).abandon();
      const successor = await rig.server({ secrets: [fresh, old], port });
      send(client, mine, Buffer.from('are you there?'));
      const cause = await client.events.untilClosed(mine);
      expect(cause).toEqual({ origin: 'lost', code: 0, reason: 'reset by peer' });
      expect(successor.events.opened.size).toBe(0);
    });
  });
}
