import { X509Certificate } from 'node:crypto';
import { generate } from 'selfsigned';
import type { CertificateRequest } from './certificate-names.ts';
import type { Identity } from './plan-authority.ts';

/** Clocks of those who check may be behind by this much. */
const clockSkewMs = 3_600_000;
const keys = { keyType: 'ec', algorithm: 'sha256' } as const;

/**
 * A new authority.
 * @param name its own: certificates are matched to their issuer by it
 */
export async function makeAuthority(name: string, nowMs: number, validityMs: number): Promise<Identity> {
  const made = await generate([{ name: 'commonName', value: name }], {
    ...keys,
    notBeforeDate: new Date(nowMs - clockSkewMs),
    notAfterDate: new Date(nowMs + validityMs),
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certificate: made.cert, privateKey: made.private };
}

export async function issueCertificate(
  authority: Identity,
  request: CertificateRequest,
  nowMs: number,
  validityMs: number,
): Promise<Identity> {
  const made = await generate([{ name: 'commonName', value: request.commonName }], {
    ...keys,
    notBeforeDate: new Date(nowMs - clockSkewMs),
    notAfterDate: new Date(nowMs + validityMs),
    ca: { key: authority.privateKey, cert: authority.certificate },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: request.server, clientAuth: request.client },
      {
        name: 'subjectAltName',
        altNames: [
          ...request.dnsNames.map((value) => ({ type: 2 as const, value })),
          ...request.uris.map((value) => ({ type: 6 as const, value })),
        ],
      },
    ],
  });
  return { certificate: made.cert, privateKey: made.private };
}

/** Reads a certificate, PEM; undefined when it is none. */
export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** When a certificate ends, in milliseconds since the epoch. */
export function endOf(certificate: X509Certificate): number {
  return certificate.validToDate.getTime();
}

/** Whether the names in a certificate are exactly those asked for. */
export function hasNames(certificate: X509Certificate, request: CertificateRequest): boolean {
  const wanted = [...request.dnsNames.map((name) => `DNS:${name}`), ...request.uris.map((uri) => `URI:${uri}`)];
  const found = (certificate.subjectAltName ?? '').split(', ');
  return wanted.length === found.length && wanted.every((name) => found.includes(name));
}
