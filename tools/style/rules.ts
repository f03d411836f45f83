import { posix } from 'node:path';
import { layerOf, mayImport } from './layers.ts';
import { isNode, type SourceFile, type SyntaxNode, walk } from './source-file.ts';

const fileLinesMax = 300;
const functionLinesMax = 60;

/** "path:line: what is wrong" */
type Complaint = string;

function isTest(path: string): boolean {
  return /\.test\.ts$/.test(path);
}

/** The path an import leads to, from the root of the repository; undefined for packages. */
function target(file: SourceFile, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : undefined;
}

function importDirection(file: SourceFile): Complaint[] {
  const from = layerOf(file.path);
  if (from === undefined) return [`${file.path}:1: no layer: name its folder in tools/style/layers.ts`];
  if (isTest(file.path)) return [];
  return file.imports.flatMap(({ specifier, line }) => {
    const path = target(file, specifier);
    const to = path === undefined ? undefined : layerOf(path);
    if (path === undefined || path === 'package.json' || (to !== undefined && mayImport(from, to))) return [];
    return [`${file.path}:${line}: ${from} imports ${to ?? path}`];
  });
}

/** Files that import each other at run time, each cycle once, as "a → b → a". */
function importCycles(files: readonly SourceFile[]): Complaint[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const trail: string[] = [];
  const cycles: Complaint[] = [];
  const follow = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || finished.has(path)) return;
    const seenAt = trail.indexOf(path);
    if (seenAt >= 0) {
      cycles.push(`${path}:1: import cycle: ${[...trail.slice(seenAt), path].join(' → ')}`);
      return;
    }
    trail.push(path);
    for (const { specifier, typeOnly } of file.imports) {
      const next = typeOnly ? undefined : target(file, specifier);
      if (next !== undefined) follow(next);
    }
    trail.pop();
    finished.add(path);
  };
  for (const { path } of files) follow(path);
  return cycles;
}

export function fileLength(path: string, text: string): Complaint[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return lines <= fileLinesMax ? [] : [`${path}:${lines}: ${lines} lines: at most ${fileLinesMax}`];
}

const functionTypes = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];

const testCalls = ['describe', 'it', 'test'];

/** "it" for it(…), it.each(…)(…), it.only(…) and the like. */
function calledName(node: SyntaxNode): unknown {
  let callee = node;
  while (isNode(callee['callee']) || isNode(callee['object'])) {
    callee = (isNode(callee['callee']) ? callee['callee'] : callee['object']) as SyntaxNode;
  }
  return callee['name'];
}

/** A function whose statements are tests only groups them, as the callback of `describe` does. */
function isGrouping(node: SyntaxNode): boolean {
  const block = node['body'];
  if (!isNode(block) || !Array.isArray(block['body'])) return false;
  return block['body'].some((statement: SyntaxNode) => {
    const expression = statement['expression'];
    return (
      isNode(expression) && expression.type === 'CallExpression' && testCalls.includes(String(calledName(expression)))
    );
  });
}

function functionLength(file: SourceFile): Complaint[] {
  const complaints: Complaint[] = [];
  walk(file.program, (node) => {
    if (!functionTypes.includes(node.type) || isGrouping(node)) return;
    const line = file.lineAt(node.start);
    const lines = file.lineAt(node.end) - line + 1;
    if (lines > functionLinesMax)
      complaints.push(`${file.path}:${line}: function of ${lines} lines: at most ${functionLinesMax}`);
  });
  return complaints;
}

/** Where the outside world is read: time, environment, chance. */
function mayReadWorld(path: string): boolean {
  return /^(?:gateway|operator)\/(?:main\.ts$|cli\/|lib\/clock\.ts$|transport\/native\/build\.ts$|.*\/?testing\/)|^(?:tools|bench|e2e|fuzz)\//.test(
    path,
  );
}

/** Speaks to the network, so it may wait by the clock; what decides stands in other files. */
function isAdapter(file: SourceFile): boolean {
  return file.imports.some(
    ({ specifier, typeOnly }) => !typeOnly && /^(?:@grpc\/grpc-js|node:(?:net|tls|dgram|https))$/.test(specifier),
  );
}

const corePath = /^gateway\/(?:session|replication|overload|protocol)\//;

/** "Date.now" for a member of a global, "Date" for a name; undefined for the rest. */
function dottedName(node: SyntaxNode): string | undefined {
  if (node.type === 'Identifier') return String(node['name']);
  const { object, property } = node;
  if (node.type !== 'MemberExpression' || !isNode(object) || !isNode(property)) return undefined;
  const left = dottedName(object);
  return left === undefined || node['computed'] === true ? undefined : `${left}.${String(property['name'])}`;
}

/** Environment and real clock only at the edge; timers and chance nowhere in the core. */
function worldReads(file: SourceFile): Complaint[] {
  if (isTest(file.path) || mayReadWorld(file.path)) return [];
  const forbidden = new Set(['process.env', 'Date.now', 'performance.now', 'process.hrtime', 'process.hrtime.bigint']);
  if (corePath.test(file.path) && !isAdapter(file)) {
    for (const name of ['Math.random', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'])
      forbidden.add(name);
  }
  const complaints: Complaint[] = [];
  const complain = (node: SyntaxNode, what: string) =>
    complaints.push(`${file.path}:${file.lineAt(node.start)}: ${what} outside main and cli: take it as an argument`);
  walk(file.program, (node, parent) => {
    if (node.type === 'MemberExpression') {
      const name = dottedName(node);
      if (name !== undefined && forbidden.has(name)) complain(node, name);
    } else if (node.type === 'Identifier' && parent?.type === 'CallExpression' && parent['callee'] === node) {
      if (forbidden.has(String(node['name']))) complain(node, String(node['name']));
    } else if (node.type === 'NewExpression' && isNode(node['callee']) && node['callee']['name'] === 'Date') {
      if (Array.isArray(node['arguments']) && node['arguments'].length === 0) complain(node, 'new Date()');
    }
  });
  return complaints;
}

/** Words are cut so that this file does not complain of itself. */
const unfinished = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].map((word) => `\\b${word}\\b`).join('|'));
const silencing = new RegExp(
  ['@ts-' + '(?:ignore|nocheck|expect-error)', 'biome' + '-ignore', 'eslint' + '-disable'].join('|'),
);

function unfinishedOrSilenced(file: SourceFile): Complaint[] {
  const complaints: Complaint[] = [];
  for (const { text, line } of file.comments) {
    if (unfinished.test(text)) complaints.push(`${file.path}:${line}: unfinished`);
    if (silencing.test(text)) complaints.push(`${file.path}:${line}: a check is silenced`);
  }
  walk(file.program, (node) => {
    if (node.type === 'TSAnyKeyword') complaints.push(`${file.path}:${file.lineAt(node.start)}: any: use unknown`);
    const name = node.type === 'MemberExpression' ? dottedName(node) : undefined;
    if (name !== undefined && /^(?:it|test|describe)\.(?:only|skip|todo)$/.test(name)) {
      complaints.push(`${file.path}:${file.lineAt(node.start)}: ${name}`);
    }
  });
  return complaints;
}

/** Every rule over all files. */
export function complaintsAbout(files: readonly SourceFile[]): Complaint[] {
  const each = files.flatMap((file) => [
    ...importDirection(file),
    ...fileLength(file.path, file.text),
    ...functionLength(file),
    ...worldReads(file),
    ...unfinishedOrSilenced(file),
  ]);
  return [...each, ...importCycles(files)];
}
