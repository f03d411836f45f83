import { createPrivateKey, type X509Certificate } from 'node:crypto';
import type { GateSvr } from '../api/gatesvr.ts';
import type { KubeObject } from '../kube-api.ts';
import { durationMs } from '../lib/duration.ts';
import { authoritySecret, readAuthority } from './authority-secret.ts';
import { type CertificateRequest, certificateRequests } from './certificate-names.ts';
import { endOf, hasNames, issueCertificate, makeAuthority, readCertificate } from './make-certificate.ts';
import { type DesiredObject, metadataOf, namesOf } from './names.ts';
import { type AuthorityState, type Identity, planAuthority, trustBundle } from './plan-authority.ts';

export interface Secret extends KubeObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface SecretInputs {
  /** The Secret of this name in the GateSvr's namespace. */
  readonly existing: (name: string) => Secret | undefined;
  /** Milliseconds since the epoch: certificates have such dates. */
  readonly wallMs: number;
  /** So many random bytes. */
  readonly randomBytes: (count: number) => Uint8Array;
}

export interface DesiredSecrets {
  /** To be written with `create`: an answer that it exists means that it was not seen yet. */
  readonly created: readonly Secret[];
  /** To be written with `replace`; each carries the resourceVersion that it was decided on. */
  readonly replaced: readonly Secret[];
  /** When something is to be renewed. */
  readonly recheckAfterMs: number;
  /** What only a person can mend; the last good state stays. */
  readonly problems: readonly string[];
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const pairSecretBytes = 32;
const authorityValidityMs = 3650 * dayMs;
const authorityRenewBeforeMs = 730 * dayMs;
/** Kubelets bring a changed Secret to a pod within about a minute and a half. */
const trustLagMs = 300_000;
const recheckMaxMs = 12 * hourMs;
/** A step is followed by the next one when its writes have been seen. */
const stepMs = 1_000;

/** The Secrets of a GateSvr that are missing, out of date or about to end. Nothing is returned when all is as it should be. */
export async function desiredSecrets(gateSvr: GateSvr, inputs: SecretInputs): Promise<DesiredSecrets> {
  const pair = pairSecret(gateSvr, inputs);
  if (gateSvr.spec.certificates.issuerRef !== undefined) return { ...pair, replaced: [], recheckAfterMs: recheckMaxMs };
  const names = namesOf(gateSvr);
  const existing = inputs.existing(names.authority);
  const { state, recheckAfterMs, changed } = await nextAuthority(gateSvr, existing, inputs);
  const written = changed ? [asWritten(authoritySecret(gateSvr, state), existing)] : [];
  let soonestMs = Math.min(recheckAfterMs, recheckMaxMs);
  for (const request of certificateRequests(gateSvr)) {
    const { secret, renewAfterMs } = await certificateSecret(gateSvr, request, state, inputs);
    soonestMs = Math.min(soonestMs, renewAfterMs);
    if (secret !== undefined) written.push(asWritten(secret, inputs.existing(request.secretName)));
  }
  const isNew = ({ metadata }: Secret): boolean => metadata.resourceVersion === undefined;
  return {
    created: [...pair.created, ...written.filter(isNew)],
    replaced: written.filter((secret) => !isNew(secret)),
    recheckAfterMs: Math.max(stepMs, soonestMs),
    problems: pair.problems,
  };
}

/** Made once and kept: tickets and tokens that clients hold are made with it. */
function pairSecret(gateSvr: GateSvr, inputs: SecretInputs): Pick<DesiredSecrets, 'created' | 'problems'> {
  const name = namesOf(gateSvr).pairSecret;
  const existing = inputs.existing(name);
  if (existing !== undefined) {
    const bytes = Buffer.from(existing.data?.['secret'] ?? '', 'base64').length;
    const problem = `Secret ${name}, key secret: ${bytes} bytes: expected ${pairSecretBytes} or more; delete it to have it made again`;
    return { created: [], problems: bytes >= pairSecretBytes ? [] : [problem] };
  }
  const secret = Buffer.from(inputs.randomBytes(pairSecretBytes)).toString('base64');
  return { created: [secretObject(gateSvr, name, 'Opaque', { secret })], problems: [] };
}

interface NextAuthority {
  readonly state: AuthorityState;
  readonly changed: boolean;
  readonly recheckAfterMs: number;
}

async function nextAuthority(
  gateSvr: GateSvr,
  secret: Secret | undefined,
  inputs: SecretInputs,
): Promise<NextAuthority> {
  const issuedValidityMs = durationMs(gateSvr.spec.certificates.validity);
  const state = secret === undefined ? lostAuthority(gateSvr, inputs, issuedValidityMs) : readAuthority(secret);
  const active = state?.active === undefined ? undefined : readCertificate(state.active.certificate);
  const step = planAuthority(state, active === undefined ? 0 : endOf(active), inputs.wallMs, {
    renewBeforeMs: authorityRenewBeforeMs,
    trustLagMs,
    issuedValidityMs,
  });
  const make = () =>
    makeAuthority(
      `${gateSvr.metadata.name} ${new Date(inputs.wallMs).toISOString()}`,
      inputs.wallMs,
      authorityValidityMs,
    );
  switch (step.kind) {
    case 'begin':
      return { state: { active: await make(), former: [] }, changed: true, recheckAfterMs: recheckMaxMs };
    case 'makeNext': {
      const next = { ...(await make()), sinceMs: inputs.wallMs };
      return { state: { former: [], ...state, next }, changed: true, recheckAfterMs: trustLagMs };
    }
    case 'become':
      return { state: step.state, changed: true, recheckAfterMs: stepMs };
    case 'keep':
      return { state: state ?? { former: [] }, changed: false, recheckAfterMs: step.recheckAfterMs };
  }
}

/** Its Secret is gone, but certificates are in use: what they trust stays trusted, and a new authority has to be made known first. */
function lostAuthority(gateSvr: GateSvr, inputs: SecretInputs, issuedValidityMs: number): AuthorityState | undefined {
  const bundle = textOf(inputs.existing(namesOf(gateSvr).gatewayTls), 'ca.crt');
  const certificates = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) return undefined;
  const untilMs = inputs.wallMs + issuedValidityMs;
  return { former: certificates.map((certificate) => ({ certificate, untilMs })) };
}

