import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Child } from '../../bench/lib/child.ts';
import {
  allZoneIds,
  patientFlags,
  type RunningGateway,
  startExampleZones,
  startGateway,
  startGoZones,
} from '../../bench/lib/gateways.ts';
import { residentBytesOf } from '../../bench/lib/process-usage.ts';
import { buildGo } from '../../bench/lib/toolchain.ts';
import { checksOf, failed, preparePython } from './foreign-clients.ts';

const setUpDeadlineMs = 300_000;
const clientDeadlineMs = 120_000;
const growthMax = 24 * 1024 * 1024;

let goClient: string;
let gateway: RunningGateway;
let zones: readonly Child[] = [];

beforeAll(async () => {
  goClient = join(await buildGo('e2e/interop/go', ['.'], process.env), 'interop');
  gateway = await startGateway(['--log-level=error', ...patientFlags]);
  zones = await startExampleZones(gateway, allZoneIds);
}, setUpDeadlineMs);

afterAll(async () => {
  for (const child of [...zones, gateway?.process]) await child?.stop();
});

describe('a client on quic-go', () => {
  const run = (job: string, ...flags: readonly string[]) =>
    checksOf(goClient, ['--addr', gateway.quicAddress, ...flags, job]);

  it('does start, heartbeat, business, push, ack and stop', { timeout: clientDeadlineMs }, async () => {
    expect(failed(await run('main', '--openid', 'go-用户'))).toEqual([]);
  });

  it('resumes where it was, without a hole or a repeat', { timeout: clientDeadlineMs }, async () => {
    expect(failed(await run('resume', '--openid', 'go-resume'))).toEqual([]);
  });

  it('is answered bad input by its code, and nobody else notices', { timeout: clientDeadlineMs }, async () => {
    expect(failed(await run('bad', '--openid', 'go-bad'))).toEqual([]);
  });

  it('leaves memory flat after 100,000 bad frames', { timeout: 3 * clientDeadlineMs }, async () => {
    const { pid } = gateway.process;
    expect(failed(await run('flood', '--openid', 'flood', '--frames', '30000'))).toEqual([]);
    const before = residentBytesOf(pid);
    expect(failed(await run('flood', '--openid', 'flood', '--frames', '100000'))).toEqual([]);
    // The collector may be late: the memory must come back, it need not at once.
    await expect.poll(() => residentBytesOf(pid) - before, { timeout: 60_000, interval: 500 }).toBeLessThan(growthMax);
  });
});

describe('a client on aioquic', () => {
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    env = await preparePython();
  }, setUpDeadlineMs);

  it('does start, heartbeat, business, push, ack, resume and stop', { timeout: clientDeadlineMs }, async () => {
    const client = join(import.meta.dirname, 'python', 'client.py');
    expect(failed(await checksOf('python3', [client, gateway.quicAddress, 'python-用户'], env))).toEqual([]);
  });
});

describe('zones on grpc-go', () => {
  let programs: string;
  let own: RunningGateway;
  let foreign: Child | undefined;

  beforeAll(async () => {
    programs = await buildGo('bench/peers', ['zone'], process.env);
  }, setUpDeadlineMs);

  beforeEach(async () => {
    own = await startGateway(['--log-level=error', ...patientFlags]);
  }, setUpDeadlineMs);

  afterEach(async () => {
    await foreign?.stop();
    await own?.process.stop();
  }, setUpDeadlineMs);

  it.each([
    { words: 'that have Exchange', flags: [] },
    { words: 'that have only ProcessRequest', flags: ['--unary'] },
  ])('$words serve and push', { timeout: clientDeadlineMs }, async ({ flags }) => {
    foreign = await startGoZones(programs, own, flags);
    const checks = await checksOf(goClient, ['--addr', own.quicAddress, '--openid', 'foreign-zone', 'main']);
    expect(failed(checks)).toEqual([]);
  });
});
