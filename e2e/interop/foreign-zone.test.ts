import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Child } from '../../bench/lib/child.ts';
import { patientFlags, type RunningGateway, startGateway, startGoZones } from '../../bench/lib/gateways.ts';
import { buildGo } from '../../bench/lib/toolchain.ts';
import { checksOf, failed } from './foreign-clients.ts';

const setUpDeadlineMs = 300_000;
const clientDeadlineMs = 120_000;

describe('zones on grpc-go', () => {
  let client: string;
  let programs: string;
  let gateway: RunningGateway;
  let zones: Child | undefined;

  beforeAll(async () => {
    client = join(await buildGo('e2e/interop/go', ['.'], process.env), 'interop');
    programs = await buildGo('bench/peers', ['zone'], process.env);
  }, setUpDeadlineMs);

  beforeEach(async () => {
    gateway = await startGateway(['--log-level=error', ...patientFlags]);
  }, setUpDeadlineMs);

  afterEach(async () => {
    await zones?.stop();
    await gateway?.process.stop();
  }, setUpDeadlineMs);

  it.each([
    { words: 'that have Exchange', flags: [] },
    { words: 'that have only ProcessRequest', flags: ['--unary'] },
  ])('$words serve and push', { timeout: clientDeadlineMs }, async ({ flags }) => {
    zones = await startGoZones(programs, gateway, flags);
    const checks = await checksOf(client, ['--addr', gateway.quicAddress, '--openid', 'foreign-zone', 'main']);
    expect(failed(checks)).toEqual([]);
  });
});
