import { type ChannelCredentials, credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayServiceClient, GatewayServiceService } from '../../proto/gen/upstream.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { type Authority, makeAuthority } from '../transport/testing/certificates.ts';
import { gatewayService } from './gateway-service.ts';
import { type GrpcSecurity, mutualTls } from './grpc-security.ts';
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

interface Listening {
  readonly security: GrpcSecurity;
  readonly grpc: GrpcServer;
}

async function listening(commonName: string, host = 'localhost'): Promise<Listening> {
  const own = await authority.issue(commonName);
  const security = mutualTls(own.certificate, own.privateKey, authority.certificate);
  const definition = GatewayServiceService;
  const implementation = gatewayService(new HandlerHarness().context);
  const services = [{ definition, implementation }];
  const grpc = await startGrpcServer({
    address: `${host}:0`,
    credentials: security.server,
    interceptors: [],
    services,
    reflection: false,
  });
  return { security, grpc };
}

/** @returns the gRPC status code of a call through this channel. */
async function codeThrough(channel: ChannelCredentials, address: string): Promise<number> {
  const client = new GatewayServiceClient(address, channel);
  try {
    const request = { zoneId: '001', address: '127.0.0.1:9001', instanceId: 'i', weight: 1 };
    return await new Promise((resolve) => {
      client.registerUpstream(request, (error) => resolve(error === null ? status.OK : error.code));
    });
  } finally {
    client.close();
  }
}

describe('who a gateway speaks to', () => {
  // An address that no certificate names.
  it.each([
    ['zone.shop', 'zoneChannel', status.OK],
    ['somebody', 'zoneChannel', status.UNAVAILABLE],
    ['zone.shop', 'channel', status.UNAVAILABLE],
  ] as const)('%s at an address of its own through the %s: %i', async (commonName, channel, code) => {
    const { security, grpc } = await listening(commonName, '127.0.0.2');
    expect(await codeThrough(security[channel], `127.0.0.2:${grpc.port}`)).toBe(code);
    await grpc.close(1_000);
  });
});

describe('a new identity', () => {
  it('is shown and believed on new connections, and those who trust the old authority too come in', async () => {
    const { security, grpc } = await listening('peer');
    const next = await makeAuthority('Next authority');
    const channelOf = async (issuer: Authority, roots: string) => {
      const { certificate, privateKey } = await issuer.issue('zone.shop');
      return credentials.createSsl(Buffer.from(roots), Buffer.from(privateKey), Buffer.from(certificate));
    };
    const address = `localhost:${grpc.port}`;
    expect(await codeThrough(await channelOf(next, next.certificate), address)).toBe(status.UNAVAILABLE);
    const own = await next.issue('peer');
    const both = `${authority.certificate}\n${next.certificate}`;
    security.renew({ ...own, ca: both })();
    expect(await codeThrough(await channelOf(next, next.certificate), address)).toBe(status.OK);
    expect(await codeThrough(await channelOf(authority, both), address)).toBe(status.OK);
    expect(await codeThrough(security.channel, address)).toBe(status.OK);
    expect(await codeThrough(await channelOf(authority, authority.certificate), address)).toBe(status.UNAVAILABLE);
    await grpc.close(1_000);
  });

  it('whose key is another’s is refused, and the old one stays', async () => {
    const { security, grpc } = await listening('peer');
    const { certificate } = await authority.issue('peer');
    const { privateKey } = await authority.issue('peer');
    expect(() => security.renew({ certificate, privateKey, ca: authority.certificate })).toThrow(/key/i);
    expect(await codeThrough(security.channel, `localhost:${grpc.port}`)).toBe(status.OK);
    await grpc.close(1_000);
  });
});
