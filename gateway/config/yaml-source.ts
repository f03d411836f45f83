import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { didYouMean } from '../lib/suggest.ts';
import type { Assignment } from './sources.ts';
import { entries, entryByPath } from './table.ts';

/** A configuration is a few kilobytes; a file far beyond that is the wrong file. */
const yamlBytesMax = 1_048_576;

export interface YamlRead {
  readonly assignments: readonly Assignment[];
  readonly problems: readonly string[];
}

/** The names that may stand under `prefix`, for "did you mean". */
function childNames(prefix: string): string[] {
  const start = prefix === '' ? '' : `${prefix}.`;
  const paths = entries.map((entry) => entry.path).filter((path) => path.startsWith(start));
  return [...new Set(paths.map((path) => path.slice(start.length).split('.')[0] ?? ''))];
}

class YamlReader {
  readonly assignments: Assignment[] = [];
  readonly problems: string[] = [];
  #file: string;
  #lines = new LineCounter();

  constructor(file: string) {
    this.#file = file;
  }

  read(content: string): void {
    if (content.length > yamlBytesMax) {
      this.problems.push(`${this.#file}: ${content.length} bytes: expected at most ${yamlBytesMax}`);
      return;
    }
    const document = parseDocument(content, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of [...document.errors, ...document.warnings]) {
      this.problems.push(`${this.#place(error.pos[0])}: ${error.message}`);
    }
    if (document.errors.length > 0 || document.contents === null) return;
    this.#section('', document.contents, (node) => (isAlias(node) ? node.resolve(document) : node));
  }

  #place(offset: number | undefined): string {
    const { line, col } = this.#lines.linePos(offset ?? 0);
    return `${this.#file}:${line}:${col}`;
  }

  #section(prefix: string, written: Node, resolve: (node: Node) => Node | undefined): void {
    const node = resolve(written);
    if (isScalar(node) && node.value === null) return;
    if (!isMap(node)) {
      const name = prefix === '' ? 'the file' : prefix;
      this.problems.push(`${name}: expected keys and values (${this.#place(written.range?.[0])})`);
      return;
    }
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      const path = prefix === '' ? name : `${prefix}.${name}`;
      const place = this.#place((isScalar(key) ? key.range : node.range)?.[0]);
      const valueNode = value as Node | null;
      const entry = entryByPath.get(path);
      if (entry !== undefined) {
        const text = this.#text(valueNode === null ? undefined : resolve(valueNode));
        if (text === undefined) this.problems.push(`${path}: expected ${entry.key.expected} (${place})`);
        else if (text !== null) this.assignments.push({ entry, text, origin: place });
      } else if (childNames(path).length > 0) {
        if (valueNode !== null) this.#section(path, valueNode, resolve);
      } else {
        this.problems.push(`${path}: unknown key${didYouMean(name, childNames(prefix))} (${place})`);
      }
    }
  }

  /** The value as it was written; null when the key has none, undefined when it is not a plain value or a list of them. */
  #text(node: Node | undefined): string | null | undefined {
    if (isSeq(node)) {
      const parts = node.items.map((item) => (isScalar(item) ? scalarText(item.value, item.source) : undefined));
      return parts.some((part) => typeof part !== 'string') ? undefined : parts.join(',');
    }
    return isScalar(node) ? scalarText(node.value, node.source) : undefined;
  }
}

function scalarText(value: unknown, source: string | undefined): string | null {
  if (value === null) return null;
  return typeof value === 'string' ? value : (source ?? String(value));
}

/** Reads a YAML file's keys and values; unknown keys and broken YAML become problems with line and column. */
export function readYaml(file: string, content: string): YamlRead {
  const reader = new YamlReader(file);
  reader.read(content);
  return reader;
}
