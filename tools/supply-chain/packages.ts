/** One third-party package that the product or its tools are made of. */
export interface Package {
  readonly ecosystem: 'npm' | 'cargo';
  readonly name: string;
  readonly version: string;
  /** SPDX expression; empty when the package states none. */
  readonly licence: string;
  /** Part of what runs in production; otherwise of building and testing only. */
  readonly production: boolean;
  /** Hash of what was published, as the lockfile pins it; undefined when it does not. */
  readonly integrity: { readonly algorithm: 'SHA-256' | 'SHA-512'; readonly hex: string } | undefined;
  /** Runs code of its own when it is installed. */
  readonly installScript: boolean;
  /** Comes from the ecosystem's registry, not from an address or a repository. */
  readonly fromRegistry: boolean;
}

interface NpmEntry {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly link?: boolean;
}

/** Packages of a package-lock.json of version 3. @throws Error for another version. */
export function npmPackages(lockText: string): Package[] {
  const lock = JSON.parse(lockText) as { lockfileVersion: number; packages: Record<string, NpmEntry> };
  if (lock.lockfileVersion !== 3) {
    throw new Error(`package-lock.json: lockfileVersion ${lock.lockfileVersion}, expected 3`);
  }
  const folder = 'node_modules/';
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.includes(folder) && entry.link !== true)
    .map(([path, entry]) => ({
      ecosystem: 'npm',
      name: entry.name ?? path.slice(path.lastIndexOf(folder) + folder.length),
      version: entry.version ?? '',
      licence: entry.license ?? '',
      production: entry.dev !== true && entry.devOptional !== true,
      integrity: npmIntegrity(entry.integrity),
      installScript: entry.hasInstallScript === true,
      fromRegistry: entry.resolved === undefined || /^https:\/\/[^/]+\/.+\.tgz$/.test(entry.resolved),
    }));
}

function npmIntegrity(text: string | undefined): Package['integrity'] {
  const base64 = /(?:^| )sha512-([A-Za-z0-9+/=]+)/.exec(text ?? '')?.[1];
  return base64 === undefined
    ? undefined
    : { algorithm: 'SHA-512', hex: Buffer.from(base64, 'base64').toString('hex') };
}

interface CargoMetadata {
  readonly packages: readonly {
    readonly id: string;
    readonly name: string;
    readonly version: string;
    readonly license: string | null;
    readonly source: string | null;
    readonly targets: readonly { readonly kind: readonly string[] }[];
  }[];
  readonly resolve: {
    readonly root: string;
    readonly nodes: readonly {
      readonly id: string;
      readonly deps: readonly {
        readonly pkg: string;
        readonly dep_kinds: readonly { readonly kind: string | null }[];
      }[];
    }[];
  };
}

/**
 * Crates that a native package is built from: what it links (normal dependencies of normal dependencies) is production, what
 * only builds it is not.
 * @param metadataText output of `cargo metadata --format-version 1`.
 * @param lockText Cargo.lock, for the hashes.
 */
export function cargoPackages(metadataText: string, lockText: string): Package[] {
  const metadata = JSON.parse(metadataText) as CargoMetadata;
  const linked = linkedCrates(metadata);
  const checksums = cargoChecksums(lockText);
  return metadata.packages
    .filter(({ id }) => id !== metadata.resolve.root)
    .map(({ id, name, version, license, source, targets }) => {
      const hex = checksums.get(`${name} ${version}`);
      return {
        ecosystem: 'cargo',
        name,
        version,
        licence: (license ?? '').replaceAll('/', ' OR '),
        production: linked.has(id),
        integrity: hex === undefined ? undefined : { algorithm: 'SHA-256', hex },
        installScript: targets.some(({ kind }) => kind.includes('custom-build')),
        fromRegistry: source?.startsWith('registry+') === true || source?.startsWith('sparse+') === true,
      };
    });
}

function linkedCrates({ resolve }: CargoMetadata): Set<string> {
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const linked = new Set<string>([resolve.root]);
  for (const id of linked) {
    for (const { pkg, dep_kinds: kinds } of nodes.get(id)?.deps ?? []) {
      if (kinds.some(({ kind }) => kind === null)) {
        linked.add(pkg);
      }
    }
  }
  return linked;
}

function cargoChecksums(lockText: string): Map<string, string> {
  const checksums = new Map<string, string>();
  for (const block of lockText.split('[[package]]')) {
    const field = (name: string) => new RegExp(`^${name} = "(.*)"$`, 'm').exec(block)?.[1];
    const checksum = field('checksum');
    if (checksum !== undefined) {
      checksums.set(`${field('name')} ${field('version')}`, checksum);
    }
  }
  return checksums;
}
