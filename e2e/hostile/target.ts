/**
 * An echo server on one of our transports, for other people's clients: `node target.ts quinn|quiche [retry]`. With `retry`
 * every newcomer must prove its address. Ends on SIGTERM.
 */
import { makeDevCertificate } from '../../gateway/dev-certificate.ts';
import { chooseTransport } from '../../gateway/transport/choose.ts';

const wanted = process.argv[2] === 'quiche' ? 'quiche' : 'quinn';

const server = await chooseTransport(wanted).listen(
  {
    ...(await makeDevCertificate(Date.now())),
    host: '127.0.0.1',
    port: 0,
    alpn: 'gatesvr/1',
    maxFrameBytes: 65_536,
    idleTimeoutMs: 10_000,
    handshakeTimeoutMs: 2_000,
    maxConnections: 2_000,
    retryThreshold: process.argv[3] === 'retry' ? 0 : 200,
    sendBufferBytes: { low: 32 << 10, high: 64 << 10, hard: 256 << 10 },
    receiveBufferBytesMax: 1 << 20,
  },
  {
    connectionOpened: () => {},
    frameReceived: (connection, frame) => server.send(connection, frame),
    peerMoved: () => {},
    connectionWritable: () => {},
    connectionClosed: () => {},
    batchEnded: () => server.flush(),
  },
);

process.on('SIGTERM', async () => {
  process.stdout.write(`${JSON.stringify({ event: 'stopping', retries: server.stats().retriesSent })}\n`);
  await server.shutdown(0, '', 500);
  process.exit(0);
});
process.stdout.write(`${JSON.stringify({ event: 'listening', address: `127.0.0.1:${server.address.port}` })}\n`);
