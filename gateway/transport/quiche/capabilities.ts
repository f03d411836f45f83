import type { Capabilities } from '../capabilities.ts';

/** Of quiche 0.18 as @matrixai/quic has it, and of UDP as Node.js has it. */
export const capabilities: Capabilities = {
  twoPacketHello: 'the TLS of quiche 0.18 has no post-quantum key share: the first flight fits one packet',
  keyUpdate: 'quiche 0.18 answers a key update and never begins one',
  pathMigration: true,
  portUnreachable: 'node:dgram does not report unreachable ports: a dead peer is found by a timeout',
  sharedTickets: true,
  ticketRotation: 'quiche takes one ticket key: tickets of an older secret cost a full handshake',
  statelessReset: true,
  qlog: 'the binary of @matrixai/quic is built without qlog',
  keyLog: true,
  ecn: 'node:dgram neither sets nor reads ECN',
};
