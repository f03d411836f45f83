import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parentPort } from 'node:worker_threads';
import { openClient } from '../quinn.ts';
import { QuinnEndpoint } from '../quinn-endpoint.ts';
import { Recorder } from './recorder.ts';

/** Hands the addon words that no command has, which ends its thread in a panic. */
const events = new Recorder();
const client = openClient(
  {
    alpn: 'gatesvr/1',
    maxFrameBytes: 1000,
    idleTimeoutMs: 30_000,
    handshakeTimeoutMs: 30_000,
    trust: { insecure: true },
    sendBufferBytes: { low: 1000, high: 2000, hard: 3000 },
    receiveBufferBytesMax: 100_000,
  },
  events,
);
if (!(client instanceof QuinnEndpoint)) throw new Error('not a quinn client');
const nobody = createSocket('udp4').bind(0, '127.0.0.1');
await once(nobody, 'listening');
client.connect({ host: '127.0.0.1', port: nobody.address().port });
Reflect.get(client, 'native').submit(new Uint32Array([15, 1]), 2, new Uint8Array(0), 0);
process.on('uncaughtException', (error) => {
  parentPort?.postMessage({ name: error.name, message: error.message, closed: [...events.closed.values()] });
});
