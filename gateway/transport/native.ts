import { createRequire } from 'node:module';
import { errorMessage } from '../lib/errors.ts';

/** The addon's class; see native/src/endpoint.rs. */
export interface NativeEndpoint {
  readonly host: string;
  readonly port: number;
  /** For each slot, how many bytes ever left its queue, modulo 2^32; the addon writes it at any time. */
  drained(): Uint32Array;
  take(): Buffer;
  submit(words: Uint32Array, wordCount: number, payload: Uint8Array, payloadLength: number): void;
  setCertificate(certificate: string, privateKey: string): void;
  setSecrets(secrets: readonly Uint8Array[]): void;
  stopAccepting(): void;
  rebind(): number;
  shutdown(code: number, reason: string, deadlineMs: number): void;
  join(): void;
  abandon(): void;
  stats(): number[];
}

export interface NativeOptions {
  readonly alpn: string;
  readonly maxFrameBytes: number;
  readonly idleTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly sendLowBytes: number;
  readonly sendHighBytes: number;
  readonly receiveBytesMax: number;
  readonly connectionsMax: number;
  readonly slots: number;
  readonly retryThreshold: number;
  readonly keyLogFile?: string;
  readonly qlogFile?: string;
}

interface NativeServerOptions {
  readonly endpoint: NativeOptions;
  readonly host: string;
  readonly port: number;
  readonly certificate: string;
  readonly privateKey: string;
  readonly secrets: readonly Uint8Array[];
}

interface Native {
  readonly Endpoint: {
    server(options: NativeServerOptions, wake: () => void): NativeEndpoint;
    client(options: NativeOptions, ca: string | undefined, wake: () => void): NativeEndpoint;
  };
}

/** The addon is missing or does not load on this machine. */
export class TransportUnavailableError extends Error {
  override readonly name = 'TransportUnavailableError';
}

/** The transport's own thread failed; all its connections are gone. */
export class TransportFailedError extends Error {
  override readonly name = 'TransportFailedError';
}

/**
 * A certificate, a key or an address that the transport refuses, or a socket that it cannot have.
 * `code` is as in Node: EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL, or ESOCKET for any other failure of the system.
 */
export class TransportConfigError extends Error {
  override readonly name = 'TransportConfigError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws TransportUnavailableError when the addon was not built for this machine. */
export function loadNative(path = './native/gatesvr-transport.node'): Native {
  try {
    return createRequire(import.meta.url)(path) as Native;
  } catch (error) {
    // The first line says which file; below it Node lists who asked for it.
    const [reason] = errorMessage(error).split('\n');
    throw new TransportUnavailableError(`the quinn transport is not built (run: make build): ${reason}`);
  }
}

/** Calls into the addon and gives its errors their class and code. */
export function checked<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const message = errorMessage(error);
    const code = /^(E[A-Z]+): /.exec(message)?.[1];
    throw new TransportConfigError(code ?? 'EINVAL', message);
  }
}
