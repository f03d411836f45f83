import type { Key } from './keys.ts';
import { schema } from './schema.ts';

/** A key with the names it goes by. */
export interface Entry {
  /** As in YAML: "server.quic_addr". */
  readonly path: string;
  /** Where the value stands in `Config`: ["server", "quicAddr"]. */
  readonly route: readonly string[];
  /** "--quic-addr" */
  readonly flag: string;
  /** "GATESVR_QUIC_ADDR" */
  readonly variable: string;
  readonly key: Key<unknown>;
}

interface Tree {
  readonly [name: string]: Key<unknown> | Tree;
}

function isKey(node: Key<unknown> | Tree): node is Key<unknown> {
  return typeof node['parse'] === 'function';
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function entryOf(route: readonly string[], key: Key<unknown>): Entry {
  const names = route.map(snakeCase);
  const last = names.pop() ?? '';
  names.push(key.kind === 'duration' ? last.replace(/_ms$/, '') : last);
  const path = names.join('.');
  const short = path.replace(/^server\./, '').replaceAll(/[._]/g, '-');
  return { path, route, flag: `--${short}`, variable: `GATESVR_${short.replaceAll('-', '_').toUpperCase()}`, key };
}

function flatten(tree: Tree, route: readonly string[]): Entry[] {
  return Object.entries(tree).flatMap(([name, node]) =>
    isKey(node) ? [entryOf([...route, name], node)] : flatten(node, [...route, name]),
  );
}

/** All keys, in the order of the table. */
export const entries: readonly Entry[] = flatten(schema, []);

export const entryByPath: ReadonlyMap<string, Entry> = new Map(entries.map((entry) => [entry.path, entry]));
export const entryByFlag: ReadonlyMap<string, Entry> = new Map(entries.map((entry) => [entry.flag, entry]));
export const entryByVariable: ReadonlyMap<string, Entry> = new Map(entries.map((entry) => [entry.variable, entry]));
