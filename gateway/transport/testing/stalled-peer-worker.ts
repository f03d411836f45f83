import { parentPort, workerData } from 'node:worker_threads';
import { Recorder } from './recorder.ts';
import type { Adapter } from './rig.ts';
import type { StalledPeerData } from './stalled-peer.ts';

const data = workerData as StalledPeerData;
const { listen, openClient } = (await import(data.adapterModule)) as Pick<Adapter, 'listen' | 'openClient'>;
const events = new Recorder();
events.countOnly = true;

const options = {
  alpn: 'gatesvr/1',
  maxFrameBytes: 65_536,
  idleTimeoutMs: 30_000,
  handshakeTimeoutMs: 10_000,
  sendBufferBytes: { low: 64 << 10, high: 256 << 10, hard: 4 << 20 },
  receiveBufferBytesMax: data.receiveBufferBytesMax,
};

async function start(): Promise<number> {
  if (data.role === 'server') {
    const { certificate, privateKey } = data;
    const limits = { maxConnections: 100, retryThreshold: 100 };
    const server = await listen({ ...options, ...limits, certificate, privateKey, host: '127.0.0.1', port: 0 }, events);
    return server.address.port;
  }
  const client = openClient({ ...options, trust: { ca: data.ca } }, events);
  events.onOpened = (connection) => {
    client.send(connection, Buffer.from('hello'));
    client.flush();
  };
  client.connect({ host: '127.0.0.1', port: data.port, serverName: 'localhost' });
  return data.port;
}

const port = await start();
parentPort?.on('message', async (question: string | number) => {
  if (question === 'port') parentPort?.postMessage(port);
  else if (question === 'stall') {
    parentPort?.postMessage('stalled');
    Atomics.wait(data.gate, 0, 1);
  } else if (question === 'closed') {
    await events.until('closed', () => events.closed.size > 0);
    parentPort?.postMessage([...events.closed.values()][0]);
  } else {
    await events.until(`${question} frames`, () => events.frameCount >= Number(question));
    parentPort?.postMessage({ frames: events.frameCount, bytes: events.frameBytes });
  }
});
