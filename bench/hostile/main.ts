/**
 * What honest clients notice of the attacks of e2e/hostile: 20 connections to the production transport send a frame every
 * 10 ms each and wait for its echo; the p99 of the round trips alone, then under each attack, and their ratio.
 */
import { join } from 'node:path';
import { openClient } from '../../gateway/transport/quinn.ts';
import type { ConnectionId } from '../../gateway/transport/transport.ts';
import { Child } from '../lib/child.ts';
import { formatTable } from '../lib/summary.ts';
import { installPython, repositoryFolder } from '../lib/toolchain.ts';

const connections = 20;
const everyMs = 10;
const aloneMs = 5_000;
const ratioMax = 3;
const attacks = [
  ['path_challenges', 20_000],
  ['new_ids', 20_000],
  ['crypto_gaps', 5_000],
  ['stream_holes', 5_000],
  ['pings', 20_000],
  ['slow_reading', 60],
  ['hellos', 600],
] as const;

/** Round trips of honest clients, in milliseconds, since the last reset. */
class Honest {
  #roundTrips: number[] = [];

  async connect(port: number): Promise<void> {
    const ready = Promise.withResolvers<void>();
    let opened = 0;
    const client = openClient(
      {
        alpn: 'gatesvr/1',
        maxFrameBytes: 65_536,
        idleTimeoutMs: 30_000,
        handshakeTimeoutMs: 30_000,
        trust: { insecure: true },
        sendBufferBytes: { low: 64 << 10, high: 256 << 10, hard: 4 << 20 },
        receiveBufferBytesMax: 1 << 20,
      },
      {
        connectionOpened: () => {
          opened += 1;
          if (opened === connections) ready.resolve();
        },
        frameReceived: (_connection, frame) => {
          this.#roundTrips.push(performance.now() - Buffer.from(frame).readDoubleBE());
        },
        peerMoved: () => {},
        connectionWritable: () => {},
        connectionClosed: (_connection, { reason }) =>
          ready.reject(new Error(`an honest client was closed: ${reason}`)),
        batchEnded: () => {},
      },
    );
    const ids: ConnectionId[] = [];
    for (let count = 0; count < connections; count++) ids.push(client.connect({ host: '127.0.0.1', port }));
    await ready.promise;
    setInterval(() => {
      const stamp = Buffer.alloc(100);
      stamp.writeDoubleBE(performance.now());
      for (const id of ids) client.send(id, stamp);
      client.flush();
    }, everyMs);
  }

  /** Of the round trips since the last call. */
  takeP99(): number {
    const sorted = this.#roundTrips.sort((a, b) => a - b);
    this.#roundTrips = [];
    return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
  }
}

const hostile = join(repositoryFolder, 'e2e', 'hostile');

async function run(): Promise<number> {
  const packages = await installPython(join(repositoryFolder, 'e2e/interop/python/requirements.txt'), process.env);
  const env = { ...process.env, PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' };
  const server = await Child.start(process.execPath, [join(hostile, 'target.ts'), 'quinn']);
  const address = String((await server.event('listening', 60_000))['address']);
  const honest = new Honest();
  await honest.connect(Number(address.split(':')[1]));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  honest.takeP99();
  await new Promise((resolve) => setTimeout(resolve, aloneMs));
  const alone = honest.takeP99();
  const rows = [['none', alone.toFixed(2), '1.00']];
  let worst = 1;
  for (const [name, rounds] of attacks) {
    const attacker = await Child.start('python3', [join(hostile, 'attacks.py'), address, name, String(rounds)], {
      env,
    });
    await attacker.ended;
    const p99 = honest.takeP99();
    worst = Math.max(worst, p99 / alone);
    rows.push([name, p99.toFixed(2), (p99 / alone).toFixed(2)]);
  }
  await server.stop();
  process.stdout.write(`p99 of honest round trips, ms\n${formatTable(['attack', 'p99', 'ratio'], rows)}\n`);
  process.stdout.write(`worst ratio ${worst.toFixed(2)}, at most ${ratioMax} wanted\n`);
  return 0;
}

if (import.meta.main) process.exit(await run());
