import { describe, expect, it } from 'vitest';
import { audit, compareVersions, licenceAllowed, type Policy } from './audit.ts';
import { cargoPackages, npmPackages, type Package } from './packages.ts';
import { sbom } from './sbom.ts';

const lock = JSON.stringify({
  lockfileVersion: 3,
  packages: {
    '': { name: 'gatesvr', version: '1.0.0' },
    'node_modules/@scope/a': {
      version: '1.2.3',
      license: 'MIT',
      integrity: 'sha512-AAECAw==',
      resolved: 'https://r/a.tgz',
    },
    'node_modules/b': { version: '2.0.0', license: 'ISC', integrity: 'sha512-AAECAw==', resolved: 'https://r/b.tgz' },
    'node_modules/b/node_modules/@scope/a': { version: '1.0.0', license: 'MIT', dev: true, hasInstallScript: true },
    'node_modules/c': { version: '0.1.0', resolved: 'git+ssh://git@host/c.git', hasInstallScript: true },
  },
});

const metadata = JSON.stringify({
  packages: [
    { id: 'root', name: 'native', version: '0.1.0', license: 'MIT', source: null, targets: [] },
    crate('linked', 'MIT/Apache-2.0'),
    crate('deep', 'ISC'),
    crate('builder', 'MPL-2.0'),
  ],
  resolve: {
    root: 'root',
    nodes: [
      { id: 'root', deps: [dependency('linked', null), dependency('builder', 'build')] },
      { id: 'linked', deps: [dependency('deep', null)] },
      { id: 'builder', deps: [] },
    ],
  },
});

function crate(name: string, license: string) {
  return { id: name, name, version: '1.0.0', license, source: 'registry+https://index', targets: [{ kind: ['lib'] }] };
}

function dependency(pkg: string, kind: string | null) {
  return { pkg, dep_kinds: [{ kind }] };
}

const cargoLock = '[[package]]\nname = "linked"\nversion = "1.0.0"\nchecksum = "abcd"\n';
const policy: Policy = {
  licences: ['MIT', 'ISC'],
  developmentLicences: ['MPL-2.0'],
  statedInFiles: { 'npm old': 'MIT' },
  minimums: [{ ecosystem: 'npm', name: '@scope/a', version: '1.2.0', advisory: 'CVE-1' }],
};

function one(change: Partial<Package>): Package {
  const integrity = { algorithm: 'SHA-512', hex: '00' } as const;
  const base = { ecosystem: 'npm', name: 'x', version: '1.0.0', licence: 'MIT', production: true, integrity } as const;
  return { ...base, installScript: false, fromRegistry: true, ...change };
}

describe('packages', () => {
  it('are read from package-lock.json', () => {
    const packages = npmPackages(lock);
    expect(packages.map(({ name, version, production }) => [name, version, production])).toEqual([
      ['@scope/a', '1.2.3', true],
      ['b', '2.0.0', true],
      ['@scope/a', '1.0.0', false],
      ['c', '0.1.0', true],
    ]);
    expect(packages[0]?.integrity).toEqual({ algorithm: 'SHA-512', hex: '00010203' });
    expect(() => npmPackages('{"lockfileVersion":1}')).toThrow('lockfileVersion 1, expected 3');
  });

  it('are read from cargo, linked ones apart from those that only build', () => {
    const packages = cargoPackages(metadata, cargoLock);
    expect(packages.map(({ name, production }) => [name, production])).toEqual([
      ['linked', true],
      ['deep', true],
      ['builder', false],
    ]);
    expect(packages[0]).toMatchObject({
      licence: 'MIT OR Apache-2.0',
      integrity: { algorithm: 'SHA-256', hex: 'abcd' },
    });
  });
});

describe('audit', () => {
  it('finds what the lockfile should not hold', () => {
    expect(audit(npmPackages(lock), policy, new Set())).toEqual([
      'npm @scope/a 1.0.0: expected 1.2.0 or later (CVE-1)',
      'npm @scope/a 1.0.0: its lockfile pins no hash',
      'npm @scope/a 1.0.0: has an install script that package.json neither allows nor denies',
      'npm c 0.1.0: does not come from its registry',
      'npm c 0.1.0: its lockfile pins no hash',
      'npm c 0.1.0: has an install script that package.json neither allows nor denies',
      'npm c 0.1.0: licence not stated is not allowed',
    ]);
    expect(audit([one({ installScript: true })], policy, new Set(['x']))).toEqual([]);
  });

  it('takes a licence that was read in the files for one that the manifest does not name', () => {
    expect(audit([one({ name: 'old', licence: '' })], policy, new Set())).toEqual([]);
    expect(audit([one({ name: 'other', licence: '' })], policy, new Set())).toHaveLength(1);
  });

  it('allows some licences to tools only', () => {
    expect(audit([one({ licence: 'MPL-2.0', production: false })], policy, new Set())).toEqual([]);
    expect(audit([one({ licence: 'MPL-2.0' })], policy, new Set())).toEqual([
      'npm x 1.0.0: licence MPL-2.0 is not allowed',
    ]);
  });

  it.each([
    ['MIT', true],
    ['GPL-3.0', false],
    ['MIT OR GPL-3.0', true],
    ['MIT AND GPL-3.0', false],
    ['(MIT OR GPL-3.0) AND ISC', true],
    ['GPL-3.0 OR MIT AND ISC', true],
    ['(GPL-3.0 OR LGPL-3.0) AND MIT', false],
    ['ISC WITH LLVM-exception OR GPL-3.0', true],
    ['', false],
    ['MIT ISC', false],
  ])('%j: %s', (expression, allowed) => {
    expect(licenceAllowed(expression, new Set(['MIT', 'ISC']))).toBe(allowed);
  });

  it('orders versions', () => {
    const ordered = [
      '0.9.9',
      '0.11.7',
      '0.11.17-rc.1',
      '0.11.17-rc.2',
      '0.11.17',
      '1.0.0-alpha',
      '1.0.0',
      '1.0.1+build',
      '10.0.0',
    ];
    for (const [index, version] of ordered.entries()) {
      expect(compareVersions(version, version)).toBe(0);
      for (const later of ordered.slice(index + 1)) {
        expect(compareVersions(version, later)).toBeLessThan(0);
        expect(compareVersions(later, version)).toBeGreaterThan(0);
      }
    }
  });
});

describe('sbom', () => {
  const subject = { name: 'gatesvr', version: '1.0.0', licence: 'Apache-2.0' };
  const packages = [...npmPackages(lock), ...cargoPackages(metadata, cargoLock)];

  it('names what runs in production, npm and native, once each', () => {
    const document = sbom(subject, [...packages, ...packages]) as { components: { purl: string }[] };
    expect(document.components.map(({ purl }) => purl)).toEqual([
      'pkg:cargo/deep@1.0.0',
      'pkg:cargo/linked@1.0.0',
      'pkg:npm/%40scope/a@1.2.3',
      'pkg:npm/b@2.0.0',
      'pkg:npm/c@0.1.0',
    ]);
  });

  it('is the same for the same packages, and tells of no registry', () => {
    const text = JSON.stringify(sbom(subject, packages));
    expect(JSON.stringify(sbom(subject, packages.toReversed()))).toBe(text);
    expect(text).not.toMatch(/https:\/\/r\//);
    expect(JSON.parse(text).serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});
