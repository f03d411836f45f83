import { join } from 'node:path';
import { Child } from './child.ts';
import { freeTcpPort, freeUdpPort } from './free-port.ts';
import { repositoryFolder } from './toolchain.ts';

const readyDeadlineMs = 30_000;
const pollMs = 50;

export interface RunningGateway {
  readonly process: Child;
  /** Where clients connect, UDP. */
  readonly quicAddress: string;
  /** Where zones register. */
  readonly grpcAddress: string;
  /** Health and statistics; the Go gateway has none. */
  readonly httpAddress?: string;
}

const commandLine = join(repositoryFolder, 'gateway', 'cli', 'gatesvr.ts');

export const allZoneIds = ['001', '002', '003', '004', '005', '006'];

/** A busy machine, and all clients at one address, must not make a gateway refuse what a test or bench measures. */
export const patientFlags = [
  '--overload-protection-connect-rate=0',
  '--overload-protection-address-message-rate=0',
  '--overload-protection-address-byte-rate=0',
  '--overload-protection-event-loop-delay-warning=60s',
  '--overload-protection-event-loop-delay-limit=60s',
  '--drain-timeout=1s',
];

/** Limits out of the way of a load: the seed's defaults are for one small machine. */
export const benchFlags = [
  '--overload-protection-max-connections=1000000',
  '--overload-protection-max-qps=10000000',
  '--overload-protection-max-upstream-concurrent=1000000',
  '--overload-protection-session-message-rate=0',
  '--overload-protection-session-byte-rate=0',
  '--log-level=warn',
  ...patientFlags,
];

/** Starts the gateway of this repository in development mode and waits until it is ready. */
export async function startGateway(flags: readonly string[]): Promise<RunningGateway> {
  const quicAddress = `127.0.0.1:${await freeUdpPort()}`;
  const [httpAddress, grpcAddress, metricsAddress] = await Promise.all(
    [1, 2, 3].map(async () => `127.0.0.1:${await freeTcpPort()}`),
  );
  const process = await Child.start(globalThis.process.execPath, [
    commandLine,
    'gateway',
    '--dev',
    `--quic-addr=${quicAddress}`,
    `--http-addr=${httpAddress}`,
    `--grpc-addr=${grpcAddress}`,
    `--metrics-addr=${metricsAddress}`,
    ...flags,
  ]);
  await ready(process, `http://${httpAddress}/ready`);
  return { process, quicAddress, grpcAddress: grpcAddress ?? '', httpAddress: httpAddress ?? '' };
}

async function ready(process: Child, url: string): Promise<void> {
  const deadline = AbortSignal.timeout(readyDeadlineMs);
  for (;;) {
    const answer = await fetch(url, { signal: deadline }).catch(() => undefined);
    if (answer?.ok === true) return;
    if (process.exited || deadline.aborted) {
      await process.stop();
      throw new Error(`${process.name} is not ready:\n${process.output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Starts the Go gateway that was built into `programs`. */
export async function startPeer(programs: string): Promise<RunningGateway> {
  const process = await Child.start(join(programs, 'gateway'), []);
  const event = await process.event('listening', readyDeadlineMs);
  return { process, quicAddress: String(event['quic']), grpcAddress: String(event['grpc']) };
}

/** Starts the Go zone server, which serves all six zones, and waits until the gateway knows them. */
export async function startGoZones(programs: string, gateway: RunningGateway, flags: readonly string[] = []) {
  const zones = await Child.start(join(programs, 'zone'), ['--gateway', gateway.grpcAddress, ...flags]);
  await zones.event('registered', readyDeadlineMs);
  if (gateway.httpAddress !== undefined) await untilHealthy(gateway, allZoneIds, [zones]);
  return zones;
}

/** Starts the example zone of this repository, one process a zone, and waits until the gateway knows them all. */
export async function startExampleZones(gateway: RunningGateway, zoneIds: readonly string[]): Promise<Child[]> {
  const zones = await Promise.all(
    zoneIds.map(async (id) => {
      const address = `127.0.0.1:${await freeTcpPort()}`;
      const flags = ['upstream', '--zone', id, '--addr', address, '--gateway', gateway.grpcAddress];
      return Child.start(globalThis.process.execPath, [commandLine, ...flags]);
    }),
  );
  await untilHealthy(gateway, zoneIds, zones);
  return zones;
}

async function untilHealthy(gateway: RunningGateway, zoneIds: readonly string[], zones: readonly Child[]) {
  const deadline = AbortSignal.timeout(readyDeadlineMs);
  while (!(await healthyZones(gateway, zoneIds))) {
    if (deadline.aborted || zones.some((zone) => zone.exited)) {
      const outputs = zones.map((zone) => zone.output).join('\n');
      await Promise.all(zones.map((zone) => zone.stop()));
      throw new Error(`the zones are not healthy:\n${outputs}\n${gateway.process.output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

interface Stats {
  readonly zones: Readonly<Record<string, { readonly endpoints: readonly { readonly healthy: boolean }[] }>>;
}

async function healthyZones(gateway: RunningGateway, zoneIds: readonly string[]): Promise<boolean> {
  const answer = await fetch(`http://${gateway.httpAddress}/stats`);
  const { zones } = (await answer.json()) as Stats;
  return zoneIds.every((id) => zones[id]?.endpoints.some((endpoint) => endpoint.healthy));
}
