import { rules, warningsFor } from './config/rules.ts';
import type { Config } from './config/schema.ts';
import { type Assignment, readFlags, readVariables } from './config/sources.ts';
import { type Entry, entries } from './config/table.ts';
import { readYaml, type YamlRead } from './config/yaml-source.ts';
import { errorMessage, UsageError } from './lib/errors.ts';

export { configHelp } from './config/describe.ts';
export type { Config } from './config/schema.ts';

export interface ConfigSources {
  /** Arguments after the subcommand. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file. @throws when it cannot be read. */
  readonly readFile: (path: string) => string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Allowed, but worth a line in the log at the start. */
  readonly warnings: readonly string[];
  /** GATESVR_* variables that are no keys; for a debug line. */
  readonly unknownVariables: readonly string[];
  /** `--check-config` was given: say that it is valid, and end. */
  readonly checkOnly: boolean;
  readonly configFile: string | undefined;
}

/**
 * Reads flags, environment and YAML file over the defaults and checks the whole.
 * @throws {UsageError} with one line for each problem: "path: value: expected … (where)".
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const flags = readFlags(sources.argv);
  const variables = readVariables(sources.env);
  const configFile = flags.configFile ?? variables.configFile;
  const yaml = configFile === undefined ? nothing : readConfigFile(configFile, sources.readFile);
  const values = new ValueTable([...yaml.assignments, ...variables.assignments, ...flags.assignments]);
  const problems = [...flags.problems, ...yaml.problems, ...values.problems];
  const config = values.build();
  for (const rule of rules) {
    if (rule.paths.some((path) => values.isWrong(path))) continue;
    const problem = rule.check(config);
    if (problem !== undefined) problems.push(`${rule.paths[0]}: ${problem}${values.originOf(rule.paths[0])}`);
  }
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return {
    config,
    warnings: warningsFor(config),
    unknownVariables: variables.unknown,
    checkOnly: flags.checkOnly,
    configFile,
  };
}

const nothing: YamlRead = { assignments: [], problems: [] };

function readConfigFile(path: string, readFile: ConfigSources['readFile']): YamlRead {
  try {
    return readYaml(path, readFile(path));
  } catch (error) {
    return { assignments: [], problems: [`${path}: cannot be read: ${errorMessage(error)}`] };
  }
}

/** Values by path: the last assignment of a key wins, defaults fill the rest and what was given as nothing. */
class ValueTable {
  readonly problems: string[] = [];
  #values = new Map<string, unknown>();
  #wrong = new Set<string>();
  #origins = new Map<string, string>();

  constructor(assignments: readonly Assignment[]) {
    const winners = new Map(assignments.map((assignment) => [assignment.entry.path, assignment]));
    for (const entry of entries) {
      const winner = winners.get(entry.path);
      if (winner === undefined || winner.text === '') this.#useDefault(entry);
      else this.#use(winner);
    }
    const given = new Map(this.#values);
    for (const { path, key } of entries) {
      if (key.derive === undefined || given.has(path)) continue;
      const value = key.derive((other) => given.get(other));
      this.#values.set(path, value);
    }
  }

  isWrong(path: string): boolean {
    return this.#wrong.has(path);
  }

  originOf(path: string | undefined): string {
    const origin = this.#origins.get(path ?? '');
    return origin === undefined ? '' : ` (${origin})`;
  }

  build(): Config {
    const root: Record<string, unknown> = {};
    for (const { route, path } of entries) place(root, route, this.#values.get(path));
    return root as unknown as Config;
  }

  #useDefault({ path, key }: Entry): void {
    if (key.derive === undefined) this.#values.set(path, key.parse(key.defaultText)?.value);
  }

  #use({ entry, text, origin }: Assignment): void {
    const parsed = entry.key.parse(text);
    this.#origins.set(entry.path, origin);
    if (parsed === undefined) {
      this.#wrong.add(entry.path);
      this.problems.push(`${entry.path}: ${quote(text)}: expected ${entry.key.expected} (${origin})`);
      this.#useDefault(entry);
    } else {
      this.#values.set(entry.path, parsed.value);
    }
  }
}

function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return /^[\x21-\x7e]+$/.test(shown) ? shown : JSON.stringify(shown);
}

function place(root: Record<string, unknown>, route: readonly string[], value: unknown): void {
  let node = root;
  for (const name of route.slice(0, -1)) {
    node[name] ??= {};
    node = node[name] as Record<string, unknown>;
  }
  node[route.at(-1) ?? ''] = value;
}
