import { generate } from 'selfsigned';

export interface Identity {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface Authority extends Identity {
  /** A server certificate for localhost, 127.0.0.1 and ::1. */
  issue(commonName?: string, notAfter?: Date): Promise<Identity>;
}

const dayMs = 86_400_000;

/** A throw-away certificate authority. Two that are trusted side by side need names of their own. */
export async function makeAuthority(name = 'Test authority'): Promise<Authority> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + dayMs),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const ca = { key: made.private, cert: made.cert };
  return {
    certificate: made.cert,
    privateKey: made.private,
    issue: (commonName = 'localhost', notAfter = new Date(Date.now() + dayMs)) => issue(ca, commonName, notAfter),
  };
}

async function issue(ca: { key: string; cert: string }, commonName: string, notAfterDate: Date): Promise<Identity> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 2 * dayMs),
    notAfterDate,
    ca,
    extensions: [
      { name: 'basicConstraints', cA: false },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  return { certificate: made.cert, privateKey: made.private };
}
