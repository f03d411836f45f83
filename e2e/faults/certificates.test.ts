import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../../bench/lib/gateways.ts';
import { GatesvrClient } from '../../gateway/client/client.ts';
import { type Authority, type Identity, makeAuthority } from '../../gateway/transport/testing/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatesvr-certificates-'));
const path = (name: string) => join(folder, name);
let first: Authority;
let second: Authority;
let gateway: RunningGateway;

function write(identity: Identity, trusted: string): void {
  for (const name of ['quic', 'grpc']) {
    writeFileSync(path(`${name}.crt`), identity.certificate);
    writeFileSync(path(`${name}.key`), identity.privateKey);
  }
  writeFileSync(path('ca.crt'), trusted);
}

beforeAll(async () => {
  [first, second] = await Promise.all([makeAuthority('First authority'), makeAuthority('Second authority')]);
  write(await first.issue('peer'), first.certificate);
  const files = { cert: 'quic.crt', key: 'quic.key', 'grpc-cert': 'grpc.crt', 'grpc-key': 'grpc.key', ca: 'ca.crt' };
  const flags = Object.entries(files).map(([name, file]) => `--${name}-file=${path(file)}`);
  gateway = await startGateway(['--dev=false', ...flags]);
});

afterAll(async () => {
  await gateway?.process.stop();
  rmSync(folder, { recursive: true });
});

/** Who issued what the gateway shows on gRPC to somebody with a certificate of the first authority. */
async function issuerOnGrpc(): Promise<unknown> {
  const [host = '', port = ''] = gateway.grpcAddress.split(':');
  const { certificate, privateKey } = await first.issue('zone.shop');
  const identity = { cert: certificate, key: privateKey, ca: [first.certificate, second.certificate] };
  const socket = connect({ host, port: Number(port), ALPNProtocols: ['h2'], ...identity });
  try {
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject);
    });
    return socket.getPeerCertificate().issuer['CN'];
  } finally {
    socket.destroy();
  }
}

function login(openid: string, { certificate }: Authority): Promise<GatesvrClient> {
  return GatesvrClient.connect({ endpoints: [gateway.quicAddress], openid, trust: { ca: certificate } });
}

it('certificates of another authority are taken from disk while running; who is connected stays', async () => {
  const before = await login('alice', first);
  expect(await issuerOnGrpc()).toBe('First authority');
  write(await second.issue('peer'), `${first.certificate}\n${second.certificate}`);
  await expect.poll(issuerOnGrpc, { timeout: 30_000, interval: 500 }).toBe('Second authority');
  const after = await login('bob', second);
  expect([before.state, after.state]).toEqual(['connected', 'connected']);
  await Promise.all([before.close(), after.close()]);
});
