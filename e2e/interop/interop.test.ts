import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../../bench/lib/child.ts';
import {
  allZoneIds,
  patientFlags,
  type RunningGateway,
  startExampleZones,
  startGateway,
} from '../../bench/lib/gateways.ts';
import { residentBytesOf } from '../../bench/lib/process-usage.ts';
import { buildGo } from '../../bench/lib/toolchain.ts';
import { checksOf, failed, preparePython } from './foreign-clients.ts';

const setUpDeadlineMs = 300_000;
const clientDeadlineMs = 120_000;
const growthMax = 24 * 1024 * 1024;

let gateway: RunningGateway;
let zones: readonly Child[] = [];

beforeAll(async () => {
  gateway = await startGateway(['--log-level=error', ...patientFlags]);
  zones = await startExampleZones(gateway, allZoneIds);
}, setUpDeadlineMs);

afterAll(async () => {
  for (const child of [...zones, gateway?.process]) await child?.stop();
});

describe('a client on quic-go', () => {
  let program: string;

  const run = (job: string, ...flags: readonly string[]) =>
    checksOf(program, ['--addr', gateway.quicAddress, ...flags, job]);

  beforeAll(async () => {
    program = join(await buildGo('e2e/interop/go', ['.'], process.env), 'interop');
  }, setUpDeadlineMs);

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