async function certificateSecret(
  gateSvr: GateSvr,
  request: CertificateRequest,
  state: AuthorityState,
  inputs: SecretInputs,
): Promise<{ secret: Secret | undefined; renewAfterMs: number }> {
  const { validity, renewBefore } = gateSvr.spec.certificates;
  const [validityMs, renewBeforeMs] = [durationMs(validity), durationMs(renewBefore)];
  const existing = inputs.existing(request.secretName);
  const found = { certificate: textOf(existing, 'tls.crt'), privateKey: textOf(existing, 'tls.key') };
  const trusted = trustBundle(state);
  const good = goodCertificate(found, request, state);
  const renewAfterMs = good === undefined ? 0 : endOf(good) - renewBeforeMs - inputs.wallMs;
  if (good !== undefined && (renewAfterMs > 0 || state.active === undefined)) {
    const secret = textOf(existing, 'ca.crt') === trusted ? undefined : tlsSecret(gateSvr, request, found, trusted);
    return { secret, renewAfterMs: Math.max(renewAfterMs, stepMs) };
  }
  // Nobody issues until the next authority is trusted everywhere.
  if (state.active === undefined) return { secret: undefined, renewAfterMs: trustLagMs };
  const made = await issueCertificate(state.active, request, inputs.wallMs, validityMs);
  return { secret: tlsSecret(gateSvr, request, made, trusted), renewAfterMs: validityMs - renewBeforeMs };
}

/** The certificate when it is of the issuing authority and has the names that are asked for. */
function goodCertificate(
  { certificate, privateKey }: Identity,
  request: CertificateRequest,
  { active, former }: AuthorityState,
): X509Certificate | undefined {
  const parsed = readCertificate(certificate);
  if (parsed === undefined || !hasNames(parsed, request) || !isKeyOf(parsed, privateKey)) return undefined;
  // Without an issuing authority, one of a former is as good as can be had.
  const issuers = active === undefined ? former : [active];
  return issuers.some((issuer) => isIssuedBy(parsed, issuer.certificate)) ? parsed : undefined;
}

function isIssuedBy(certificate: X509Certificate, issuerPem: string): boolean {
  const issuer = readCertificate(issuerPem);
  return issuer !== undefined && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isKeyOf(certificate: X509Certificate, pem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}

function tlsSecret(gateSvr: GateSvr, request: CertificateRequest, identity: Identity, trusted: string): Secret {
  const data = { 'tls.crt': identity.certificate, 'tls.key': identity.privateKey, 'ca.crt': trusted };
  const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return secretObject(gateSvr, request.secretName, 'kubernetes.io/tls', Object.fromEntries(encoded));
}

function secretObject(
  gateSvr: GateSvr,
  name: string,
  type: string,
  data: Readonly<Record<string, string>>,
): Secret & DesiredObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: metadataOf(gateSvr, name), type, data };
}

function asWritten(secret: Secret, existing: Secret | undefined): Secret {
  const resourceVersion = existing?.metadata.resourceVersion;
  return resourceVersion === undefined ? secret : { ...secret, metadata: { ...secret.metadata, resourceVersion } };
}

function textOf(secret: Secret | undefined, key: string): string {
  return Buffer.from(secret?.data?.[key] ?? '', 'base64').toString();
}
