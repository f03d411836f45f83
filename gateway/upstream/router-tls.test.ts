import { credentials, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { ErrorCode } from '../protocol/error-codes.ts';
import { type Identity, makeAuthority } from '../transport/testing/certificates.ts';
import { ask, dataOf, healthy, RouterHarness, serve } from './router-harness.ts';

const harness = new RouterHarness();
afterEach(() => harness.stop());

function pair({ certificate, privateKey }: Identity): { cert_chain: Buffer; private_key: Buffer } {
  return { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) };
}

it('speaks mutual TLS with the credentials it is given, and with nobody else', async () => {
  const [trusted, foreign] = [await makeAuthority(), await makeAuthority()];
  const zoneIdentity = pair(await trusted.issue());
  const root = Buffer.from(trusted.certificate);
  const zone = await harness.zone({ serverCredentials: ServerCredentials.createSsl(root, [zoneIdentity], true) });
  const asked: string[] = [];
  const client = async (authority: typeof trusted): Promise<ReturnType<typeof credentials.createSsl>> => {
    const { private_key, cert_chain } = pair(await authority.issue('gateway'));
    return credentials.createSsl(root, private_key, cert_chain);
  };
  const own = await client(trusted);
  const good = harness.router({
    credentials: (address) => {
      asked.push(address);
      return own;
    },
  });
  const endpoint = { address: `localhost:${zone.port}` };
  serve(good, endpoint);
  await healthy(good);
  expect(dataOf(await ask(good, 1))).toBe('data 1');
  expect(asked).toEqual([endpoint.address]);

  const stranger = await client(foreign);
  for (const channel of [stranger, credentials.createSsl(root), credentials.createInsecure()]) {
    const router = harness.router({ credentials: () => channel, timeoutMs: 1_000 });
    serve(router, endpoint);
    const refused = { kind: 'failed', code: ErrorCode.ERROR_ZONE_UNAVAILABLE, reached: false };
    expect(await ask(router, 1)).toMatchObject(refused);
  }
  expect(zone.requests).toHaveLength(1);
});
