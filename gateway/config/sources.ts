import { didYouMean } from '../lib/suggest.ts';
import { type Entry, entryByFlag, entryByVariable } from './table.ts';

/** A value somebody gave, as text, and where. */
export interface Assignment {
  readonly entry: Entry;
  readonly text: string;
  /** "--quic-addr", "GATESVR_QUIC_ADDR" or "gatesvr.yaml:12:5". */
  readonly origin: string;
}

export interface FlagsRead {
  readonly assignments: readonly Assignment[];
  readonly configFile: string | undefined;
  readonly checkOnly: boolean;
  readonly problems: readonly string[];
}

/** Switches and options of the command line that are not keys. */
const extraFlags = ['--config', '--check-config', '--help'];

/**
 * Reads `--name value`, `--name=value`, `-name=value` and bare switches. Everything else is a problem, and all problems are told.
 */
export function readFlags(argv: readonly string[]): FlagsRead {
  const assignments: Assignment[] = [];
  const problems: string[] = [];
  let configFile: string | undefined;
  let checkOnly = false;
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    const match = /^-{1,2}([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(argument);
    if (match === null) {
      problems.push(`${argument}: expected a flag such as --quic-addr=:8453`);
      continue;
    }
    const name = `--${match[1]}`;
    const entry = entryByFlag.get(name);
    const bare = match[2] === undefined;
    if (entry === undefined && !extraFlags.includes(name)) {
      problems.push(`${name}: unknown flag${hint(name)}`);
      if (bare && argv[index + 1]?.startsWith('-') === false) index += 1;
      continue;
    }
    if (name === '--help') continue;
    const isSwitch = entry?.key.kind === 'switch' || name === '--check-config';
    let text = match[2] ?? 'true';
    if (bare && !isSwitch) {
      index += 1;
      const next = argv[index];
      if (next === undefined) {
        problems.push(`${name}: no value: expected ${entry?.key.expected ?? 'the path of a file'}`);
        continue;
      }
      text = next;
    }
    if (entry !== undefined) assignments.push({ entry, text, origin: name });
    else if (name === '--config') configFile = text;
    else checkOnly = text === 'true';
  }
  return { assignments, configFile, checkOnly, problems };
}

/** The flag that was meant: one that ends with what was written (its section was left out), or one spelled nearly so. */
function hint(name: string): string {
  const sectionless = [...entryByFlag.keys()].filter((flag) => flag.endsWith(name.slice(1)));
  const [only] = sectionless;
  if (sectionless.length === 1 && only !== undefined) return `, did you mean ${only}?`;
  return didYouMean(name, [...entryByFlag.keys(), ...extraFlags]);
}

export interface VariablesRead {
  readonly assignments: readonly Assignment[];
  readonly configFile: string | undefined;
  /** GATESVR_* variables that are no keys. Kubernetes injects some for a Service named gatesvr, so they are no error. */
  readonly unknown: readonly string[];
}

/** Reads GATESVR_* variables; an empty one counts as not given. */
export function readVariables(env: Readonly<Record<string, string | undefined>>): VariablesRead {
  const assignments: Assignment[] = [];
  const unknown: string[] = [];
  let configFile: string | undefined;
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('GATESVR_') || text === undefined || text === '') continue;
    const entry = entryByVariable.get(name);
    if (name === 'GATESVR_CONFIG') configFile = text;
    else if (entry === undefined) unknown.push(name);
    else assignments.push({ entry, text, origin: name });
  }
  return { assignments, configFile, unknown: unknown.sort() };
}
