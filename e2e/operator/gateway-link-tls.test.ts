import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { until } from '../../bench/lib/pair.ts';
import { gatewayStatus } from '../../gateway/handlers/status.ts';
import { adminService } from '../../gateway/servers/admin-service.ts';
import { mutualTls } from '../../gateway/servers/grpc-security.ts';
import { type GrpcServer, startGrpcServer } from '../../gateway/servers/grpc-server.ts';
import { HandlerHarness } from '../../gateway/testing/handler-harness.ts';
import { type Authority, makeAuthority } from '../../gateway/transport/testing/certificates.ts';
import { connectGateways, type LinkTls } from '../../operator/gateway-link/gateway-link.ts';
import type { GatewayPeer } from '../../operator/gateway-link/gateway-peer.ts';
import { systemClock } from '../../operator/lib/clock.ts';
import { AdminServiceService } from '../../proto/gen/admin.ts';

const podName = 'game-p0-a-0';

let authority: Authority;
let server: GrpcServer;
let link: GatewayPeer | undefined;

beforeAll(async () => {
  authority = await makeAuthority();
  const own = await authority.issue('gateway');
  const security = mutualTls(own.certificate, own.privateKey, authority.certificate);
  const { context } = new HandlerHarness();
  const never = () => () => {};
  const refused = () => Promise.resolve({ success: false, error: undefined, epoch: 0n });
  const status = () => gatewayStatus(context, { serverId: podName, version: '', podUid: '' }, true, false);
  const control = { status, promote: refused, demote: refused, drain: () => 0, onChange: never, onShutdown: never };
  server = await startGrpcServer({
    address: '127.0.0.1:0',
    credentials: security.server,
    interceptors: security.interceptors,
    services: [{ definition: AdminServiceService, implementation: adminService(context, control) }],
    reflection: false,
  });
});

afterEach(() => link?.close());
afterAll(() => server.close(1_000));

function connect(tls: () => LinkTls | undefined, tlsName: string): GatewayPeer {
  const target = { namespace: 'shop', podName, podUid: 'uid-1', address: `127.0.0.1:${server.port}`, tlsName };
  const options = { tls, intervalMs: 100, silenceMs: 5_000, clock: systemClock, random: Math.random };
  link = connectGateways(options)(target, () => {});
  return link;
}

async function certificateFor(name: string, issuer = authority): Promise<LinkTls> {
  return { authority: authority.certificate, ...(await issuer.issue(name)) };
}

const stateOf = (peer: GatewayPeer) => peer.observation(systemClock.nowMs());

it('speaks with a gateway that has the name, as an operator, once it has certificates', async () => {
  let tls: LinkTls | undefined;
  const peer = connect(() => tls, 'localhost');
  await until('it says what is missing', () => /no certificates/.test(stateOf(peer).reason));
  tls = await certificateFor('operator');
  await until('it is connected', () => stateOf(peer).state === 'connected');
  expect(await peer.drain(1_000, 1)).toEqual({ sessionsLeft: 0 });
});

it.each([
  [
    'a gateway with another name',
    'operator',
    'game-p0-b-0.game-peers.shop.svc',
    /ERR_TLS_CERT_ALTNAME_INVALID|does not match/,
  ],
  ['a certificate that is no operator’s', 'zone', 'localhost', /PERMISSION_DENIED: this certificate may not call/],
])('does not speak with %s', async (_name, commonName, tlsName, expected) => {
  const tls = await certificateFor(commonName);
  const peer = connect(() => tls, tlsName);
  await until(
    'it says why',
    () => expected.test(stateOf(peer).reason),
    () => stateOf(peer).reason,
  );
  expect(stateOf(peer)).toMatchObject({ state: 'connecting', status: undefined });
});

it('is turned away with a certificate of another authority', async () => {
  const tls = await certificateFor('operator', await makeAuthority());
  const peer = connect(() => tls, 'localhost');
  await until('it fails', () => stateOf(peer).reason.startsWith('UNAVAILABLE'));
  expect(stateOf(peer)).toMatchObject({ state: 'connecting', status: undefined });
});
