/**
 * A fleet: pushes through a gateway of another pair against those at the owner, a broadcast over three pairs against one pair
 * with as many sessions, and what 100 pairs with a million sessions would cost. `--sizes` are the sessions of the broadcast.
 */
import { join } from 'node:path';
import { Rendezvous } from '../../gateway/fleet/rendezvous.ts';
import { ZoneServer } from '../../gateway/zone-server/zone-server.ts';
import { Child } from '../lib/child.ts';
import { FleetProcesses } from '../lib/fleet.ts';
import { benchFlags } from '../lib/gateways.ts';
import { benchOptions } from '../lib/options.ts';
import { until } from '../lib/pair.ts';
import { cpuSecondsOf } from '../lib/process-usage.ts';
import { formatSpread, formatTable, report, spreadOf } from '../lib/summary.ts';
import { scaleOf } from './scale.ts';

const targets = { foreign: 0.6, broadcast: 0.9, moves: 1.1 };
const pushedUsers = 200;
const lanes = 512;
const connectDeadlineMs = 240_000;
const broadcastBytes = 100;
const broadcastsAtOnce = 20;
const flags = [...benchFlags, '--queue-max-messages=4096', '--queue-max-bytes=4194304'];

async function startClients(endpoint: string, first: number, count: number): Promise<Child> {
  const program = join(import.meta.dirname, 'clients.ts');
  const clients = await Child.start(process.execPath, [program, endpoint, String(first), String(count)], {
    interactive: true,
  });
  await clients.event('connected', connectDeadlineMs);
  return clients;
}

async function withZone<T>(gateway: string, use: (zone: ZoneServer) => Promise<T>): Promise<T> {
  const zone = new ZoneServer({ zoneId: '001', address: '127.0.0.1:0', gateways: [gateway], handler: () => ({}) });
  await zone.start();
  await zone.whenRegistered();
  try {
    return await use(zone);
  } finally {
    await zone.stop(500);
  }
}

