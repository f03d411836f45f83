import type { Child } from '../lib/child.ts';
import type { BenchOptions } from '../lib/options.ts';
import { cpuSecondsOf, residentBytesOf } from '../lib/process-usage.ts';
import { type EchoContestant, withEcho } from './contestant.ts';

export interface Run {
  readonly contestant: EchoContestant;
  readonly connections: number;
  /** The measurement's figure; more is better, but for memory. */
  readonly value: number;
  /** Messages per second, whoever was the bottleneck. */
  readonly rate: number;
}

const inFlight = 4;
const messageBytes = 100;
const broadcast = { frames: 150, everyMs: 20, bytes: 200 };
const idleFrom = 1000;
const idleTo = 5000;

function flags(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

export async function measureEcho(
  contestant: EchoContestant,
  programs: string,
  connections: number,
  options: BenchOptions,
): Promise<Run> {
  const load = flags({
    connections,
    'in-flight': inFlight,
    bytes: messageBytes,
    'warm-up': `${options.warmUpSeconds}s`,
    measure: `${options.measureSeconds}s`,
  });
  return withEcho(contestant, programs, load, async ({ server, load }) => {
    await load.event('measuring', 60_000);
    const before = cpuSecondsOf(server.pid);
    const done = await load.event('measured', 60_000);
    const cpuSeconds = cpuSecondsOf(server.pid) - before;
    const [messages, seconds] = [Number(done['messages']), Number(done['seconds'])];
    return { contestant, connections, value: messages / cpuSeconds, rate: messages / seconds };
  });
}

async function receivedBy(load: Child): Promise<number> {
  load.writeLine('');
  return Number((await load.event('received', 10_000))['messages']);
}

async function settled(load: Child, messages: number): Promise<number> {
  const deadline = Date.now() + 10_000;
  let received = await receivedBy(load);
  while (received < messages && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    received = await receivedBy(load);
  }
  return received;
}

export async function measureBroadcast(
  contestant: EchoContestant,
  programs: string,
  connections: number,
): Promise<Run> {
  const load = flags({ mode: 'receive', connections, bytes: messageBytes });
  return withEcho(contestant, programs, load, async ({ server, load }) => {
    // Each receiver announced itself with one frame, which was echoed.
    const announced = await settled(load, connections);
    const before = { cpu: cpuSecondsOf(server.pid), time: performance.now() };
    server.writeLine(JSON.stringify(broadcast));
    await server.event('broadcasted', 60_000);
    const deliveries = (await settled(load, announced + broadcast.frames * connections)) - announced;
    const seconds = (performance.now() - before.time) / 1000;
    const cpuSeconds = cpuSecondsOf(server.pid) - before.cpu;
    return { contestant, connections, value: deliveries / cpuSeconds, rate: deliveries / seconds };
  });
}

async function idleBytes(contestant: EchoContestant, programs: string, connections: number): Promise<number> {
  const load = flags({ mode: 'idle', connections, bytes: messageBytes });
  return withEcho(contestant, programs, load, async ({ server, load }) => {
    await settled(load, connections);
    return residentBytesOf(server.pid);
  });
}

export async function measureMemory(contestant: EchoContestant, programs: string): Promise<Run> {
  const [few, many] = [await idleBytes(contestant, programs, idleFrom), await idleBytes(contestant, programs, idleTo)];
  return { contestant, connections: idleTo, value: (many - few) / (idleTo - idleFrom), rate: 0 };
}
