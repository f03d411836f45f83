import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { UsageError } from '../lib/errors.ts';
import { mutualTls } from '../servers/grpc-security.ts';
import { fileContents } from './flags.ts';

export const tlsFlags = {
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
} as const;

export const tlsHelp = `  --ca FILE             authorities to trust, PEM; without TLS flags the connection is plaintext
  --cert FILE           own certificate, PEM
  --key FILE            own private key, PEM`;

interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

interface TlsMaterial {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws {UsageError} when only a part is given, or a file cannot be read. */
function readTls(files: TlsFiles): TlsMaterial | undefined {
  if (files.ca === undefined && files.cert === undefined && files.key === undefined) return undefined;
  if (files.cert === undefined || files.key === undefined) throw new UsageError('--cert and --key: expected both');
  return {
    ca: files.ca === undefined ? undefined : fileContents('ca', files.ca),
    cert: fileContents('cert', files.cert),
    key: fileContents('key', files.key),
  };
}

/** @throws {UsageError} when only a part is given, a file cannot be read, or does not hold what it should. */
export function channelCredentials(files: TlsFiles): ChannelCredentials {
  const tls = readTls(files);
  if (tls === undefined) return ChannelCredentials.createInsecure();
  return checked(() => ChannelCredentials.createSsl(tls.ca ?? null, tls.key, tls.cert));
}

/** For a zone: whoever calls it needs a certificate of the same authority. @throws {UsageError} */
export function serverCredentials(files: TlsFiles): ServerCredentials {
  const tls = readTls(files);
  if (tls === undefined) return ServerCredentials.createInsecure();
  return checked(() => mutualTls(tls.cert.toString(), tls.key.toString(), tls.ca?.toString()).server);
}

function checked<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new UsageError(`--ca, --cert, --key: ${error instanceof Error ? error.message : error}`);
  }
}
