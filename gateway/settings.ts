import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Certificate } from './dev-certificate.ts';
import type { HandlerSettings } from './handlers/context.ts';
import { parseAddress } from './lib/address.ts';
import { UsageError } from './lib/errors.ts';
import type { ShardLimits } from './session/command.ts';
import { type DeliveryLimits, defaultDeliveryLimits } from './session/delivery.ts';
import type { ServerTransportOptions } from './transport/transport.ts';

const alpn = 'gatesvr/1';
const openRequestsMax = 64;
/** The application's own idle deadline comes first, so that the client is told why. */
const idleGraceMs = 5_000;
const unlimitedConnections = 1_000_000;

/** The limits that the state machine obeys, as its configure command carries them. */
export function shardLimits({ server }: Config): ShardLimits {
  return {
    sessionsMax: server.maxSessions,
    queueMessagesMax: server.queueMaxMessages,
    queueBytesMax: server.queueMaxBytes,
    totalQueueBytesMax: server.totalQueueMaxBytes,
    openRequestsMax,
    resumeWindowMs: server.resumeWindowMs,
    bindWaitMs: server.bindWaitMs,
    pushDedupeHorizonMs: server.pushDedupeHorizonMs,
    pushDedupeEntriesMax: server.pushDedupeMaxEntries,
    producersMax: server.maxProducers,
  };
}

/** What the configuration says to the handlers; where clients and zones find the pair is known elsewhere. */
export function handlerSettings({
  server,
  upstream,
}: Config): Omit<HandlerSettings, 'endpoints' | 'upstreamEndpoints'> {
  return {
    startTimeoutMs: server.startTimeoutMs,
    idleTimeoutMs: server.idleTimeoutMs,
    sessionTimeoutMs: server.sessionTimeoutMs,
    heartbeatIntervalMs: server.heartbeatIntervalMs,
    resumeWindowMs: server.resumeWindowMs,
    replacedGraceMs: server.replacedGraceMs,
    secondLogin: server.secondLogin,
    maxFrameBytes: server.maxFrameBytes,
    zoneCount: upstream.zoneCount,
    zoneLeaseMs: upstream.leaseMs,
  };
}

/** A queue within its usual bound fits the window, so that a client that acknowledges late is not held up. */
export function deliveryLimits({ server }: Config): DeliveryLimits {
  return {
    ...defaultDeliveryLimits,
    ackTimeoutMs: server.ackTimeoutMs,
    maxRetries: server.maxRetries,
    slowConsumerMs: server.slowConsumerTimeoutMs,
  };
}

const kibibyte = 1_024;
/** Clients beyond the protector's limit are answered with a code before the transport refuses them without one. */
const connectionHeadroom = 1.25;

/**
 * @param secrets what the gateways of a pair share; empty without a pair.
 * @throws UsageError when the address does not parse.
 */
export function transportOptions(
  { server, overloadProtection }: Config,
  certificate: Certificate,
  secrets: readonly Uint8Array[],
): ServerTransportOptions {
  const address = parseAddress(server.quicAddr);
  if (address === undefined) throw new UsageError(`server.quic_addr: ${server.quicAddr}: expected HOST:PORT`);
  return {
    host: address.host,
    port: address.port,
    certificate: certificate.certificate,
    privateKey: certificate.privateKey,
    alpn,
    maxFrameBytes: server.maxFrameBytes,
    idleTimeoutMs: server.idleTimeoutMs + idleGraceMs,
    handshakeTimeoutMs: server.startTimeoutMs,
    maxConnections: overloadProtection.enabled
      ? Math.ceil(overloadProtection.maxConnections * connectionHeadroom) + 64
      : unlimitedConnections,
    retryThreshold: 256,
    sendBufferBytes: { low: 64 * kibibyte, high: 256 * kibibyte, hard: 4 * server.queueMaxBytes + 1_024 * kibibyte },
    // Small: what waits here waits for this process, and QUIC's flow control slows those who send more.
    receiveBufferBytesMax: 512 * kibibyte,
    ...(secrets.length === 0 ? {} : { secrets }),
    debugging: {
      ...(server.keyLog === undefined ? {} : { keyLogFile: server.keyLog }),
      ...(server.qlog === undefined ? {} : { qlogFile: join(server.qlog, `gatesvr-${process.pid}.sqlog`) }),
    },
  };
}
