import { parseSync, type StaticImportEntry } from 'oxc-parser';

interface Import {
  /** As written. */
  readonly specifier: string;
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** A node of the syntax tree, as far as the rules look at it. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  readonly comments: readonly { readonly text: string; readonly line: number }[];
  readonly program: SyntaxNode;
  /** The line of an offset, from 1. */
  lineAt(offset: number): number;
}

/** @throws when the file does not parse. */
export function parseSource(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text);
  const [error] = parsed.errors;
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`);
  const lineStarts = [0, ...Array.from(text.matchAll(/\n/g), (match) => match.index + 1)];
  const lineAt = (offset: number) => lineNumber(lineStarts, offset);
  const statics = parsed.module.staticImports.map((found) => ({
    specifier: found.moduleRequest.value,
    typeOnly: allTypes(found.entries),
    line: lineAt(found.start),
  }));
  const again = parsed.module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, isType, start }) =>
      moduleRequest === null ? [] : [{ specifier: moduleRequest.value, typeOnly: isType, line: lineAt(start) }],
    ),
  );
  const dynamic = parsed.module.dynamicImports.map(({ moduleRequest, start }) => ({
    specifier: text.slice(moduleRequest.start + 1, moduleRequest.end - 1),
    typeOnly: false,
    line: lineAt(start),
  }));
  return {
    path,
    text,
    imports: [...statics, ...again, ...dynamic],
    comments: parsed.comments.map((comment) => ({ text: comment.value, line: lineAt(comment.start) })),
    program: parsed.program as unknown as SyntaxNode,
    lineAt,
  };
}

function allTypes(entries: readonly StaticImportEntry[]): boolean {
  return entries.length > 0 && entries.every((entry) => entry.isType);
}

function lineNumber(lineStarts: readonly number[], offset: number): number {
  let low = 0;
  let high = lineStarts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((lineStarts[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}

/** Calls `visit` with every node and the node it stands in, from the outside in. */
export function walk(node: SyntaxNode, visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void): void {
  walkFrom(node, undefined, visit);
}

function walkFrom(
  node: SyntaxNode,
  parent: SyntaxNode | undefined,
  visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
): void {
  visit(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walkFrom(child, node, visit);
    }
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}
