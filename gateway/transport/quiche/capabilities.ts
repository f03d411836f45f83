import type { Capabilities } from '../capabilities.ts';

const common = {
  pathMigration: true,
  portUnreachable: 'node:dgram does not report unreachable ports: a dead peer is found by a timeout',
  sharedTickets: true,
  ticketRotation: 'quiche takes one ticket key: tickets of an older secret cost a full handshake',
  statelessReset: true,
  qlog: 'the binary of @matrixai/quic is built without qlog',
  keyLog: true,
  ecn: 'node:dgram neither sets nor reads ECN',
} as const;

/** Of quiche 0.18 as @matrixai/quic has it. */
export const serverCapabilities: Capabilities = {
  ...common,
  twoPacketHello: true,
  keyUpdate: 'quiche 0.18 answers a key update and never begins one',
};

export const clientCapabilities: Capabilities = {
  ...common,
  twoPacketHello: 'the TLS of quiche 0.18 has no post-quantum key share: its first flight fits one packet',
  keyUpdate: 'quiche 0.18 answers a key update and never begins one',
};
