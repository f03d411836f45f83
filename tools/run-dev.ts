/** `make run`: a primary, its backup and six example zones as child processes, until Ctrl-C. */

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Children } from './children.ts';

interface Ports {
  readonly quic: number;
  readonly http: number;
  readonly grpc: number;
  readonly metrics: number;
  readonly heartbeat: number;
  readonly sync: number;
}

/** What is read of the body of /stats. */
interface StatsBody {
  readonly zones: Readonly<Record<string, { readonly endpoints: readonly { readonly healthy: boolean }[] }>>;
}

const zoneIds = ['001', '002', '003', '004', '005', '006'];
const primaryPorts: Ports = { quic: 8453, http: 8080, grpc: 8092, metrics: 9090, heartbeat: 8093, sync: 8094 };
const backupPorts: Ports = { quic: 8553, http: 8180, grpc: 8192, metrics: 9190, heartbeat: 8193, sync: 8194 };
const firstZonePort = 9001;
const secretBytes = 48;
const startDeadlineMs = 30_000;
/** Longer than the gateway's own drain deadline below. */
const stopDeadlineMs = 15_000;
const drainTimeout = '5s';
/** The recommended ones; the defaults are the seed's 2s and 6s. */
const heartbeatInterval = '200ms';
const heartbeatTimeout = '1s';

process.chdir(new URL('../', import.meta.url).pathname);

/** Undefined when the port is free, else why it is not. */
function busyTcp(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(`${port}/tcp: ${error.code}`));
    probe.listen(port, () => probe.close(() => resolve(undefined)));
  });
}

function busyUdp(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createSocket('udp6');
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(`${port}/udp: ${error.code}`));
    probe.bind(port, () => probe.close(() => resolve(undefined)));
  });
}

async function refuseBusyPorts(pair: readonly Ports[]): Promise<void> {
  const zonePorts = zoneIds.map((_, index) => firstZonePort + index);
  const tcpPorts = pair.flatMap(({ http, grpc, metrics, heartbeat, sync }) => [http, grpc, metrics, heartbeat, sync]);
  const probes = [...pair.map(({ quic }) => busyUdp(quic)), ...[...tcpPorts, ...zonePorts].map(busyTcp)];
  const busy = (await Promise.all(probes)).filter((reason) => reason !== undefined);
  if (busy.length === 0) return;
  process.stderr.write(`these ports are in use, so nothing was started: ${busy.join(', ')}\n`);
  process.exit(2);
}

interface Member {
  readonly name: string;
  readonly mode: 'primary' | 'backup';
  readonly own: Ports;
  readonly peer: Ports;
}

function startGateway(children: Children, { name, mode, own, peer }: Member, secretFile: string): void {
  const flags = [
    'gateway',
    '--dev',
    `--quic-addr=:${own.quic}`,
    `--advertise-addr=localhost:${own.quic}`,
    `--http-addr=:${own.http}`,
    `--grpc-addr=localhost:${own.grpc}`,
    `--metrics-addr=:${own.metrics}`,
    `--drain-timeout=${drainTimeout}`,
    '--backup-enabled',
    `--backup-mode=${mode}`,
    `--backup-server-id=${name}`,
    `--backup-secret-file=${secretFile}`,
    `--backup-heartbeat-interval=${heartbeatInterval}`,
    `--backup-heartbeat-timeout=${heartbeatTimeout}`,
    `--backup-heartbeat-listen-addr=localhost:${own.heartbeat}`,
    `--backup-heartbeat-peer-addr=localhost:${peer.heartbeat}`,
    `--backup-sync-listen-addr=localhost:${own.sync}`,
    `--backup-sync-peer-addr=localhost:${peer.sync}`,
  ];
  children.start(name, flags, { restart: true });
}

function startZones(children: Children, gateways: readonly Ports[]): void {
  const grpc = gateways.map((ports) => `localhost:${ports.grpc}`).join(',');
  zoneIds.forEach((zone, index) => {
    const address = `localhost:${firstZonePort + index}`;
    children.start(`zone-${zone}`, [
      'upstream',
      '--zone',
      zone,
      '--addr',
      address,
      '--gateway',
      grpc,
      '--log-level=warn',
    ]);
  });
}

/** Polls `isDone`. @throws when a child ended or the deadline passed. */
async function until(children: Children, what: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + startDeadlineMs;
  while (!(await isDone().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not within ${startDeadlineMs / 1000} seconds: ${what}`);
    await children.aliveFor(200);
  }
}

async function read(ports: Ports, path: string): Promise<Response> {
  return fetch(`http://localhost:${ports.http}${path}`, { signal: AbortSignal.timeout(2000) });
}

async function allZonesHealthy(ports: Ports): Promise<boolean> {
  const { zones } = (await (await read(ports, '/stats')).json()) as StatsBody;
  return zoneIds.every((id) => zones[id]?.endpoints.some((endpoint) => endpoint.healthy));
}

/** Zones are started when the gateway answers: they would only complain before. */
async function startAll(children: Children, secretFile: string): Promise<void> {
  const [first, second] = [primaryPorts, backupPorts];
  startGateway(children, { name: 'gate-001', mode: 'primary', own: first, peer: second }, secretFile);
  startGateway(children, { name: 'gate-002', mode: 'backup', own: second, peer: first }, secretFile);
  await until(children, 'the primary serves', async () => (await read(first, '/primary')).ok);
  await until(children, 'the backup is in sync', async () => (await read(second, '/ready')).ok);
  startZones(children, [first, second]);
  await until(children, 'all zones are healthy', () => allZonesHealthy(first));
  process.stdout.write(greeting(first, second));
}

function greeting(ports: Ports, backup: Ports): string {
  return `
GateSvr is up: zones 001 to 006, and a pair of gateways:
  gate-001, primary: clients (QUIC) ${ports.quic}/udp, HTTP ${ports.http}, gRPC ${ports.grpc}, metrics ${ports.metrics}
  gate-002, backup:  clients (QUIC) ${backup.quic}/udp, HTTP ${backup.http}, gRPC ${backup.grpc}, metrics ${backup.metrics}
This is development mode: the certificate is thrown away at the end, and everybody is let in.

  npm run -s gatesvr -- client --addr localhost:${ports.quic} --openid alice --insecure --action echo --data hi
  npm run -s gatesvr -- client --addr localhost:${ports.quic},localhost:${backup.quic} --openid alice --insecure
  npm run -s gatesvr -- admin status --gateway localhost:${ports.grpc}
  curl http://localhost:${ports.http}/stats
  open http://localhost:${ports.http}/

Kill the primary (its pid is in /health) and the client goes on at the backup; the killed gateway is started again.
Ctrl-C stops it.
`;
}

await refuseBusyPorts([primaryPorts, backupPorts]);
const secretFolder = mkdtempSync(join(tmpdir(), 'gatesvr-'));
const secretFile = join(secretFolder, 'pair-secret');
writeFileSync(secretFile, randomBytes(secretBytes), { mode: 0o600 });
const children = new Children('gateway/cli/gatesvr.ts', stopDeadlineMs);
const asked = new Promise<void>((resolve) => {
  process.on('SIGINT', () => resolve());
  process.on('SIGTERM', () => resolve());
});
try {
  await Promise.race([asked, startAll(children, secretFile)]);
  await Promise.race([asked, children.ended]);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
await children.stop();
rmSync(secretFolder, { recursive: true });
