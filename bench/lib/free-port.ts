import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what kernels hand out for connections (Linux: from 32768), so that none of those, of this test or of one beside it, takes
 * the port before the program that it is for does. Each worker of vitest has a share of its own.
 */
const range = { first: 11_000, ports: 21_000, shares: 8 };
const triesMax = 200;

const share = range.ports / range.shares;
const worker = Number(process.env['VITEST_POOL_ID'] ?? process.pid) % range.shares;
let next = Math.floor(Math.random() * share);

/** @throws Error when none of many is free */
async function freePort(isFree: (port: number) => Promise<boolean>): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    next = (next + 1) % share;
    const port = range.first + worker * share + next;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port in ${triesMax} tries from ${range.first + worker * share} on`);
}

/** A UDP port of 127.0.0.1 that was free a moment ago; no two calls of one process get the same. */
export function freeUdpPort(): Promise<number> {
  return freePort(async (port) => {
    const socket = createSocket('udp4');
    try {
      socket.bind(port, '127.0.0.1');
      await once(socket, 'listening');
    } catch {
      return false;
    }
    socket.close();
    await once(socket, 'close');
    return true;
  });
}

/** As `freeUdpPort`, TCP. */
export function freeTcpPort(): Promise<number> {
  return freePort(async (port) => {
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    } catch {
      return false;
    }
    server.close();
    await once(server, 'close');
    return true;
  });
}
