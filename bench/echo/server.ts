/** The echo server on one of our transports, quinn or quiche, as bench/peers/echo is one on quic-go: same events, same orders. */
import { createInterface } from 'node:readline';
import { makeDevCertificate } from '../../gateway/dev-certificate.ts';
import { chooseTransport } from '../../gateway/transport/choose.ts';
import type { ConnectionId } from '../../gateway/transport/transport.ts';

const { listen } = chooseTransport(process.argv[2] === 'quiche' ? 'quiche' : 'quinn');
const connections = new Set<ConnectionId>();

const server = await listen(
  {
    ...(await makeDevCertificate(Date.now())),
    host: '127.0.0.1',
    port: 0,
    alpn: 'gatesvr/1',
    maxFrameBytes: 65_536,
    idleTimeoutMs: 60_000,
    handshakeTimeoutMs: 10_000,
    maxConnections: 20_000,
    retryThreshold: 10_000,
    sendBufferBytes: { low: 64 << 10, high: 256 << 10, hard: 4 << 20 },
    receiveBufferBytesMax: 16 << 20,
  },
  {
    connectionOpened: (connection) => connections.add(connection),
    frameReceived: (connection, frame) => server.send(connection, frame),
    peerMoved: () => {},
    connectionWritable: () => {},
    connectionClosed: (connection) => connections.delete(connection),
    batchEnded: () => server.flush(),
  },
);

function event(name: string, fields: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event: name, ...fields })}\n`);
}

interface BroadcastOrder {
  readonly frames: number;
  readonly everyMs: number;
  readonly bytes: number;
}

/** Each frame is a head of its connection's own and a body that all share, as the gateway sends a broadcast. */
async function broadcast({ frames, everyMs, bytes }: BroadcastOrder): Promise<void> {
  const heads = new Map<ConnectionId, Uint8Array>();
  for (let frame = 0; frame < frames; frame++) {
    await new Promise((resolve) => setTimeout(resolve, everyMs));
    const body = new Uint8Array(bytes - 8);
    for (const connection of connections) {
      let head = heads.get(connection);
      if (head === undefined) {
        head = new Uint8Array(8);
        heads.set(connection, head);
      }
      server.send(connection, head, body);
    }
    server.flush();
  }
  event('broadcasted');
}

createInterface({ input: process.stdin }).on('line', (line) => void broadcast(JSON.parse(line)));
process.on('SIGTERM', async () => {
  await server.shutdown(0, '', 1000);
  process.exit(0);
});
event('listening', { address: `127.0.0.1:${server.address.port}` });
