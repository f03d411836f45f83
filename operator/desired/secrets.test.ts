import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rolesOf } from '../../gateway/auth/roles.ts';
import { gateSvrOf } from '../testing/defaulted.ts';
import { desiredSecrets, type Secret } from './secrets.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A namespace's Secrets, and an operator that writes what it is told. */
class Namespace {
  nowMs = Date.parse('2026-01-01T00:00:00Z');
  gateSvr = gateSvrOf({});
  secrets = new Map<string, Secret>();
  writes = 0;
  #randomCalls = 0;

  /** Reconciles until nothing is written any more. */
  async settle(): Promise<number> {
    for (let round = 0; round < 10; round += 1) {
      const { created, replaced, recheckAfterMs } = await this.plan();
      if (created.length + replaced.length === 0) return recheckAfterMs;
      for (const secret of created) expect(this.secrets.has(secret.metadata.name)).toBe(false);
      for (const secret of replaced) {
        const seen = this.secrets.get(secret.metadata.name)?.metadata.resourceVersion;
        expect(secret.metadata.resourceVersion).toBe(seen);
      }
      for (const secret of [...created, ...replaced]) this.#write(secret);
    }
    throw new Error('it does not settle');
  }

  plan() {
    return desiredSecrets(this.gateSvr, {
      existing: (name) => this.secrets.get(name),
      wallMs: this.nowMs,
      randomBytes: (count) => {
        this.#randomCalls += 1;
        return new Uint8Array(count).fill(this.#randomCalls);
      },
    });
  }

  #write(secret: Secret): void {
    this.writes += 1;
    const metadata = { ...secret.metadata, resourceVersion: String(this.writes) };
    this.secrets.set(secret.metadata.name, { ...secret, metadata });
  }

  text(name: string, key: string): string {
    return Buffer.from(this.secrets.get(name)?.data?.[key] ?? '', 'base64').toString();
  }

  certificate(name: string): X509Certificate {
    return new X509Certificate(this.text(name, 'tls.crt'));
  }

  /** Everybody who trusts what is written now accepts the certificate. */
  isTrusted(certificate: X509Certificate): boolean {
    const bundle = this.text('shop-tls', 'ca.crt').match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
    return bundle.some((pem) => certificate.verify(new X509Certificate(pem).publicKey));
  }
}

async function settled(): Promise<Namespace> {
  const namespace = new Namespace();
  await namespace.settle();
  return namespace;
}

