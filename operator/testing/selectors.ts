import type { KubeObject } from '../kube-api.ts';

type Predicate = (object: KubeObject) => boolean;

export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** What a list or watch selects. */
export function predicateOf({ namespace, labelSelector, fieldSelector }: Selection): Predicate {
  const tests: Predicate[] = [];
  if (namespace !== undefined) tests.push((object) => object.metadata.namespace === namespace);
  for (const term of termsOf(labelSelector)) tests.push(labelTest(term));
  for (const term of termsOf(fieldSelector)) tests.push(fieldTest(term));
  return (object) => tests.every((test) => test(object));
}

/** Splits at the commas that are not in parentheses. */
function termsOf(selector: string | undefined): string[] {
  return (selector ?? '')
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

function labelTest(term: string): Predicate {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    const wanted = set[2] === 'in';
    return ({ metadata }) => values.includes(metadata.labels?.[set[1] ?? ''] ?? '') === wanted;
  }
  const pair = /^([^!=]+?)\s*(!=|==?)\s*(.*)$/.exec(term);
  if (pair !== null) {
    const wanted = pair[2] !== '!=';
    return ({ metadata }) => (metadata.labels?.[pair[1] ?? ''] === pair[3]) === wanted;
  }
  if (term.startsWith('!')) return ({ metadata }) => metadata.labels?.[term.slice(1)] === undefined;
  return ({ metadata }) => metadata.labels?.[term] !== undefined;
}

function fieldTest(term: string): Predicate {
  const pair = /^([^!=]+?)\s*(!=|==?)\s*(.*)$/.exec(term);
  if (pair === null) throw new RangeError(`field selector: ${term}: expected PATH=VALUE`);
  const path = (pair[1] ?? '').split('.');
  const wanted = pair[2] !== '!=';
  return (object) => {
    const value = path.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], object);
    return (String(value ?? '') === pair[3]) === wanted;
  };
}
