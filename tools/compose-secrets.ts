/**
 * `node compose-secrets.ts FOLDER [UID]`: writes what the services of docker-compose.yaml share, unless it is there: an authority
 * and certificates of gateways, zones and an administrator, the secret of the pair, the login secret, and a token of alice.
 * It runs inside the gateway's image, so it imports nothing but that image's packages.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateExtension, generate } from 'selfsigned';

const validDays = 365;
const authorityValidDays = 3650;
const secretBytes = 48;
const zones = ['001', '002', '003', '004', '005', '006'].map((zone) => `zone-${zone}`);

interface Issued {
  readonly certificate: string;
  readonly key: string;
}

interface Authority {
  readonly cert: string;
  readonly key: string;
}

async function issue(name: string, days: number, extensions: CertificateExtension[], ca?: Authority): Promise<Issued> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + days * 86_400_000),
    extensions,
    ...(ca === undefined ? {} : { ca }),
  });
  return { certificate: cert, key };
}

/** The common name gives the role on gRPC: gatesvr-peer, gatesvr-zone, gatesvr-admin. */
function issueFor(role: string, hosts: readonly string[], authority: Issued): Promise<Issued> {
  const altNames = [...hosts.map((value) => ({ type: 2 as const, value })), { type: 7 as const, ip: '127.0.0.1' }];
  return issue(
    `gatesvr-${role}`,
    validDays,
    [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames },
    ],
    { cert: authority.certificate, key: authority.key },
  );
}

/** The form of `gatesvr admin token`. */
function tokenOf(openid: string, secret: string): string {
  const expires = Math.floor(Date.now() / 1000) + validDays * 86_400;
  const text = `${Buffer.from(openid).toString('base64url')}.${expires}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

async function contents(): Promise<Record<string, string>> {
  const authority = await issue('GateSvr compose', authorityValidDays, [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
  ]);
  const gateway = await issueFor('peer', ['gateway-a', 'gateway-b', 'haproxy', 'nginx', 'localhost'], authority);
  const zone = await issueFor('zone', zones, authority);
  const admin = await issueFor('admin', ['localhost'], authority);
  const login = randomBytes(secretBytes).toString('base64');
  return {
    'gateway.crt': gateway.certificate,
    'gateway.key': gateway.key,
    'zone.crt': zone.certificate,
    'zone.key': zone.key,
    'admin.crt': admin.certificate,
    'admin.key': admin.key,
    'pair.key': randomBytes(secretBytes).toString('base64'),
    'login.key': login,
    'alice.token': tokenOf('alice', login),
    // Last: with it the folder is complete.
    'ca.crt': authority.certificate,
  };
}

const [folder, uidText = ''] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node compose-secrets.ts FOLDER [UID]\n');
  process.exit(2);
}
const uid = uidText === '' ? undefined : Number(uidText);
mkdirSync(folder, { recursive: true });
if (existsSync(join(folder, 'ca.crt'))) {
  process.stdout.write(`${folder}: written before\n`);
} else {
  for (const [name, text] of Object.entries(await contents())) {
    const path = join(folder, name);
    writeFileSync(`${path}.new`, `${text.trim()}\n`, { mode: 0o400 });
    if (uid !== undefined) chownSync(`${path}.new`, uid, uid);
    renameSync(`${path}.new`, path);
  }
  process.stdout.write(`${folder}: written\n`);
}
