import { createPrivateKey, X509Certificate } from 'node:crypto';
import { errorMessage } from '../../lib/errors.ts';
import { TransportConfigError } from '../native.ts';
import type { ClientTransportOptions, ServerTransportOptions } from '../transport.ts';
import type { Config, Quiche } from './bindings.ts';
import { capabilities } from './capabilities.ts';
import { sentDatagramBytesMax } from './endpoint.ts';

/** As the other transport's, so that a slow reader costs the same memory on both. */
const serverWindowBytes = 96 * 1024;
const clientWindowBytes = 256 * 1024;
/** Ids each side keeps for the other: one in use, spare ones for new paths. */
const connectionIdsMax = 4;
const receivedDatagramBytesMax = 1500;

function common(config: Config, options: ServerTransportOptions | ClientTransportOptions, windowBytes: number): Config {
  const { keyLogFile, qlogFile } = options.debugging ?? {};
  if (qlogFile !== undefined) throw new TransportConfigError('EINVAL', `qlog: ${qlogFile}: ${capabilities.qlog}`);
  if (keyLogFile !== undefined) config.logKeys();
  config.setApplicationProtos([options.alpn]);
  config.setMaxIdleTimeout(options.idleTimeoutMs);
  config.setMaxSendUdpPayloadSize(sentDatagramBytesMax);
  config.setMaxRecvUdpPayloadSize(receivedDatagramBytesMax);
  config.setInitialMaxData(windowBytes);
  config.setInitialMaxStreamDataBidiLocal(windowBytes);
  config.setInitialMaxStreamDataBidiRemote(windowBytes);
  config.setInitialMaxStreamsUni(0);
  // Without these the windows grow to many megabytes a connection.
  config.setMaxStreamWindow(windowBytes);
  config.setMaxConnectionWindow(windowBytes);
  config.setActiveConnectionIdLimit(connectionIdsMax);
  config.setDisableActiveMigration(false);
  config.enablePacing(false);
  return config;
}

/** @throws TransportConfigError for a certificate or key that does not parse, or that do not belong together. */
export function serverConfig(
  quiche: Quiche,
  options: ServerTransportOptions,
  certificate: string,
  privateKey: string,
): Config {
  checkPair(certificate, privateKey);
  const config = checked('certificate or private key', () =>
    quiche.Config.withBoringSslCtx(false, false, null, [Buffer.from(privateKey)], [Buffer.from(certificate)], null),
  );
  config.setInitialMaxStreamsBidi(1);
  return common(config, options, serverWindowBytes);
}

/** @throws TransportConfigError for authorities that do not parse. */
export function clientConfig(quiche: Quiche, options: ClientTransportOptions): Config {
  const ca = 'ca' in options.trust ? options.trust.ca : undefined;
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw new TransportConfigError('EINVAL', 'trusted authorities: no CERTIFICATE block in the PEM');
  }
  const verify = ca !== undefined;
  const config = checked('trusted authorities', () =>
    quiche.Config.withBoringSslCtx(verify, !verify, ca === undefined ? null : Buffer.from(ca), null, null, null),
  );
  config.setInitialMaxStreamsBidi(0);
  return common(config, options, clientWindowBytes);
}

/** The bindings take a key that belongs to another certificate without a word. */
function checkPair(certificate: string, privateKey: string): void {
  const parsed = checked('certificate', () => new X509Certificate(certificate));
  const key = checked('private key', () => createPrivateKey(privateKey));
  if (!parsed.checkPrivateKey(key)) {
    throw new TransportConfigError('EINVAL', 'private key: does not belong to the certificate');
  }
}

function checked<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new TransportConfigError('EINVAL', `${what}: ${errorMessage(error)}`);
  }
}
