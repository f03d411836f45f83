import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket, type Server as TcpServer } from 'node:net';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { HeartbeatServiceService, ReplicationServiceService } from '../../proto/gen/replication.ts';
import { type PeerEvents, PeerLink } from './peer-link.ts';
import type { HeartbeatMessage } from './peer-messages.ts';

const key = new Uint8Array(32);
const status: HeartbeatMessage['status'] = {
  ...{ serverId: 'a', incarnation: 'a/1', mode: 'primary', role: 'standby', epoch: 0, history: '', complete: false },
  ...{ logIndex: 0, lease: undefined, clientEndpoint: '', zoneEndpoint: '' },
};

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function link(serverId: string, peer: string, events: Partial<PeerEvents>): PeerLink {
  const nothing = () => {};
  const made = new PeerLink({
    ...{ identity: { serverId, version: '1.0.0' }, key, heartbeatPeer: peer, syncPeer: peer, silenceMs: 1_000 },
    credentials: credentials.createInsecure(),
    events: {
      ...{ received: nothing, connectionReset: nothing, connectionRefused: nothing },
      ...{ primaryLinkBroken: nothing, followerLinkBroken: nothing, refused: nothing },
      ...events,
    },
  });
  closing.push(() => made.stop());
  return made;
}

async function serve(peer: PeerLink): Promise<number> {
  const server = new Server();
  server.addService(HeartbeatServiceService, peer.heartbeatService);
  server.addService(ReplicationServiceService, peer.replicationService);
  closing.push(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    const bound = (error: Error | null, port: number) => (error === null ? resolve(port) : reject(error));
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound);
  });
}

/** Passes on to a port, but lets the first connections hang, as an address does where no pod is any more. */
async function hangingAtFirst(port: number, hanging: number): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((near) => {
    sockets.add(near.on('error', () => {}));
    connections += 1;
    if (connections <= hanging) return;
    const far = connect(port, '127.0.0.1').on('error', () => near.destroy());
    sockets.add(far);
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server, 'listening');
  return server;
}

it('dials again when nobody answers at an address, and blames no peer for it', async () => {
  const refusals: string[] = [];
  const heard: string[] = [];
  const b = link('b', '127.0.0.1:1', { received: (message) => heard.push(message.kind) });
  const way = await hangingAtFirst(await serve(b), 2);
  const { port } = way.address() as AddressInfo;
  const a = link('a', `127.0.0.1:${port}`, { refused: (why) => refusals.push(why) });
  a.start();
  await expect
    .poll(
      () => {
        a.send({ kind: 'ping', number: 1, status });
        return heard.length;
      },
      { timeout: 20_000 },
    )
    .toBeGreaterThan(0);
  expect(refusals).toEqual([]);
});

it('starts with a peer whose name nobody knows yet', async () => {
  const told: string[] = [];
  const a = link('a', 'no-such-peer.invalid:8093', {
    connectionReset: () => told.push('reset'),
    connectionRefused: () => told.push('refused'),
    refused: (why) => told.push(why),
  });
  a.start();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(told).toEqual([]);
});
