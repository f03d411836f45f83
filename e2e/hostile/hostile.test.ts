import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../bench/lib/child.ts';
import { residentBytesOf } from '../../bench/lib/process-usage.ts';
import { hasQuinn } from '../../gateway/transport/testing/adapters.ts';
import { checksOf, failed, preparePython } from '../interop/foreign-clients.ts';
import { unlikeTheRfc } from './quiche-deviations.ts';

const setUpDeadlineMs = 300_000;
const deadlineMs = 120_000;
const growthMax = 1.1;

let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  env = await preparePython();
}, setUpDeadlineMs);

/** An echo server for the tests of one block. */
function target(kind: 'quinn' | 'quiche'): { readonly address: () => string; readonly pid: () => number } {
  let server: Child;
  let address = '';
  beforeAll(async () => {
    server = await Child.start(process.execPath, [join(import.meta.dirname, 'target.ts'), kind]);
    address = String((await server.event('listening', 60_000))['address']);
  }, setUpDeadlineMs);
  afterAll(() => server?.stop());
  return { address: () => address, pid: () => server.pid };
}

const run = (program: string, ...args: readonly string[]) =>
  checksOf('python3', [join(import.meta.dirname, program), ...args], env);

describe.runIf(hasQuinn)('the production transport', () => {
  const server = target('quinn');

  it('answers each violation with the close that the RFC names', { timeout: deadlineMs }, async () => {
    expect(failed(await run('violations.py', server.address()))).toEqual([]);
  });

  it('sends no more than three times the bytes it got', { timeout: deadlineMs }, async () => {
    expect(failed(await run('attacks.py', server.address(), 'amplification', '1'))).toEqual([]);
    expect(failed(await run('attacks.py', server.address(), 'version_negotiation', '2'))).toEqual([]);
  });

  it.each([
    ['path_challenges', 1000],
    ['new_ids', 1000],
    ['retired_ids', 1000],
    ['crypto_gaps', 1000],
    ['early_crypto', 50],
    ['stream_holes', 1000],
    ['streams', 8],
    ['slow_reading', 25],
    ['optimistic_acks', 2],
    ['pings', 1000],
    ['hellos', 200],
  ])('withstands %s without growing', { timeout: deadlineMs }, async (name, rounds) => {
    const attack = () => run('attacks.py', server.address(), name, String(rounds));
    expect(failed(await attack())).toEqual([]);
    const before = residentBytesOf(server.pid());
    expect(failed(await attack())).toEqual([]);
    // What connections of the attack held may take until their timeout.
    const grown = () => residentBytesOf(server.pid()) / before;
    await expect.poll(grown, { timeout: 30_000, interval: 500 }).toBeLessThan(growthMax);
  });
});

describe('the transport for development', () => {
  const server = target('quiche');

  it('answers violations as the RFC says, but for what is known', { timeout: deadlineMs }, async () => {
    const deviations = failed(await run('violations.py', server.address())).map((check) => check.name);
    expect(deviations.filter((name) => !unlikeTheRfc.includes(name))).toEqual([]);
  });

  it('sends no more than three times the bytes it got', { timeout: deadlineMs }, async () => {
    expect(failed(await run('attacks.py', server.address(), 'amplification', '1'))).toEqual([]);
    expect(failed(await run('attacks.py', server.address(), 'version_negotiation', '2'))).toEqual([]);
  });
});