/** Accepted pushes a second to these users, many under way. */
async function pushRate(gateway: string, openids: readonly string[], seconds: number): Promise<number> {
  return withZone(gateway, async (zone) => {
    const producer = zone.openProducer();
    const data = new Uint8Array(100);
    const untilMs = performance.now() + seconds * 1_000;
    let accepted = 0;
    let turn = 0;
    const lane = async () => {
      while (performance.now() < untilMs) {
        turn += 1;
        const one = await producer.push(openids[turn % openids.length] ?? '', data).then(
          () => 1,
          () => 0,
        );
        accepted += one;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return accepted / seconds;
  });
}

/** Pushes at the owner of all users, and at a gateway of another pair. */
async function measurePushes(): Promise<{ owner: number; foreign: number }> {
  const fleet = await FleetProcesses.start({ pairs: 2, flags });
  try {
    const owner = new Rendezvous([
      { id: 'p0', weight: 1 },
      { id: 'p1', weight: 1 },
    ]);
    const clients = await startClients(fleet.gateway(0).quicAddress, 0, 2 * pushedUsers);
    const openids = Array.from({ length: 2 * pushedUsers }, (_, n) => `user-${n}`);
    const mine = openids.filter((openid) => owner.ownerOf(openid)?.id === 'p0');
    await pushRate(fleet.gateway(0).grpcAddress, mine, options.warmUpSeconds);
    const atOwner = await pushRate(fleet.gateway(0).grpcAddress, mine, options.measureSeconds);
    await pushRate(fleet.gateway(1).grpcAddress, mine, options.warmUpSeconds);
    const foreign = await pushRate(fleet.gateway(1).grpcAddress, mine, options.measureSeconds);
    await clients.stop();
    return { owner: atOwner, foreign };
  } finally {
    await fleet.stop();
  }
}

/** Deliveries of broadcasts a second of CPU time of all gateways. */
async function measureBroadcast(pairs: number, sessions: number): Promise<number> {
  const fleet = await FleetProcesses.start({ pairs, flags });
  const clients: Child[] = [];
  try {
    for (let first = 0; first < sessions; first += 2_500) {
      clients.push(await startClients(fleet.gateway(0).quicAddress, first, Math.min(2_500, sessions - first)));
    }
    return await withZone(fleet.gateway(0).grpcAddress, async (zone) => {
      const cpu = () => fleet.gateways.reduce((sum, { process: child }) => sum + cpuSecondsOf(child.pid), 0);
      const rounds = 4 * options.measureSeconds;
      // The code of each gateway must be hot.
      await broadcast(zone, clients, sessions, 4 * options.warmUpSeconds);
      const before = cpu();
      await broadcast(zone, clients, sessions, rounds);
      return (rounds * broadcastsAtOnce * sessions) / (cpu() - before);
    });
  } finally {
    await Promise.all(clients.map((one) => one.stop()));
    await fleet.stop();
  }
}

/** Some at a time, waited for until every client has them: a gateway that idles between two would be charged for that. */
async function broadcast(zone: ZoneServer, clients: readonly Child[], sessions: number, rounds: number): Promise<void> {
  const received = async () => {
    let sum = 0;
    for (const child of clients) {
      child.writeLine('count');
      sum += Number((await child.event('count', connectDeadlineMs))['received']);
    }
    return sum;
  };
  for (let round = 0; round < rounds; round += 1) {
    const before = await received();
    const burst = Array.from({ length: broadcastsAtOnce }, () => zone.broadcast(new Uint8Array(broadcastBytes)));
    await Promise.all(burst);
    await until('everybody has them', async () => (await received()) - before >= sessions * broadcastsAtOnce);
  }
}

const options = benchOptions(process.argv.slice(2), { sizes: [5_000], rounds: 1, warmUpSeconds: 2, measureSeconds: 4 });
const thousands = (value: number) => `${(value / 1_000).toFixed(1)}k`;
const hundredths = (value: number) => value.toFixed(2);
const rows: string[][] = [];
const pushes: { owner: number; foreign: number }[] = [];
for (let round = 0; round < options.rounds; round += 1) pushes.push(await measurePushes());
rows.push([
  'pushes a second: at the owner, at another pair',
  formatSpread(spreadOf(pushes.map(({ owner }) => owner)), thousands),
  formatSpread(spreadOf(pushes.map(({ foreign }) => foreign)), thousands),
  `${formatSpread(spreadOf(pushes.map(({ owner, foreign }) => foreign / owner)), hundredths)} (≥ ${targets.foreign})`,
]);
for (const sessions of options.sizes) {
  const one: number[] = [];
  const three: number[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    one.push(await measureBroadcast(1, sessions));
    three.push(await measureBroadcast(3, sessions));
  }
  rows.push([
    `deliveries a CPU second to ${sessions} sessions: 1 pair, 3 pairs`,
    formatSpread(spreadOf(one), thousands),
    formatSpread(spreadOf(three), thousands),
    `${formatSpread(spreadOf(three.map((value, n) => value / (one[n] ?? Number.NaN))), hundredths)} (≥ ${targets.broadcast})`,
  ]);
}
const scale = scaleOf(100, 1_000_000, 100_000);
for (const { name, moved, ideal } of scale.steps) {
  rows.push([
    `moves, ${name} pairs, 1M sessions: all, the share that must`,
    thousands(moved),
    thousands(ideal),
    `${hundredths(moved / ideal)} (≤ ${targets.moves})`,
  ]);
}
const { refresh, logins, afterLoss } = scale.directoryPerSecond;
rows.push([
  'map of 100 pairs: bytes, µs for an owner',
  String(scale.mapBytes),
  hundredths(scale.lookupMicroseconds),
  '',
]);
rows.push([
  'directory a second: refresh and logins, after a loss',
  thousands(refresh + logins),
  thousands(afterLoss),
  '',
]);
report(formatTable(['', 'one', 'other', 'share'], rows), { pushes, scale, rows }, options.json);
process.exit(0);
