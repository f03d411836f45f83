import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GatewayControl } from '../../gateway/handlers/control.ts';
import { adminService } from '../../gateway/servers/admin-service.ts';
import { gatewayService } from '../../gateway/servers/gateway-service.ts';
import { mutualTls } from '../../gateway/servers/grpc-security.ts';
import { type GrpcServer, startGrpcServer } from '../../gateway/servers/grpc-server.ts';
import { HandlerHarness } from '../../gateway/testing/handler-harness.ts';
import { AdminServiceClient, AdminServiceService } from '../../proto/gen/admin.ts';
import { GatewayServiceClient, GatewayServiceService } from '../../proto/gen/upstream.ts';
import { gateSvrOf } from '../testing/defaulted.ts';
import { desiredSecrets, type Secret } from './secrets.ts';

/** The Secrets of two GateSvrs, by name. */
const secrets = new Map<string, Secret>();
let server: GrpcServer;

beforeAll(async () => {
  for (const name of ['shop', 'other']) {
    const randomBytes = (count: number) => new Uint8Array(count);
    const inputs = { existing: () => undefined, wallMs: Date.now(), randomBytes };
    const { created } = await desiredSecrets(gateSvrOf({ name }), inputs);
    for (const secret of created) secrets.set(secret.metadata.name, secret);
  }
  const security = mutualTls(text('shop-tls', 'tls.crt'), text('shop-tls', 'tls.key'), text('shop-tls', 'ca.crt'));
  const { context } = new HandlerHarness();
  const control = {} as GatewayControl;
  server = await startGrpcServer({
    address: '127.0.0.1:0',
    credentials: security.server,
    interceptors: security.interceptors,
    services: [
      { definition: AdminServiceService, implementation: adminService(context, control) },
      { definition: GatewayServiceService, implementation: gatewayService(context) },
    ],
    reflection: false,
  });
});
afterAll(() => server.close(1_000));

function text(secret: string, key: string): string {
  return Buffer.from(secrets.get(secret)?.data?.[key] ?? '', 'base64').toString();
}

/** @returns the gRPC status code of a call with the certificate of this Secret. */
async function codeOf(secret: string, service: 'admin' | 'gateway', host: string): Promise<number> {
  const [ca, key, certificate] = ['ca.crt', 'tls.key', 'tls.crt'].map((name) => Buffer.from(text(secret, name)));
  const channel = credentials.createSsl(ca ?? null, key ?? null, certificate ?? null);
  const address = `127.0.0.1:${server.port}`;
  const options = { 'grpc.ssl_target_name_override': host };
  const client =
    service === 'admin'
      ? new AdminServiceClient(address, channel, options)
      : new GatewayServiceClient(address, channel, options);
  try {
    return await new Promise((resolve) => {
      const answered = (error: ServiceError | null) => resolve(error === null ? status.OK : error.code);
      if (client instanceof AdminServiceClient) {
        client.listSessions({ openid: '', zoneId: '', pageSize: 1, pageToken: '' }, answered);
      } else {
        client.registerUpstream({ zoneId: '001', address: '10.0.0.1:1', instanceId: 'i', weight: 1 }, answered);
      }
    });
  } finally {
    client.close();
  }
}

const pod = 'shop-p0-a-0.shop-peers.games.svc';

it.each([
  ['shop-operator-tls', 'admin', pod, 'OK'],
  ['shop-operator-tls', 'gateway', pod, 'PERMISSION_DENIED'],
  ['shop-zone-tls', 'gateway', 'shop-upstream.games.svc', 'OK'],
  ['shop-zone-tls', 'admin', pod, 'PERMISSION_DENIED'],
  ['shop-tls', 'admin', pod, 'PERMISSION_DENIED'],
  // For clients only: it may not be shown by who calls.
  ['shop-quic-tls', 'gateway', pod, 'UNAVAILABLE'],
  ['other-operator-tls', 'admin', pod, 'UNAVAILABLE'],
  ['shop-operator-tls', 'admin', 'other-p0-a-0.other-peers.games.svc', 'UNAVAILABLE'],
] as const)('with %s to the %s service of %s: %s', async (secret, service, host, code) => {
  expect(status[await codeOf(secret, service, host)]).toBe(code);
});
