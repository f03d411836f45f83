import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { pairings } from './testing/adapters.ts';
import { eventually } from './testing/recorder.ts';
import { nameOf, Rig, send } from './testing/rig.ts';

for (const pairing of pairings.filter(({ server, client }) => server === client)) {
  describe(`${nameOf(pairing)}: files for debugging`, () => {
    const rig = new Rig(pairing);
    afterEach(() => rig.stop());

    it('has the secrets of each connection, for its owner alone', async () => {
      const own = mkdtempSync(join(tmpdir(), 'gatesvr-keys-'));
      const server = await rig.server({ debugging: { keyLogFile: join(own, 'keys') } });
      await rig.talking(await rig.client(), server);
      const texts = () => readdirSync(own).map((name) => readFileSync(join(own, name), 'utf8'));
      await eventually('the secrets of 1-RTT', () => texts().some((text) => text.includes('SERVER_TRAFFIC_SECRET_0')));
      expect(texts().join('')).toMatch(/^CLIENT_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]{64} [0-9a-f]{64,}$/m);
      if (pairing.server.name === 'quinn') expect(statSync(join(own, 'keys')).mode & 0o777).toBe(0o600);
      rmSync(own, { recursive: true });
    });

    it('has a trace of packets, or says that there can be none', async () => {
      const own = mkdtempSync(join(tmpdir(), 'gatesvr-qlog-'));
      const qlogFile = join(own, 'trace.sqlog');
      const started = rig.server({ debugging: { qlogFile } });
      if (pairing.server.name === 'quiche') await expect(started).rejects.toThrow(/qlog.*built without qlog/);
      else {
        const server = await started;
        const client = await rig.client();
        const [mine] = await rig.talking(client, server);
        send(client, mine, Buffer.from('seen'));
        await eventually('packets', () => readFileSync(qlogFile, 'utf8').includes('packet_received'));
        const [header, first] = readFileSync(qlogFile, 'utf8')
          .split('\n')
          .map((line) => line.replace('\x1e', ''));
        expect(JSON.parse(header ?? '')).toMatchObject({ qlog_format: 'JSON-SEQ' });
        expect(JSON.parse(first ?? '')).toMatchObject({ group_id: expect.any(String) });
      }
      rmSync(own, { recursive: true });
    });
  });
}
