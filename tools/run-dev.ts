/** `make run`: a development gateway and six example zones as child processes, until Ctrl-C. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { Children } from './children.ts';

interface Ports {
  readonly quic: number;
  readonly http: number;
  readonly grpc: number;
  readonly metrics: number;
}

/** What is read of the body of /stats. */
interface StatsBody {
  readonly zones: Readonly<Record<string, { readonly endpoints: readonly { readonly healthy: boolean }[] }>>;
}

const zoneIds = ['001', '002', '003', '004', '005', '006'];
const gatewayPorts: Ports = { quic: 8453, http: 8080, grpc: 8092, metrics: 9090 };
const firstZonePort = 9001;
const startDeadlineMs = 30_000;
/** Longer than the gateway's own drain deadline below. */
const stopDeadlineMs = 15_000;
const drainTimeout = '5s';

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

async function refuseBusyPorts(ports: Ports): Promise<void> {
  const zonePorts = zoneIds.map((_, index) => firstZonePort + index);
  const probes = [ports.http, ports.grpc, ports.metrics, ...zonePorts].map(busyTcp);
  const busy = (await Promise.all([busyUdp(ports.quic), ...probes])).filter((reason) => reason !== undefined);
  if (busy.length === 0) return;
  process.stderr.write(`these ports are in use, so nothing was started: ${busy.join(', ')}\n`);
  process.exit(2);
}

function startGateway(children: Children, name: string, ports: Ports): void {
  children.start(name, [
    'gateway',
    '--dev',
    `--backup-server-id=${name}`,
    `--quic-addr=:${ports.quic}`,
    `--http-addr=:${ports.http}`,
    `--grpc-addr=localhost:${ports.grpc}`,
    `--metrics-addr=:${ports.metrics}`,
    `--drain-timeout=${drainTimeout}`,
  ]);
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
async function startAll(children: Children, ports: Ports): Promise<void> {
  startGateway(children, 'gate-001', ports);
  await until(children, 'the gateway is healthy', async () => (await read(ports, '/health')).ok);
  startZones(children, [ports]);
  await until(children, 'all zones are healthy', () => allZonesHealthy(ports));
  process.stdout.write(greeting(ports));
}

function greeting(ports: Ports): string {
  return `
GateSvr is up: clients (QUIC) ${ports.quic}/udp, HTTP ${ports.http}, gRPC ${ports.grpc}, metrics ${ports.metrics}; zones 001 to 006.
This is development mode: the certificate is thrown away at the end, and everybody is let in.

  npm run -s gatesvr -- client --addr localhost:${ports.quic} --openid alice --insecure --action echo --data hi
  npm run -s gatesvr -- client --addr localhost:${ports.quic} --openid alice --insecure
  npm run -s gatesvr -- admin status --gateway localhost:${ports.grpc}
  curl http://localhost:${ports.http}/stats
  open http://localhost:${ports.http}/

Ctrl-C stops it.
`;
}

await refuseBusyPorts(gatewayPorts);
const children = new Children('gateway/cli/gatesvr.ts', stopDeadlineMs);
const asked = new Promise<void>((resolve) => {
  process.on('SIGINT', () => resolve());
  process.on('SIGTERM', () => resolve());
});
try {
  await Promise.race([asked, startAll(children, gatewayPorts)]);
  await Promise.race([asked, children.ended]);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
await children.stop();
