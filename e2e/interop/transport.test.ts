import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Child } from '../../bench/lib/child.ts';
import { buildGo } from '../../bench/lib/toolchain.ts';
import { Random } from '../../gateway/testing/random.ts';
import { hasQuinn } from '../../gateway/transport/testing/adapters.ts';
import { LossyProxy } from '../delivery/lossy-proxy.ts';
import { checksOf, failed, preparePython } from './foreign-clients.ts';

const setUpDeadlineMs = 300_000;
const deadlineMs = 120_000;
/** quiche 0.18 thinks that lost round trips are slow ones and waits for seconds: its Retry is tried without loss. */
const lossOf = { quinn: 0.1, quiche: 0 };

let goClient: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  goClient = join(await buildGo('e2e/interop/go', ['.'], process.env), 'interop');
  env = await preparePython();
}, setUpDeadlineMs);

const clients = [
  { name: 'quic-go', run: (address: string, job: string) => checksOf(goClient, ['--addr', address, job]) },
  {
    name: 'aioquic',
    run: (address: string, job: string) =>
      checksOf('python3', [join(import.meta.dirname, 'python', 'transport.py'), address, job], env),
  },
];

for (const kind of hasQuinn ? (['quinn', 'quiche'] as const) : (['quiche'] as const)) {
  const loss = lossOf[kind];
  describe(`${kind}, an echo server`, () => {
    let server: Child | undefined;
    let proxy: LossyProxy | undefined;
    afterEach(async () => {
      proxy?.close();
      proxy = undefined;
      await server?.stop();
    });

    const start = async (...flags: readonly string[]): Promise<string> => {
      server = await Child.start(process.execPath, [join(import.meta.dirname, '../hostile/target.ts'), kind, ...flags]);
      return String((await server.event('listening', 60_000))['address']);
    };

    for (const { name, run } of clients) {
      it(`agrees with ${name} on versions, resumption, key updates and migration`, {
        timeout: deadlineMs,
      }, async () => {
        expect(failed(await run(await start(), 'transport'))).toEqual([]);
      });

      it(`agrees with ${name} on Retry, and with ${100 * loss} % of all datagrams lost`, {
        timeout: deadlineMs,
      }, async () => {
        const [host = '', port] = (await start('retry')).split(':');
        const faults = { loss, duplication: 0, reordering: 0, reorderMs: 1 };
        proxy = await LossyProxy.start({ host, port: Number(port) }, faults, new Random(7));
        expect(failed(await run(proxy.address, 'lossy'))).toEqual([]);
        expect(proxy.dropped > 0).toBe(loss > 0);
        await server?.stop();
        expect(server?.output).toMatch(/"retries":[1-9]/);
      });
    }
  });
}
