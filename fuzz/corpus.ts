import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Inputs that are part of the repository: beginnings, and what was once a finding. */
export const corpusFolder = new URL('corpus/', import.meta.url);
/** Inputs that earlier runs on this machine kept. */
export const cacheFolder = new URL('../.cache/fuzz/', import.meta.url);

/** All inputs of a target in a folder, always in the same order. */
export function readInputs(folder: URL, target: string): Uint8Array[] {
  const place = new URL(`${target}/`, folder);
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .sort()
    .map((file) => readFileSync(new URL(file, place)));
}

/** Keeps an input, named after its bytes. @returns its name. */
export function keepInput(folder: URL, target: string, input: Uint8Array, prefix = ''): string {
  const name = `${prefix}${createHash('sha256').update(input).digest('hex').slice(0, 16)}`;
  mkdirSync(new URL(`${target}/`, folder), { recursive: true });
  writeFileSync(new URL(`${target}/${name}`, folder), input);
  return `${target}/${name}`;
}
