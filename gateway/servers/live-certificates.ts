import { createSecureContext } from 'node:tls';
import type { experimental } from '@grpc/grpc-js';

/** What a gateway shows on gRPC, and whom it believes; PEM. */
export interface GrpcIdentity {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

/** An identity that can be replaced: connections made from then on have the new one, those that are open stay. */
export class LiveCertificates implements experimental.CertificateProvider {
  #identity: GrpcIdentity;
  #caListeners = new Set<experimental.CaCertificateUpdateListener>();
  #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();

  /** @throws Error when certificate and key do not fit or cannot be read. */
  constructor(identity: GrpcIdentity) {
    checkIdentity(identity);
    this.#identity = identity;
  }

  /** Only after `checkIdentity`. */
  use(identity: GrpcIdentity): void {
    this.#identity = identity;
    for (const listener of this.#caListeners) listener(this.#caUpdate());
    for (const listener of this.#identityListeners) listener(this.#identityUpdate());
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.add(listener);
    // Later: whoever adds a listener is ready for it only when this call has returned.
    process.nextTick(() => listener(this.#caUpdate()));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => listener(this.#identityUpdate()));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.delete(listener);
  }

  #caUpdate(): experimental.CaCertificateUpdate {
    return { caCertificate: Buffer.from(this.#identity.ca) };
  }

  #identityUpdate(): experimental.IdentityCertificateUpdate {
    const { certificate, privateKey } = this.#identity;
    return { certificate: Buffer.from(certificate), privateKey: Buffer.from(privateKey) };
  }
}

/** @throws Error when certificate and key do not fit or cannot be read. */
export function checkIdentity({ certificate, privateKey, ca }: GrpcIdentity): void {
  createSecureContext({ cert: certificate, key: privateKey, ca });
}
