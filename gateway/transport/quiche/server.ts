import type { RemoteInfo, Socket } from 'node:dgram';
import { systemClock } from '../../lib/clock.ts';
import type { ServerTransport, ServerTransportOptions, TransportListener } from '../transport.ts';
import type { Config, HostPort, Quiche } from './bindings.ts';
import { serverConfig } from './config.ts';
import { QuicheConnection } from './connection.ts';
import { QuicheEndpoint } from './endpoint.ts';
import { initialClose, TransportErrorCode } from './initial-close.ts';
import { cidBytes, type LongHeader, type ShortHeader } from './packet-header.ts';
import { KeyRing, tokenNumber } from './secrets.ts';

/** RFC 9000, section 14.1. */
const initialBytesMin = 1200;
/** RFC 9000, section 7.2. */
const firstDcidBytesMin = 8;
/** RFC 9000, section 10.3: below, a reset cannot be told from a packet. */
const resetBytesMin = 21;
const resetBytesMax = 42;
const retryLifetimeMs = 30_000;
const responseBytes = 256;
const spareIdsMax = 2;

export class QuicheServer extends QuicheEndpoint implements ServerTransport {
  readonly address: { readonly host: string; readonly port: number };
  readonly #options: ServerTransportOptions;
  readonly #ring: KeyRing;
  readonly #local: HostPort;
  #config: Config;
  #certificate: readonly [string, string];
  #accepting = true;

  constructor(quiche: Quiche, options: ServerTransportOptions, socket: Socket, listener: TransportListener) {
    super(quiche, options, socket, listener);
    this.#options = options;
    this.#ring = new KeyRing(options.secrets ?? []);
    this.#certificate = [options.certificate, options.privateKey];
    this.#config = this.#newConfig(...this.#certificate);
    this.#local = this.port.local;
    this.address = this.#local;
  }

  setCertificate(certificate: string, privateKey: string): void {
    this.#config = this.#newConfig(certificate, privateKey);
    this.#certificate = [certificate, privateKey];
  }

  setSecrets(secrets: readonly Uint8Array[]): void {
    this.#ring.replace(secrets);
    this.#config = this.#newConfig(...this.#certificate);
  }

  stopAccepting(): void {
    this.#accepting = false;
  }

  shutdown(code: number, reason: string, deadlineMs: number): Promise<void> {
    this.#accepting = false;
    return this.stop(code, reason, deadlineMs);
  }

  protected override stranger(header: LongHeader | ShortHeader, datagram: Buffer, from: RemoteInfo): void {
    const to = { host: from.address, port: from.port };
    if (header.form === 'short') return this.#reset(header, datagram, to);
    if (datagram.length >= initialBytesMin && header.dcid.length >= firstDcidBytesMin) {
      if (!this.quiche.versionIsSupported(header.version)) return this.#negotiateVersion(header, to);
      if (header.type === 'initial') return this.#newcomer(header, datagram, from, to);
    }
    this.datagramsDropped += 1;
  }

  protected override renewIds(connection: QuicheConnection): void {
    this.routes.renew(connection, spareIdsMax, () => {
      const cid = this.#ring.newConnectionId();
      return { cid, resetToken: this.#resetToken(cid) };
    });
  }

  #resetToken(cid: Buffer): bigint {
    return tokenNumber(this.#ring.resetToken(cid) ?? Buffer.alloc(16));
  }

  #newConfig(certificate: string, privateKey: string): Config {
    const config = serverConfig(this.quiche, this.#options, certificate, privateKey);
    config.setTicketKey(this.#ring.ticketKey);
    return config;
  }

  /** RFC 9000, section 10.3: smaller than what asked for it, so that two servers never answer each other for ever. */
  #reset(header: ShortHeader, datagram: Buffer, to: HostPort): void {
    this.datagramsDropped += 1;
    const token = this.#ring.resetToken(header.dcid);
    const length = Math.min(datagram.length - 1, resetBytesMax);
    if (token === undefined || length < resetBytesMin) return;
    const packet = crypto.getRandomValues(Buffer.alloc(length));
    packet[0] = ((packet[0] ?? 0) & 0x3f) | 0x40;
    packet.set(token, length - token.length);
    this.port.send(packet, to);
  }

  #negotiateVersion(header: LongHeader, to: HostPort): void {
    const packet = Buffer.alloc(responseBytes + header.scid.length + header.dcid.length);
    const length = this.quiche.negotiateVersion(header.scid, header.dcid, packet);
    this.port.send(packet.subarray(0, length), to);
  }

  #newcomer(header: LongHeader, datagram: Buffer, from: RemoteInfo, to: HostPort): void {
    const { maxConnections, retryThreshold } = this.#options;
    if (!this.#accepting || this.book.live.size >= maxConnections) {
      const refusal = initialClose(header, this.#ring.newConnectionId(), TransportErrorCode.connectionRefused);
      return this.port.send(refusal, to);
    }
    const claim = this.#ring.openRetry(header.token, `${from.address} ${from.port}`);
    if (claim !== undefined) {
      if (Math.abs(systemClock.wallMs() - claim.issuedMs) > retryLifetimeMs || header.dcid.length !== cidBytes) {
        return this.port.send(initialClose(header, header.dcid, TransportErrorCode.invalidToken), to);
      }
      return this.#accept(Buffer.from(header.dcid), claim.originalDcid, header, datagram, from, to);
    }
    if (this.book.unvalidated >= retryThreshold) return this.#retry(header, from, to);
    this.#accept(this.#ring.newConnectionId(), undefined, header, datagram, from, to);
  }

  #retry(header: LongHeader, from: RemoteInfo, to: HostPort): void {
    const address = `${from.address} ${from.port}`;
    const token = this.#ring.sealRetry({ address, originalDcid: header.dcid, issuedMs: systemClock.wallMs() });
    const packet = Buffer.alloc(responseBytes + token.length);
    const cid = this.#ring.newConnectionId();
    const length = this.quiche.retry(header.scid, header.dcid, cid, token, header.version, packet);
    this.retriesSent += 1;
    this.port.send(packet.subarray(0, length), to);
  }

  #accept(
    cid: Buffer,
    originalDcid: Buffer | undefined,
    header: LongHeader,
    datagram: Buffer,
    from: RemoteInfo,
    remote: HostPort,
  ): void {
    // Each connection takes a copy of the settings, this one's token among them.
    this.#config.setStatelessResetToken(this.#resetToken(cid));
    const connection = new QuicheConnection({
      quic: this.quiche.Connection.accept(cid, originalDcid, this.#local, remote, this.#config),
      id: this.book.newId(),
      isClient: false,
      remote,
      local: this.#local,
      maxFrameBytes: this.limits.maxFrameBytes,
      sendLowBytes: this.limits.sendBufferBytes.low,
      idleTimeoutMs: this.limits.idleTimeoutMs,
      deadlineMs: systemClock.nowMs() + this.limits.handshakeTimeoutMs,
      readBuffer: this.readBuffer,
    });
    connection.unvalidated = originalDcid === undefined;
    this.routes.add(connection, cid);
    // The client goes on under the id it began with until it hears from us, in its second packet for instance.
    if (originalDcid === undefined) this.routes.add(connection, header.dcid);
    this.adopt(connection);
    this.offer(connection, datagram, from);
    // The bindings end in silence what fails in its first packet.
    const failure = connection.quic.isClosed() ? connection.quic.localError() : null;
    if (failure !== null) this.port.send(initialClose(header, cid, failure.errorCode), remote);
  }
}