describe('the Secrets of a GateSvr', () => {
  it('are made once, and nothing is written after', async () => {
    const namespace = await settled();
    expect([...namespace.secrets.keys()].sort()).toEqual([
      'shop-ca',
      'shop-operator-tls',
      'shop-pair',
      'shop-quic-tls',
      'shop-tls',
      'shop-zone-tls',
    ]);
    expect(namespace.writes).toBe(6);
    namespace.nowMs += 30 * dayMs;
    await namespace.settle();
    expect(namespace.writes).toBe(6);
    expect(Buffer.from(namespace.secrets.get('shop-pair')?.data?.['secret'] ?? '', 'base64')).toHaveLength(32);
  });

  it('certificates carry the roles and names that gateways look for', async () => {
    const namespace = await settled();
    const roles = (name: string) => {
      const certificate = namespace.certificate(name);
      const commonName = /CN=(.*)/.exec(certificate.subject)?.[1] ?? '';
      return [...rolesOf({ commonName, subjectAltName: certificate.subjectAltName ?? '' })];
    };
    expect(roles('shop-tls')).toEqual(['peer']);
    expect(roles('shop-quic-tls')).toEqual([]);
    expect(roles('shop-operator-tls')).toEqual(['operator']);
    expect(roles('shop-zone-tls')).toEqual(['zone']);
    const gateway = namespace.certificate('shop-tls');
    expect(gateway.checkHost('shop-p3-b-0.shop-peers.games.svc')).toBeDefined();
    expect(gateway.checkHost('shop-upstream.games.svc')).toBeDefined();
    expect(gateway.checkHost('shop-p3-b-0.other-peers.games.svc')).toBeUndefined();
    expect(namespace.certificate('shop-quic-tls').checkHost('shop-quic.games.svc')).toBeDefined();
    expect(gateway.keyUsage).toContain('1.3.6.1.5.5.7.3.2');
    expect(namespace.certificate('shop-quic-tls').keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('a GateSvr named like a role gives its gateways no other role', async () => {
    const namespace = new Namespace();
    namespace.gateSvr = gateSvrOf({ name: 'admin' });
    await namespace.settle();
    const { subject, subjectAltName = '' } = namespace.certificate('admin-tls');
    expect([...rolesOf({ commonName: /CN=(.*)/.exec(subject)?.[1] ?? '', subjectAltName })]).toEqual(['peer']);
  });

  it('a certificate is replaced before it ends, by the same authority', async () => {
    const namespace = await settled();
    const [authority, before] = [namespace.text('shop-ca', 'tls.crt'), namespace.text('shop-tls', 'tls.crt')];
    namespace.nowMs += 61 * dayMs;
    await namespace.settle();
    expect(namespace.text('shop-tls', 'tls.crt')).not.toBe(before);
    expect(namespace.text('shop-ca', 'tls.crt')).toBe(authority);
    expect(namespace.writes).toBe(6 + 4);
  });

  it.each([
    [
      'other names',
      (namespace: Namespace) => {
        namespace.gateSvr = gateSvrOf({}, { quic: { advertise: 'gate.example:8453' } });
      },
    ],
    ['a broken certificate', (namespace: Namespace) => broken(namespace, 'tls.crt')],
    ['another key', (namespace: Namespace) => broken(namespace, 'tls.key')],
  ])('a certificate with %s is made again, the others stay', async (_, change) => {
    const namespace = await settled();
    change(namespace);
    await namespace.settle();
    expect(namespace.writes).toBe(7);
  });

  it('one that was deleted is made again', async () => {
    const namespace = await settled();
    namespace.secrets.delete('shop-zone-tls');
    await namespace.settle();
    expect(namespace.isTrusted(namespace.certificate('shop-zone-tls'))).toBe(true);
    expect(namespace.writes).toBe(7);
  });

  it('a pair secret that is too short is told, not replaced', async () => {
    const namespace = await settled();
    broken(namespace, 'secret', 'shop-pair');
    const { problems, created, replaced } = await namespace.plan();
    expect([created, replaced]).toEqual([[], []]);
    expect(problems).toEqual([
      'Secret shop-pair, key secret: 6 bytes: expected 32 or more; delete it to have it made again',
    ]);
  });

  it('of one’s own for clients leaves that one alone; cert-manager makes all but the pair’s', async () => {
    const own = new Namespace();
    own.gateSvr = gateSvrOf({}, { quic: { tlsSecret: { name: 'mine' } } });
    await own.settle();
    expect(own.secrets.has('shop-quic-tls')).toBe(false);
    const managed = new Namespace();
    managed.gateSvr = gateSvrOf({}, { certificates: { issuerRef: { name: 'corp' } } });
    await managed.settle();
    expect([...managed.secrets.keys()]).toEqual(['shop-pair']);
  });
});

function broken(namespace: Namespace, key: string, name = 'shop-quic-tls'): void {
  const secret = namespace.secrets.get(name);
  if (secret === undefined) throw new Error(name);
  const data = { ...secret.data, [key]: Buffer.from('broken').toString('base64') };
  namespace.secrets.set(name, { ...secret, data });
}

describe('a new authority', () => {
  it('is trusted before it issues, and the old one is while its certificates last', async () => {
    const namespace = await settled();
    const [old, first] = [namespace.text('shop-ca', 'tls.crt'), namespace.certificate('shop-tls')];
    namespace.nowMs += (3650 - 730) * dayMs + hourMs;
    await namespace.settle();
    // Leaves were old enough to be replaced, but the old authority still issues.
    const second = namespace.certificate('shop-tls');
    expect(second.verify(new X509Certificate(old).publicKey)).toBe(true);
    expect(namespace.text('shop-tls', 'ca.crt').match(/BEGIN/g)).toHaveLength(2);
    const recheckMs = await namespace.settle();
    expect(recheckMs).toBeLessThanOrEqual(300_000);
    namespace.nowMs += recheckMs;
    await namespace.settle();
    const third = namespace.certificate('shop-tls');
    expect(third.verify(new X509Certificate(old).publicKey)).toBe(false);
    for (const shown of [first, second, third]) expect(namespace.isTrusted(shown)).toBe(true);
    namespace.nowMs += 91 * dayMs;
    await namespace.settle();
    expect(namespace.text('shop-tls', 'ca.crt').match(/BEGIN/g)).toHaveLength(1);
    expect(namespace.isTrusted(namespace.certificate('shop-tls'))).toBe(true);
    expect(namespace.isTrusted(second)).toBe(false);
  });

  it('takes the place of one whose Secret was lost, without a moment in which something is not trusted', async () => {
    const namespace = await settled();
    const before = namespace.certificate('shop-tls');
    namespace.secrets.delete('shop-ca');
    const recheckMs = await namespace.settle();
    expect(namespace.certificate('shop-tls').raw).toEqual(before.raw);
    expect(namespace.text('shop-zone-tls', 'ca.crt').match(/BEGIN/g)).toHaveLength(2);
    namespace.nowMs += recheckMs;
    await namespace.settle();
    expect(namespace.certificate('shop-tls').raw).not.toEqual(before.raw);
    expect(namespace.isTrusted(before)).toBe(true);
    expect(namespace.isTrusted(namespace.certificate('shop-tls'))).toBe(true);
  });
});
