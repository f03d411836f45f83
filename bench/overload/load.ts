/**
 * Load on a gateway for bench/overload, with steps of constant offered rate, whatever comes back:
 * `node load.ts ADDRESS CONNECTIONS DATA_BYTES RATE:SECONDS,…`. A rate of 0 keeps two requests of each session under way.
 * Ends with a line of JSON that tells of each tenth of a second.
 */
import { errorCodeName } from '../../gateway/protocol/error-codes.ts';
import { openClient } from '../../gateway/transport/quinn.ts';
import type { ConnectionId } from '../../gateway/transport/transport.ts';
import { LoadClient, type Tally } from './load-client.ts';

const tickMs = 5;
const slotMs = 100;
const startsPerTick = 20;
const heartbeatMs = 9000;
const inFlight = 2;
const connectDeadlineMs = 30_000;

interface Step {
  readonly rate: number;
  readonly seconds: number;
}

/** Latencies of all answers of a step but those of its first second, in milliseconds. */
export interface StepReport {
  readonly p50: number;
  readonly p99: number;
}

/** One tenth of a second, as the client saw it; latencies in milliseconds, of answers only. */
export interface SlotReport {
  readonly step: number;
  readonly offered: number;
  readonly sent: number;
  readonly answered: number;
  readonly refused: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

class Slot implements Tally {
  readonly latencies: number[] = [];
  offered = 0;
  sent = 0;
  refusedCount = 0;
  failedCount = 0;

  answered(latencyMs: number): void {
    this.latencies.push(latencyMs);
  }

  refused(code: number): void {
    this.refusedCount += 1;
    refusals[errorCodeName(code)] = (refusals[errorCodeName(code)] ?? 0) + 1;
  }

  failed(): void {
    this.failedCount += 1;
  }
}

const [address = '', connectionCount = '', dataBytes = '', stepText = ''] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
const steps: Step[] = stepText.split(',').map((text) => {
  const [rate, seconds] = text.split(':').map(Number);
  return { rate: rate ?? 0, seconds: seconds ?? 1 };
});
const clients = new Map<ConnectionId, LoadClient>();
let order: LoadClient[] = [];
let lost = 0;
const slots: SlotReport[] = [];
const stepReports: StepReport[] = [];
const settleMs = 1000;
const refusals: Record<string, number> = {};
let slot = new Slot();
const tally: Tally = {
  answered: (latencyMs) => slot.answered(latencyMs),
  refused: (code) => slot.refused(code),
  failed: () => slot.failed(),
};

const transport = openClient(
  {
    alpn: 'gatesvr/1',
    maxFrameBytes: 65_536,
    idleTimeoutMs: 30_000,
    handshakeTimeoutMs: 20_000,
    trust: { insecure: true },
    sendBufferBytes: { low: 4096, high: 16_384, hard: 16_777_216 },
    receiveBufferBytesMax: 16_777_216,
  },
  {
    connectionOpened: (id) => clients.get(id)?.start(),
    frameReceived: (id, frame) => clients.get(id)?.received(frame, performance.now()),
    peerMoved: () => {},
    connectionWritable: (id) => {
      const client = clients.get(id);
      if (client !== undefined) client.writable = true;
    },
    connectionClosed: (id) => {
      if (clients.delete(id)) lost += 1;
    },
    batchEnded: () => transport.flush(),
  },
);

function emit(event: string, fields: object): void {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function connectAll(): Promise<void> {
  const total = Number(connectionCount);
  for (let i = 0; i < total; i += 1) {
    const id = transport.connect({ host, port: Number(port), serverName: 'localhost' });
    clients.set(id, new LoadClient(transport, id, `load-${process.pid}-${i}`, Number(dataBytes), tally));
    if (i % startsPerTick === 0) {
      transport.flush();
      await sleep(tickMs);
    }
  }
  transport.flush();
  const deadline = performance.now() + connectDeadlineMs;
  while ([...clients.values()].some((client) => !client.started)) {
    if (performance.now() > deadline || lost > 0)
      throw new Error(`${lost} of ${total} connections lost, or not started`);
    await sleep(20);
  }
  order = [...clients.values()];
  emit('connected', { connections: order.length });
}

let turn = 0;

/** Sends up to `count` requests on the connections that take any; the others are busy, and what is left is not sent. */
function send(count: number, nowMs: number): void {
  let left = count;
  for (let tries = 0; left > 0 && tries < order.length; turn += 1) {
    const client = order[turn % order.length] as LoadClient;
    if (client.ready) {
      client.request(nowMs);
      slot.sent += 1;
      left -= 1;
      tries = 0;
    } else tries += 1;
  }
}

function fill(nowMs: number): void {
  for (const client of order) {
    while (client.ready && client.open < inFlight) {
      client.request(nowMs);
      slot.offered += 1;
      slot.sent += 1;
    }
  }
}

function quantiles(latencies: number[]): (quantile: number) => number {
  const sorted = latencies.sort((a, b) => a - b);
  return (quantile) => sorted[Math.floor(quantile * (sorted.length - 1))] ?? 0;
}

function endSlot(index: number, latencies: number[]): void {
  const sorted = slot.latencies;
  const at = quantiles(sorted);
  for (const latency of sorted) latencies.push(latency);
  const { offered, sent, refusedCount: refused, failedCount: failed } = slot;
  slots.push({ step: index, offered, sent, answered: sorted.length, refused, failed, p50: at(0.5), p99: at(0.99) });
  slot = new Slot();
}

async function run(step: Step, index: number): Promise<void> {
  const beganMs = performance.now();
  let owed = 0;
  let lastMs = beganMs;
  let slotEndMs = beganMs + slotMs;
  const latencies: number[] = [];
  while (performance.now() < beganMs + step.seconds * 1000) {
    await sleep(step.rate === 0 ? 1 : tickMs);
    const nowMs = performance.now();
    if (step.rate === 0) fill(nowMs);
    else {
      owed += (step.rate * (nowMs - lastMs)) / 1000;
      const count = Math.floor(owed);
      owed -= count;
      slot.offered += count;
      send(count, nowMs);
    }
    lastMs = nowMs;
    transport.flush();
    if (nowMs >= slotEndMs) {
      endSlot(index, nowMs < beganMs + settleMs ? [] : latencies);
      slotEndMs += slotMs;
    }
  }
  const at = quantiles(latencies);
  stepReports.push({ p50: at(0.5), p99: at(0.99) });
}

await connectAll();
const beats = setInterval(() => {
  for (const client of order) client.heartbeat();
  transport.flush();
}, heartbeatMs);
for (const [index, step] of steps.entries()) await run(step, index);
clearInterval(beats);
emit('done', { lost, refusals, slots, steps: stepReports });
await transport.shutdown(1000);
process.exit(0);
