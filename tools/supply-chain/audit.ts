import type { Package } from './packages.ts';

export interface Policy {
  readonly licences: readonly string[];
  /** Also fine for what is only used to build and test. */
  readonly developmentLicences: readonly string[];
  /** By "ECOSYSTEM NAME": licences read in the package's own files, where its manifest names none in the usual field. */
  readonly statedInFiles: Readonly<Record<string, string>>;
  /** No version below these may be used, in production or elsewhere. */
  readonly minimums: readonly {
    readonly ecosystem: Package['ecosystem'];
    readonly name: string;
    readonly version: string;
    readonly advisory: string;
  }[];
}

/**
 * Checks packages against the policy without asking anybody.
 * @param allowScripts names of npm packages that may run install scripts.
 * @returns one line for each thing that is wrong.
 */
export function audit(packages: readonly Package[], policy: Policy, allowScripts: ReadonlySet<string>): string[] {
  return packages.flatMap((one) => {
    const place = `${one.ecosystem} ${one.name} ${one.version}`;
    return [
      ...advisoryProblems(one, policy),
      ...originProblems(one, allowScripts),
      ...licenceProblems(one, policy),
    ].map((problem) => `${place}: ${problem}`);
  });
}

function advisoryProblems(one: Package, policy: Policy): string[] {
  return policy.minimums
    .filter(({ ecosystem, name }) => ecosystem === one.ecosystem && name === one.name)
    .filter(({ version }) => compareVersions(one.version, version) < 0)
    .map(({ version, advisory }) => `expected ${version} or later (${advisory})`);
}

function originProblems(one: Package, allowScripts: ReadonlySet<string>): string[] {
  const problems: string[] = [];
  if (!one.fromRegistry) {
    problems.push('does not come from its registry');
  }
  if (one.integrity === undefined) {
    problems.push('its lockfile pins no hash');
  }
  // What npm may run is allowed by package.json; its own allowScripts keeps all others from running.
  if (one.ecosystem === 'npm' && one.installScript && !allowScripts.has(one.name)) {
    problems.push('has an install script that package.json neither allows nor denies');
  }
  return problems;
}

function licenceProblems(one: Package, { licences, developmentLicences, statedInFiles }: Policy): string[] {
  const allowed = new Set(one.production ? licences : [...licences, ...developmentLicences]);
  const licence = one.licence || (statedInFiles[`${one.ecosystem} ${one.name}`] ?? '');
  return licenceAllowed(licence, allowed) ? [] : [`licence ${licence || 'not stated'} is not allowed`];
}

/** Whether an SPDX expression of ids, AND, OR, WITH and parentheses can be met with the allowed ids. */
export function licenceAllowed(expression: string, allowed: ReadonlySet<string>): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const any = (): boolean => {
    let met = all();
    while (tokens[at] === 'OR') {
      at += 1;
      met = all() || met;
    }
    return met;
  };
  const all = (): boolean => {
    let met = one();
    while (tokens[at] === 'AND') {
      at += 1;
      met = one() && met;
    }
    return met;
  };
  const one = (): boolean => {
    const token = tokens[at];
    at += 1;
    if (token === '(') {
      const met = any();
      at += 1;
      return met;
    }
    // An exception only gives more rights.
    if (tokens[at] === 'WITH') {
      at += 2;
    }
    return token !== undefined && allowed.has(token);
  };
  return any() && at >= tokens.length;
}

/** Order of two semantic versions: below, at or above 0. Build metadata is ignored; a pre-release comes before its release. */
export function compareVersions(left: string, right: string): number {
  const [leftCore = '', leftPre] = split(left);
  const [rightCore = '', rightPre] = split(right);
  const rightParts = rightCore.split('.').map(Number);
  for (const [index, part] of leftCore.split('.').map(Number).entries()) {
    const difference = part - (rightParts[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  if (leftPre === rightPre) {
    return 0;
  }
  if (leftPre === undefined || rightPre === undefined) {
    return leftPre === undefined ? 1 : -1;
  }
  return leftPre.localeCompare(rightPre, 'en', { numeric: true });
}

function split(version: string): string[] {
  const [withoutBuild = ''] = version.split('+', 1);
  const dash = withoutBuild.indexOf('-');
  return dash < 0 ? [withoutBuild] : [withoutBuild.slice(0, dash), withoutBuild.slice(dash + 1)];
}
