import { createHash } from 'node:crypto';
import type { Package } from './packages.ts';

export interface Subject {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
}

/**
 * A CycloneDX 1.6 document for what runs in production. The same packages give the same text: its serial number is made from
 * them, and it carries no time.
 */
export function sbom(subject: Subject, packages: readonly Package[]): object {
  const components = unique(packages.filter(({ production }) => production))
    .map(component)
    .sort((a, b) => (a.purl < b.purl ? -1 : 1));
  const digest = createHash('sha256')
    .update(JSON.stringify([subject, components]))
    .digest('hex');
  const root = `pkg:npm/${subject.name}@${subject.version}`;
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidFrom(digest)}`,
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': root,
        name: subject.name,
        version: subject.version,
        purl: root,
        licenses: [{ expression: subject.licence }],
      },
    },
    components,
    dependencies: [{ ref: root, dependsOn: components.map(({ purl }) => purl) }],
  };
}

function component(one: Package) {
  const purl = packageUrl(one);
  return {
    type: 'library',
    'bom-ref': purl,
    name: one.name,
    version: one.version,
    purl,
    ...(one.licence === '' ? {} : { licenses: [{ expression: one.licence }] }),
    ...(one.integrity === undefined ? {} : { hashes: [{ alg: one.integrity.algorithm, content: one.integrity.hex }] }),
  };
}

/** The package URL specification: the at sign of an npm scope is percent-encoded. */
function packageUrl({ ecosystem, name, version }: Package): string {
  return `pkg:${ecosystem}/${name.replace('@', '%40')}@${encodeURIComponent(version)}`;
}

/** One version in two folders is one component. */
function unique(packages: readonly Package[]): Package[] {
  return [...new Map(packages.map((one) => [packageUrl(one), one])).values()];
}

/** RFC 9562 version 8: a UUID of our own making. */
function uuidFrom(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}
