import { readFileSync } from 'node:fs';
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { parseAddress } from '../lib/address.ts';
import { parseDuration } from '../lib/duration.ts';
import { errorMessage, UsageError } from '../lib/errors.ts';
import { didYouMean } from '../lib/suggest.ts';

/**
 * `parseArgs` with this project's habits: switches may be given as `--x=false`, errors are one line and suggest a name.
 * @throws {UsageError}
 */
export function parseFlags<T extends ParseArgsOptionsConfig>(argv: readonly string[], options: T, positionals = false) {
  const args = argv.flatMap((argument) => readSwitch(argument, options));
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: positionals });
  } catch (error) {
    const unknown = /^Unknown option '(-[^']*)'/.exec(errorMessage(error))?.[1];
    if (unknown === undefined) throw new UsageError(errorMessage(error).split('. ')[0] ?? 'wrong flags');
    const flags = Object.keys(options).map((name) => `--${name}`);
    throw new UsageError(`${unknown}: unknown flag${didYouMean(unknown, flags)}`);
  }
}

function readSwitch(argument: string, options: ParseArgsOptionsConfig): string[] {
  const match = /^--([^=]+)=(.*)$/.exec(argument);
  const name = match?.[1] ?? '';
  if (match === null || options[name]?.type !== 'boolean') return [argument];
  if (match[2] === 'true') return [`--${name}`];
  if (match[2] === 'false') return [];
  throw new UsageError(`--${name}: ${match[2]}: expected true or false`);
}

/** @throws {UsageError} when the flag was not given. */
export function required(flag: string, value: string | undefined, expected: string): string {
  if (value === undefined || value === '') throw new UsageError(`--${flag}: missing: expected ${expected}`);
  return value;
}

/** "host:port" items, by comma. @throws {UsageError} */
export function addressList(flag: string, text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  for (const item of items) {
    const address = parseAddress(item);
    if (address === undefined || address.port === 0) throw new UsageError(`--${flag}: ${item}: expected host:port`);
  }
  return items;
}

/** @returns milliseconds. @throws {UsageError} */
export function duration(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0)
    throw new UsageError(`--${flag}: ${text}: expected a duration such as 200ms, 5s or 1h`);
  return ms;
}

/** @throws {UsageError} */
export function wholeNumber(flag: string, text: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(`--${flag}: ${text}: expected a number from ${min} to ${max}`);
  return value;
}

/** `name=value` items. @throws {UsageError} */
export function headersOf(items: readonly string[] | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const item of items ?? []) {
    const at = item.indexOf('=');
    if (at < 1) throw new UsageError(`--header: ${item}: expected NAME=VALUE`);
    headers[item.slice(0, at)] = item.slice(at + 1);
  }
  return headers;
}

/** @throws {UsageError} when the file cannot be read. */
export function fileContents(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`--${flag}: ${path}: cannot be read: ${errorMessage(error)}`);
  }
}
