import { credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GatewayServiceClient, GatewayServiceService } from '../../proto/gen/upstream.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { type Authority, makeAuthority } from '../transport/testing/certificates.ts';
import { gatewayService } from './gateway-service.ts';
import { mutualTls } from './grpc-security.ts';
import { type GrpcServer, startGrpcServer } from './grpc-server.ts';

let authority: Authority;
let server: GrpcServer;

beforeAll(async () => {
  authority = await makeAuthority();
  const own = await authority.issue('gateway');
  const security = mutualTls(own.certificate, own.privateKey, authority.certificate);
  server = await startGrpcServer({
    address: '127.0.0.1:0',
    credentials: security.server,
    interceptors: security.interceptors,
    services: [{ definition: GatewayServiceService, implementation: gatewayService(new HandlerHarness().context) }],
    reflection: false,
  });
});

afterAll(() => server.close(1_000));

/** Registers a zone with a certificate of this name. @returns the gRPC status code. */
async function codeFor(issuer: Authority, commonName: string): Promise<number> {
  const { certificate, privateKey } = await issuer.issue(commonName);
  const [roots, key, chain] = [authority.certificate, privateKey, certificate].map((pem) => Buffer.from(pem));
  const channel = credentials.createSsl(roots ?? null, key ?? null, chain ?? null);
  const client = new GatewayServiceClient(`localhost:${server.port}`, channel);
  try {
    const request = { zoneId: '001', address: '127.0.0.1:9001', instanceId: 'i', weight: 1 };
    return await new Promise((resolve) => {
      client.registerUpstream(request, (error) => resolve(error === null ? status.OK : error.code));
    });
  } finally {
    client.close();
  }
}

it('serves a zone by the name in its certificate', async () => {
  expect(await codeFor(authority, 'zone.shop')).toBe(status.OK);
});

it('refuses a certificate of ours whose name gives no right to call this', async () => {
  expect(await codeFor(authority, 'peer')).toBe(status.PERMISSION_DENIED);
  expect(await codeFor(authority, 'somebody')).toBe(status.PERMISSION_DENIED);
});

it('does not talk to a certificate of another authority', async () => {
  expect(await codeFor(await makeAuthority(), 'zone.shop')).toBe(status.UNAVAILABLE);
});
