import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { loadNative, TransportConfigError, TransportUnavailableError } from './native.ts';
import { openClient } from './quinn.ts';
import { hasQuinn, pairings } from './testing/adapters.ts';
import { Recorder } from './testing/recorder.ts';
import { boundSocket } from './testing/relay.ts';
import { door, type Pairing, Rig, send } from './testing/rig.ts';

it('says what to do without its addon', () => {
  expect(() => loadNative('./native/missing.node')).toThrow(TransportUnavailableError);
  expect(() => loadNative('./native/missing.node')).toThrow(/make build/);
});

describe.runIf(hasQuinn)('quinn', () => {
  const rig = new Rig(pairings[0] as Pairing);
  afterEach(() => rig.stop());

  it('says what is wrong with the authorities to trust', () => {
    const options = {
      alpn: 'gatesvr/1',
      maxFrameBytes: 1000,
      idleTimeoutMs: 1000,
      handshakeTimeoutMs: 1000,
      sendBufferBytes: { low: 1, high: 2, hard: 3 },
      receiveBufferBytesMax: 1000,
    };
    const open = () => openClient({ ...options, trust: { ca: 'nothing' } }, new Recorder());
    expect(open).toThrow(TransportConfigError);
    expect(open).toThrow('trusted authorities: no CERTIFICATE block in the PEM');
  });

  it('fails at once where no port is open', async () => {
    const socket = await boundSocket();
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
    door(server).abandon();
    send(client, mine, Buffer.from('are you there?'));
    expect(await client.events.untilClosed(mine)).toEqual({ origin: 'lost', code: 0, reason: 'port unreachable' });
  });

  it('closes every connection and throws when its thread fails, instead of dying in silence', async () => {
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
