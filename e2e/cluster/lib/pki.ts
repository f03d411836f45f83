import { generateKeyPairSync } from 'node:crypto';
import { generate } from 'selfsigned';

/** PEM. */
export interface Credentials {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface Subject {
  readonly commonName: string;
  /** What the API server takes for the user's group. */
  readonly organization?: string;
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
}

const validDays = 7;
const common = { keyType: 'ec', algorithm: 'sha256' } as const;

function validity(): { notBeforeDate: Date; notAfterDate: Date } {
  const now = Date.now();
  return { notBeforeDate: new Date(now - 60_000), notAfterDate: new Date(now + validDays * 86_400_000) };
}

/** A throw-away certificate authority of one run. */
export class Authority {
  readonly credentials: Credentials;

  private constructor(credentials: Credentials) {
    this.credentials = credentials;
  }

  static async make(commonName: string): Promise<Authority> {
    const made = await generate([{ name: 'commonName', value: commonName }], {
      ...common,
      ...validity(),
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
      ],
    });
    return new Authority({ certificate: made.cert, privateKey: made.private });
  }

  /** A certificate for servers and clients alike. */
  async issue(subject: Subject): Promise<Credentials> {
    const { commonName, organization, names = [], addresses = [] } = subject;
    const attributes = [{ name: 'commonName', value: commonName }];
    if (organization !== undefined) attributes.push({ name: 'organizationName', value: organization });
    const altNames = [
      ...names.map((value) => ({ type: 2 as const, value })),
      ...addresses.map((ip) => ({ type: 7 as const, ip })),
    ];
    const made = await generate(attributes, {
      ...common,
      ...validity(),
      ca: { cert: this.credentials.certificate, key: this.credentials.privateKey },
      extensions: [
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName' as const, altNames }]),
      ],
    });
    return { certificate: made.cert, privateKey: made.private };
  }
}

/** The key that signs tokens of service accounts, PEM. */
export function makeSigningKey(): { publicKey: string; privateKey: string } {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}
