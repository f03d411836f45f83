import type { GateSvr } from '../api/gatesvr.ts';
import { certificateRequests } from './certificate-names.ts';
import { type DesiredObject, metadataOf } from './names.ts';

/** The certificates that cert-manager is asked for; none when the operator issues them itself. */
export function issuedCertificates(gateSvr: GateSvr): DesiredObject[] {
  const { issuerRef, validity, renewBefore } = gateSvr.spec.certificates;
  if (issuerRef === undefined) return [];
  return certificateRequests(gateSvr).map(({ secretName, commonName, dnsNames, uris, server, client }) => ({
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: metadataOf(gateSvr, secretName),
    spec: {
      secretName,
      // By its labels the operator finds the one that is its own.
      secretTemplate: { labels: metadataOf(gateSvr, secretName).labels },
      commonName,
      dnsNames,
      ...(uris.length === 0 ? {} : { uris }),
      duration: validity,
      renewBefore,
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      usages: ['digital signature', ...(server ? ['server auth'] : []), ...(client ? ['client auth'] : [])],
      issuerRef,
    },
  }));
}
